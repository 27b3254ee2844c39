package users

import (
	"context"
	"errors"
)

// Survey reads all accounts and corrects the store's list of the kinds of hashes (see
// passwords.Kinds) and the keys of addresses that a former version made otherwise. Call
// it after a start and every day, beside requests. The error is from the store or ctx.
func (s *Service) Survey(ctx context.Context) error {
	return s.kinds.Survey(ctx, func(yield func(string, error) bool) {
		for u, err := range s.all(ctx) {
			if err == nil {
				err = s.rekey(ctx, u)
			}
			if !yield(u.PasswordHash, err) {
				return
			}
		}
	}, s.now())
}

// rekey gives an account the key that EmailKey has for its address. Where another
// account has that, both stay as they are: each is found by the form of its own.
func (s *Service) rekey(ctx context.Context, u User) error {
	_, key, err := EmailKey(u.Email)
	if err != nil || key == u.EmailKey {
		return nil
	}
	next := u
	next.EmailKey = key
	err = s.Store.ReplaceUser(ctx, u, next)
	if errors.Is(err, ErrEmailTaken) || errors.Is(err, ErrConflict) || errors.Is(err, ErrNotFound) {
		return nil
	}
	return err
}
