package users

import "context"

// SurveyHashes reads all accounts and corrects the store's list of the kinds of
// hashes; see passwords.Kinds. Call it after a start and every day, beside
// requests. The error is from the store or ctx.
func (s *Service) SurveyHashes(ctx context.Context) error {
	return s.kinds.Survey(ctx, func(yield func(string, error) bool) {
		for u, err := range s.all(ctx) {
			if !yield(u.PasswordHash, err) {
				return
			}
		}
	}, s.now())
}
