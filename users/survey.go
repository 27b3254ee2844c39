package users

import "context"

// SurveyHashes reads all accounts and makes the store's list of the kinds of
// hashes what it should be; see passwords.Kinds. It is made to run beside
// requests, after a start and every day. The error is the store's or ctx's.
func (s *Service) SurveyHashes(ctx context.Context) error {
	return s.kinds.Survey(ctx, func(yield func(string, error) bool) {
		for u, err := range s.all(ctx) {
			if !yield(u.PasswordHash, err) {
				return
			}
		}
	}, s.now())
}
