package users

import (
	"context"
	"slices"

	"github.com/keyturn/keyturn/internal/audit"
)

func (m *memory) SetClaimsOf(_ context.Context, uid, claims string) (int, error) {
	m.mu.Lock()
	defer m.mu.Unlock()
	if m.sessionsDown {
		return 0, errDown
	}
	m.claims[uid] = claims
	return len(m.sessions[uid]), nil
}

func (m *memory) EndSessionsWith(context.Context, string, string, string) (int, error) { return 0, nil }

func (m *memory) EndSessionsOf(_ context.Context, uid, except, reason string) (int, error) {
	m.mu.Lock()
	defer m.mu.Unlock()
	if m.sessionsDown {
		return 0, errDown
	}
	before := len(m.sessions[uid])
	m.sessions[uid] = slices.DeleteFunc(m.sessions[uid], func(id string) bool { return id != except })
	m.ended = append(m.ended, reason)
	return before - len(m.sessions[uid]), nil
}

func (m *memory) SetEmailOf(_ context.Context, uid, email string) (int, error) {
	m.mu.Lock()
	defer m.mu.Unlock()
	if m.sessionsDown {
		return 0, errDown
	}
	m.emails[uid] = email
	return len(m.sessions[uid]), nil
}

// SessionOf finds only sessions that live, but "ended", which each account has.
func (m *memory) SessionOf(_ context.Context, uid, id string) (bool, error) {
	m.mu.Lock()
	defer m.mu.Unlock()
	switch {
	case m.sessionsDown:
		return false, errDown
	case slices.Contains(m.sessions[uid], id):
		return true, nil
	case id == "ended":
		return false, nil
	}
	return false, ErrNoSession
}

func (m *memory) EndSession(ctx context.Context, e audit.Event) (bool, error) {
	if _, err := m.SessionOf(ctx, e.UserID, e.SessionID); err != nil {
		return false, err
	}
	m.mu.Lock()
	i := slices.Index(m.sessions[e.UserID], e.SessionID)
	if i >= 0 {
		m.sessions[e.UserID] = slices.Delete(m.sessions[e.UserID], i, i+1)
		m.ended = append(m.ended, e.Reason.String())
		e.Count = 1
	}
	m.mu.Unlock()
	return i >= 0, m.Record(ctx, e)
}

func (m *memory) OwesNotice(context.Context, string, string) (bool, error) { return false, nil }

func (m *memory) CountSessionsOf(_ context.Context, uid, except string) (int, error) {
	m.mu.Lock()
	defer m.mu.Unlock()
	if m.countDown {
		return 0, errDown
	}
	n := 0
	for _, id := range m.sessions[uid] {
		if id != except {
			n++
		}
	}
	return n, nil
}
