package users

import (
	"context"
	"maps"
	"slices"
	"time"
)

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
