package users

import (
	"cmp"
	"context"
	"errors"
	"strings"

	"github.com/keyturn/keyturn/internal/audit"
)

// Profile is what of an account is to be changed; nil leaves it. An empty
// Username, FirstName or LastName takes it away.
type Profile struct {
	Email     *string
	Username  *string
	FirstName *string
	LastName  *string
}

// UpdateProfile changes the e-mail address, username and names of the account
// uid, on an operator's behalf, all that p names or nothing, and returns the
// account as it now stands. Its live sessions bear the new address from their
// next refresh on; a login under way with the former one fails (see Still). The
// event's Count says how many sessions live. The error is ErrNotFound,
// a refused field, ErrEmailTaken, ErrUsernameTaken, ErrConflict, decision.ErrNotRecorded or
// the store's.
func (s *Service) UpdateProfile(ctx context.Context, uid string, p Profile) (User, error) {
	u, _, err := s.change(ctx, audit.Event{Action: audit.UserChanged}, uid, false, func(u *User, e *audit.Event) error {
		before := *u
		if err := p.apply(u); err != nil {
			return err
		}
		if err := s.namesFree(ctx, before, *u); err != nil {
			return err
		}
		e.Detail = describeChange(before, *u)
		if u.Email == before.Email {
			return nil
		}
		var err error
		e.Count, err = s.Sessions.CountSessionsOf(ctx, uid, "")
		return err
	})
	return u, err
}

// namesFree looks whether another account has a name that an account is to get.
// Should one take it before the change is made, the change comes to nothing.
func (s *Service) namesFree(ctx context.Context, before, after User) error {
	if after.EmailKey != before.EmailKey {
		if _, err := s.Store.UserByEmailKey(ctx, after.EmailKey); !errors.Is(err, ErrNotFound) {
			return cmp.Or(err, ErrEmailTaken)
		}
	}
	if after.UsernameKey == before.UsernameKey {
		return nil
	}
	if _, err := s.Store.UserByUsernameKey(ctx, after.UsernameKey); !errors.Is(err, ErrNotFound) {
		return cmp.Or(err, ErrUsernameTaken)
	}
	return nil
}

// apply makes of u what p names, or returns the refusal of a field.
func (p Profile) apply(u *User) (err error) {
	if p.Email != nil {
		if u.Email, u.EmailKey, err = EmailKey(*p.Email); err != nil {
			return err
		}
	}
	if p.Username != nil {
		if u.Username, u.UsernameKey = "", ""; *p.Username != "" {
			if u.Username, u.UsernameKey, err = UsernameKey(*p.Username); err != nil {
				return err
			}
		}
	}
	if p.FirstName != nil {
		if u.FirstName, err = checkPersonalName("first_name", *p.FirstName); err != nil {
			return err
		}
	}
	if p.LastName != nil {
		if u.LastName, err = checkPersonalName("last_name", *p.LastName); err != nil {
			return err
		}
	}
	if u.EmailKey == "" && u.UsernameKey == "" {
		return refuse("username", "cannot be taken away from an account without an e-mail address")
	}
	return nil
}

// describeChange says what the audit log is told: the new address, since the
// event itself bears the former one, and of the rest only what changed.
func describeChange(before, after User) string {
	var changed []string
	if after.Email != before.Email {
		changed = append(changed, "email: "+after.Email)
	}
	if after.Username != before.Username {
		changed = append(changed, "username")
	}
	if after.FirstName != before.FirstName {
		changed = append(changed, "first_name")
	}
	if after.LastName != before.LastName {
		changed = append(changed, "last_name")
	}
	return strings.Join(changed, "; ")
}
