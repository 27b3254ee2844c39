package users

import (
	"context"
	"errors"
	"fmt"
	"strings"

	"github.com/keyturn/keyturn/internal/audit"
	"github.com/keyturn/keyturn/internal/passwords"
)

// Authenticate returns the account of login, an e-mail address or a username, if
// password is right. The error is a refusal (BadCredentials, Throttled, Busy), or from
// a store that could not answer.
//
// Neither the text of the error nor the time reveals whether the account is missing,
// the password is wrong or the account is disabled (U1); only the refusal's Reason
// does, for the audit log. The caller writes the event. After a login with an outdated
// or imported hash, Authenticate tries once to store a new one (U3).
//
// The caller must check a session for the account with Still.
func (s *Service) Authenticate(ctx context.Context, login, password string) (User, error) {
	keyOf, find := UsernameKey, s.Store.UserByUsernameKey
	if strings.Contains(login, "@") {
		keyOf = EmailKey
		find = func(ctx context.Context, _ string) (User, error) { return ByEmail(ctx, s.Store, login) }
	}
	_, key, err := keyOf(login)
	if err != nil {
		// No account has such a name. The attempt is throttled under the text that was
		// sent, and costs as much as any unknown name.
		return s.judge(ctx, presented(login), password, func() (User, error) { return User{}, ErrNotFound })
	}
	return s.judge(ctx, key, password, func() (User, error) { return find(ctx, key) })
}

// ByEmail returns the account with an address, or ErrNotFound. Of two that a former
// version made, for both forms of one domain, it is the one with the form given.
func ByEmail(ctx context.Context, s Store, addr string) (User, error) {
	_, typed, err := typedKey(addr)
	if err != nil {
		return User{}, err
	}
	key := unicodeDomain(typed)
	if typed != key {
		if u, err := s.UserByEmailKey(ctx, typed); !errors.Is(err, ErrNotFound) {
			return u, err
		}
	}
	return s.UserByEmailKey(ctx, key)
}

// Still reports whether a login that returned u is still valid. It returns a refusal
// (BadCredentials) if, since u was read, the account was disabled, or its password, its
// address or its claims changed; or an error of the store.
//
// A password change first advances the account's epoch and then ends the sessions that
// it finds. It would miss a session that was created with the old password in between,
// or later. So after storing a session, call Still, and end the session unless Still
// returns nil: either the change came before Still's read, and Still sees it, or it
// came later, and then it finds the session.
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

// judge charges an attempt on account, finds the account, and verifies its password at
// the same cost whatever it finds. If too many callers wait to hash already, it neither
// reads nor writes anything.
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

// renew replaces an outdated hash. If the hasher is busy or the store fails, the next
// login tries again.
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
