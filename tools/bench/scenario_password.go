package main

import (
	"bytes"
	"context"
)

// passwordScenario logs in again and again (RFC 6749 §4.3).
func passwordScenario() scenario {
	return scenario{
		name:        "password",
		needsClient: true,
		needsUser:   true,
		open: func(_ context.Context, t *target, c credentials, n int) ([]session, error) {
			return passwordSessions(t, c, n), nil
		},
		floor: func(_ context.Context, b *bench) (floorOrder, error) {
			return floorOrder{Kind: floorHash, Argon2: b.argon2}, nil
		},
	}
}

// passwordForm is the body of a login.
func passwordForm(c credentials, u user) []byte {
	pairs := []string{"grant_type", "password", "username", u.name, "password", u.password}
	if c.scope != "" {
		pairs = append(pairs, "scope", c.scope)
	}
	return c.form(pairs...)
}

// passwordSession logs in its users in turn.
type passwordSession struct {
	requests [][]byte
	next     int
}

// passwordSessions deals the users out to n clients; where there are fewer
// users than clients, clients share them.
func passwordSessions(t *target, c credentials, n int) []session {
	p := t.post(tokenPath, c.authorization())
	sessions := make([]session, n)
	for i := range sessions {
		s := &passwordSession{}
		for j := i % len(c.users); j < len(c.users); j += n {
			s.requests = append(s.requests, p.append(nil, passwordForm(c, c.users[j])))
		}
		sessions[i] = s
	}
	return sessions
}

func (s *passwordSession) request() []byte {
	r := s.requests[s.next]
	s.next = (s.next + 1) % len(s.requests)
	return r
}

func (s *passwordSession) accept(body []byte) bool {
	return bytes.Contains(body, []byte(`"access_token"`))
}
