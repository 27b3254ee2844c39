package users

import "context"

// LearnHashes reads all accounts and measures, once for each, what kinds of
// imported or outdated hashes there are, so that from the beginning no refusal
// tells by its time that an account has one (U1). It is made to run once beside
// requests, after a start; kinds that are imported later are learned from their
// first refusal. The error is the store's or ctx's, and leaves what was learned
// so far.
func (s *Service) LearnHashes(ctx context.Context) error {
	met := map[string]bool{}
	for after := ""; ; {
		page, err := s.Store.ListUsers(ctx, after, exportPage)
		if err != nil {
			return err
		}
		for _, u := range page {
			after = u.UID
			hash, err := ParseHash(u.PasswordHash)
			if err != nil || met[hash.class()] || len(met) >= maxPaceClasses || !s.Hasher.Outdated(u.PasswordHash) {
				continue
			}
			met[hash.class()] = true
			s.Hasher.measure(ctx, u.PasswordHash)
		}
		if len(page) < exportPage {
			return ctx.Err()
		}
	}
}
