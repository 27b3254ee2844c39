package users

import (
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
// error is ErrNotFound, a refused field, ErrEmailTaken, ErrUsernameTaken,
// ErrNotRecorded or the store's; after the last, repeating it is safe and
// needed: sessions may not have been told. Where the event cannot be written,
// what was is put back.
func (s *Service) UpdateProfile(ctx context.Context, uid string, p Profile) (User, error) {
	event := audit.Event{Action: audit.UserChanged, UserID: uid}
	before, err := s.Store.UserByID(ctx, uid)
	if err != nil {
		return User{}, s.conclude(ctx, event, err)
	}
	event.UserEmail = before.Email
	change, err := p.check()
	if err != nil {
		return User{}, s.conclude(ctx, event, err)
	}
	event.Detail = change.describe(before)
	now, told, err := s.storeProfile(ctx, uid, change)
	event.Count = told
	if err = s.conclude(ctx, event, err); errors.Is(err, ErrNotRecorded) {
		ctx, cancel := audit.Outlast(ctx)
		defer cancel()
		_, _, undoErr := s.storeProfile(ctx, uid, change.back(before))
		return User{}, errors.Join(err, undoErr)
	}
	return now, err
}

func (s *Service) storeProfile(ctx context.Context, uid string, change ProfileChange) (now User, told int, err error) {
	now, err = s.Store.UpdateUser(ctx, uid, change, s.now())
	if err == nil && change.Email != nil {
		told, err = s.Sessions.SetEmailOf(ctx, uid, now.Email)
	}
	return now, told, err
}

// check returns p as the store takes it.
func (p Profile) check() (ProfileChange, error) {
	var c ProfileChange
	if p.Email != nil {
		text, key, err := EmailKey(*p.Email)
		if err != nil {
			return c, err
		}
		c.Email = &Name{text, key}
	}
	if p.Username != nil {
		c.Username = &Name{}
		if *p.Username != "" {
			text, key, err := UsernameKey(*p.Username)
			if err != nil {
				return c, err
			}
			*c.Username = Name{text, key}
		}
	}
	for _, name := range []struct {
		field string
		given *string
		to    **string
	}{{"first_name", p.FirstName, &c.FirstName}, {"last_name", p.LastName, &c.LastName}} {
		if name.given == nil {
			continue
		}
		text, err := checkName(name.field, *name.given)
		if err != nil {
			return c, err
		}
		*name.to = &text
	}
	return c, nil
}

// back returns what undoes c on an account that was as before.
func (c ProfileChange) back(before User) ProfileChange {
	if c.Email != nil {
		c.Email = &Name{before.Email, before.EmailKey}
	}
	if c.Username != nil {
		c.Username = &Name{before.Username, before.UsernameKey}
	}
	if c.FirstName != nil {
		c.FirstName = &before.FirstName
	}
	if c.LastName != nil {
		c.LastName = &before.LastName
	}
	return c
}

// describe says what the audit log is told: the new address, since the event
// itself bears the former one, and of the rest only what changed.
func (c ProfileChange) describe(before User) string {
	var changed []string
	if c.Email != nil && c.Email.Text != before.Email {
		changed = append(changed, "email: "+c.Email.Text)
	}
	if c.Username != nil && c.Username.Text != before.Username {
		changed = append(changed, "username")
	}
	if c.FirstName != nil && *c.FirstName != before.FirstName {
		changed = append(changed, "first_name")
	}
	if c.LastName != nil && *c.LastName != before.LastName {
		changed = append(changed, "last_name")
	}
	return strings.Join(changed, "; ")
}
