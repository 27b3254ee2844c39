package users

import (
	"context"
	"errors"
	"fmt"
	"strings"

	"github.com/keyturn/keyturn/internal/audit"
	"github.com/keyturn/keyturn/internal/passwords"
)

// Authenticate returns the account that login, an e-mail address or a username,
// and password open. The error is a refusal (BadCredentials, Throttled, Busy), or
// that of a store that could not answer.
//
// Whether there is no such account, the password is wrong or the account is
// disabled shows neither in the error's text nor in the time that it takes
// (U1); only the refusal's Reason tells, for the audit log. The caller
// writes that event. A login under an outdated or imported hash leaves a new
// one behind (U3), if that succeeds at the first try.
//
// A session made for the account returned must be checked with Still.
func (s *Service) Authenticate(ctx context.Context, login, password string) (User, error) {
	keyOf, find := UsernameKey, s.Store.UserByUsernameKey
	if strings.Contains(login, "@") {
		keyOf, find = EmailKey, s.Store.UserByEmailKey
	}
	_, key, err := keyOf(login)
	if err != nil {
		// No account has such a name. It is throttled under the text that was
		// sent, and costs what every unknown name costs.
		return s.judge(ctx, presented(login), password, func() (User, error) { return User{}, ErrNotFound })
	}
	return s.judge(ctx, key, password, func() (User, error) { return find(ctx, key) })
}

// Still reports whether a login that returned u may stand: nil, or a
// refusal (BadCredentials) if the account was disabled, or its password, its address or
// what tokens say of it changed, since u was read. Or the store's error.
//
// A password change first moves the account's epoch and then ends the sessions
// that it finds. A session made in between, or after, on the strength of the
// old password would be missed. So whoever makes a session calls Still after
// the session is stored, and ends it unless the answer is nil: either the
// change came before this look and is seen here, or it came after, and then
// the session was there to be found.
func (s *Service) Still(ctx context.Context, u User) error {
	now, err := s.Store.UserByID(ctx, u.UID)
	switch {
	case errors.Is(err, ErrNotFound):
		return wrong(audit.ReasonUnknownUser, u.UID)
	case err != nil:
		return fmt.Errorf("look at the account again: %w", err)
	case now.Disabled:
		return wrong(audit.ReasonDisabledUser, u.UID)
	case now.Epoch != u.Epoch, now.Email != u.Email, now.TokenClaims() != u.TokenClaims():
		return wrong(audit.ReasonAccountChanged, u.UID)
	}
	return nil
}

// judge charges an attempt on account, finds the account, and verifies its
// password at a cost that is the same whatever it finds. Where too many wait for
// that already, nothing is read or written either.
func (s *Service) judge(ctx context.Context, account, password string, find func() (User, error)) (User, error) {
	if err := s.Hasher.Crowded(); err != nil {
		return User{}, err
	}
	leave, err := s.Throttle.Enter(ctx, account)
	if err != nil {
		return User{}, err
	}
	defer leave()
	attempt, err := s.Throttle.Begin(ctx, account)
	if err != nil {
		return User{}, err
	}
	u, err := find()
	unknown := errors.Is(err, ErrNotFound)
	if err != nil && !unknown {
		attempt.Withdraw(ctx)
		return User{}, fmt.Errorf("find the account: %w", err)
	}
	kinds, err := s.Store.HashKinds(ctx)
	if err != nil {
		attempt.Withdraw(ctx)
		return User{}, fmt.Errorf("find what kinds of hashes there are: %w", err)
	}
	var found passwords.Verdict
	if unknown {
		err = s.Hasher.Dummy(ctx, password, kinds)
	} else {
		found, err = s.Hasher.Verify(ctx, u.PasswordHash, password, !u.Disabled, kinds)
	}
	switch {
	case err != nil:
		attempt.Withdraw(ctx)
		return User{}, err
	case unknown:
		return User{}, wrong(audit.ReasonUnknownUser, "")
	case !found.Match && passwords.Peppered(u.PasswordHash) && !s.Hasher.HasPepper():
		return User{}, wrong(audit.ReasonPepperMissing, u.UID)
	case !found.Match:
		return User{}, wrong(audit.ReasonWrongPassword, u.UID)
	case u.Disabled:
		return User{}, wrong(audit.ReasonDisabledUser, u.UID)
	}
	attempt.Succeed(ctx)
	if found.Renew {
		u = s.renew(ctx, u, password)
	}
	return u, nil
}

// renew replaces an outdated hash. Should the hasher be busy or the store
// fail, the next login tries again.
func (s *Service) renew(ctx context.Context, u User, password string) User {
	hash, err := s.Hasher.Hash(ctx, password)
	if err != nil {
		return u
	}
	if err := s.kinds.Announce(ctx, hash, s.now()); err != nil {
		return u
	}
	if err := s.Store.RehashPassword(ctx, u.UID, u.PasswordHash, hash); err != nil {
		return u
	}
	u.PasswordHash = hash
	return u
}
