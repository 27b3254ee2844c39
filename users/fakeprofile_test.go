package users

import (
	"context"
	"maps"
	"slices"
	"time"
)

func (m *memory) UpdateUser(_ context.Context, uid string, c ProfileChange, at time.Time) (User, error) {
	return m.change(uid, func(u *User) error {
		for _, other := range m.users {
			switch {
			case other.UID == uid:
			case c.Email != nil && other.EmailKey == c.Email.Key:
				return ErrEmailTaken
			case c.Username != nil && c.Username.Key != "" && other.UsernameKey == c.Username.Key:
				return ErrUsernameTaken
			}
		}
		if c.Email != nil {
			u.Email, u.EmailKey = c.Email.Text, c.Email.Key
		}
		if c.Username != nil {
			u.Username, u.UsernameKey = c.Username.Text, c.Username.Key
		}
		if c.FirstName != nil {
			u.FirstName = *c.FirstName
		}
		if c.LastName != nil {
			u.LastName = *c.LastName
		}
		u.UpdatedAt = at
		return nil
	})
}

func (m *memory) AnnounceHashKind(_ context.Context, kind string, at time.Time) error {
	m.mu.Lock()
	defer m.mu.Unlock()
	if m.storeDown || m.failAnnounce {
		return errDown
	}
	if at.After(m.kinds[kind]) {
		m.kinds[kind] = at
	}
	return nil
}

func (m *memory) HashKinds(context.Context) ([]string, error) {
	m.mu.Lock()
	defer m.mu.Unlock()
	if m.storeDown {
		return nil, errDown
	}
	return slices.Sorted(maps.Keys(m.kinds)), nil
}

func (m *memory) ForgetHashKind(_ context.Context, kind string, before time.Time) error {
	m.mu.Lock()
	defer m.mu.Unlock()
	if at, ok := m.kinds[kind]; ok && at.Before(before) {
		delete(m.kinds, kind)
	}
	return nil
}
