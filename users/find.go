package users

import (
	"context"
	"errors"
	"strings"

	"github.com/keyturn/keyturn/internal/decision"
)

// Find is ByName for an operator. For an account that is about to have the name, by a
// change that is under way, it waits; the error is decision.ErrUnderWay if it is in vain.
func (s *Service) Find(ctx context.Context, name string) (User, error) {
	for tries := 1; ; tries++ {
		u, err := ByName(ctx, s.Store, name)
		if !errors.Is(err, ErrNotFound) {
			return u, err
		}
		awaited, failed := s.maker().Awaited(ctx, func(u User) bool { return u.isNamed(name) })
		switch {
		case failed != nil:
			return u, failed
		case !awaited:
			return u, err
		case tries == maxFinds:
			return u, decision.ErrUnderWay
		}
		if err := s.maker().UnlessSettled(ctx); err != nil {
			return u, err
		}
	}
}

// maxFinds bounds how often Find looks for an account that others keep changing.
const maxFinds = 5

// ByName returns the account with an e-mail address, a uid or a username, or ErrNotFound.
func ByName(ctx context.Context, s Store, name string) (User, error) {
	if strings.Contains(name, "@") {
		return ByEmail(ctx, s, name)
	}
	u, err := s.UserByID(ctx, name)
	if _, key, bad := UsernameKey(name); errors.Is(err, ErrNotFound) && bad == nil {
		u, err = s.UserByUsernameKey(ctx, key)
	}
	return u, err
}

// isNamed reports whether ByName finds u by the name.
func (u User) isNamed(name string) bool {
	if strings.Contains(name, "@") {
		_, typed, err := typedKey(name)
		return err == nil && (u.EmailKey == typed || u.EmailKey == unicodeDomain(typed))
	}
	_, key, err := UsernameKey(name)
	return u.UID == name || err == nil && u.UsernameKey == key
}
