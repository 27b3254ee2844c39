package users

import "context"

// SurveyHashes reads all accounts and makes the store's list of the kinds of
// hashes what it should be; see passwords.Kinds. It is made to run beside
// requests, after a start and every day. The error is the store's or ctx's.
func (s *Service) SurveyHashes(ctx context.Context) error {
	return s.kinds.Survey(ctx, func(yield func(string, error) bool) {
		for after := ""; ; {
			page, err := s.Store.ListUsers(ctx, after, exportPage)
			if err != nil {
				yield("", err)
				return
			}
			for _, u := range page {
				if after = u.UID; !yield(u.PasswordHash, nil) {
					return
				}
			}
			if len(page) < exportPage {
				return
			}
		}
	}, s.now())
}
