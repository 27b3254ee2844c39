package users

import (
	"cmp"
	"context"
	"errors"
	"strings"

	"github.com/keyturn/keyturn/internal/audit"
)

// Profile lists changes of an account; nil leaves a field unchanged. An empty Username,
// FirstName or LastName removes it.
type Profile struct {
	Email     *string
	Username  *string
	FirstName *string
	LastName  *string
}

// UpdateProfile changes the e-mail address, username and names of the account uid, for
// an operator, either everything in p or nothing. It returns the changed account. Its
// live sessions have the new address from their next refresh on, and the event's Count
// is their number. A login under way with the former address fails (see Still). The
// error is ErrNotFound, a refused field, ErrEmailTaken, ErrUsernameTaken, ErrConflict,
// decision.ErrNotRecorded or from the store.
func (s *Service) UpdateProfile(ctx context.Context, uid string, p Profile) (User, error) {
	return s.updateProfile(ctx, audit.Event{Action: audit.UserChanged}, uid, p)
}

func (s *Service) updateProfile(ctx context.Context, event audit.Event, uid string, p Profile) (User, error) {
	u, _, err := s.change(ctx, event, uid, false, func(u *User, e *audit.Event) error {
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

// namesFree checks whether another account has a name that an account is to get. If one
// takes the name before the change is made, the change comes to nothing.
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

// Check returns what keeps p from being applied to any account.
func (p Profile) Check() error {
	return p.apply(&User{EmailKey: "any", UsernameKey: "any"})
}

// apply applies p to u, or returns the refusal of a field.
func (p Profile) apply(u *User) (err error) {
	if p.Email != nil {
		former := u.Email
		if u.Email, u.EmailKey, err = EmailKey(*p.Email); err != nil {
			return err
		}
		if u.Email != former {
			u.VerifiedEmail = ""
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

// describeChange returns the text for the audit log: the new address, because the event
// has the former one, and only the names of other changed fields.
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
