package main

import (
	"context"
	"encoding/json"
	"errors"
	"net/url"
	"strings"
)

// refreshScenario logs each client in once and then refreshes without end, each
// time with the newest token (RFC 6749 §6).
func refreshScenario() scenario {
	return refreshing("refresh", func(*target) (*holder, error) { return nil, nil })
}

// boundRefreshScenario is refreshScenario of clients that prove a key with each
// request (RFC 9449). The proofs are made before a run, so that the run has the
// server's work alone.
func boundRefreshScenario() scenario { return refreshing("refresh-bound", newHolder) }

func refreshing(name string, key func(*target) (*holder, error)) scenario {
	return scenario{
		name:        name,
		needsClient: true,
		needsUser:   true,
		open: func(ctx context.Context, t *target, c credentials, n int) ([]session, error) {
			return openRefresh(ctx, t, c, n, key)
		},
		floor: func(_ context.Context, b *bench) (floorOrder, error) {
			return floorOrder{Kind: floorRefresh, Families: b.clients}, nil
		},
		replay: func(t *target, c credentials, ready floorReady, n int) []session {
			sessions := make([]session, n)
			for i := range sessions {
				// The floor asks nobody for a key.
				sessions[i] = newRefreshSession(t, c, ready.Token, nil)
			}
			return sessions
		},
	}
}

// refreshSession is a login that is carried on by refreshes.
type refreshSession struct {
	post  post
	form  []byte
	token string
	// by makes the proofs; nil where none are sent.
	by *holder
	// body and buf are kept for the next request.
	body, buf []byte
}

// openRefresh logs in one user after the other, so that the server is not asked
// for more password hashes at once than it is willing to make.
func openRefresh(ctx context.Context, t *target, c credentials, n int, key func(*target) (*holder, error)) ([]session, error) {
	nc := &conn{target: t}
	defer nc.close()
	sessions := make([]session, n)
	for i := range sessions {
		by, err := key(t)
		if err != nil {
			return nil, err
		}
		form := by.prove(t.post(tokenPath, c.authorization()), nil, passwordForm(c, c.users[i%len(c.users)]))
		got, err := fetchTokens(ctx, nc, "password", form)
		if err != nil {
			return nil, err
		}
		if got.RefreshToken == "" {
			return nil, errors.New("the login's answer has no refresh_token: the client must be registered with the grant refresh_token")
		}
		sessions[i] = newRefreshSession(t, c, got.RefreshToken, by)
	}
	return sessions, nil
}

func newRefreshSession(t *target, c credentials, token string, by *holder) *refreshSession {
	form := append(c.form("grant_type", "refresh_token"), "&refresh_token="...)
	return &refreshSession{post: t.post(tokenPath, c.authorization()), form: form, token: token, by: by}
}

// prepare implements preparer.
func (s *refreshSession) prepare(requests int) {
	if s.by != nil {
		s.by.prepare(requests)
	}
}

func (s *refreshSession) request() []byte {
	s.body = append(append(s.body[:0], s.form...), url.QueryEscape(s.token)...)
	s.buf = s.by.prove(s.post, s.buf[:0], s.body)
	return s.buf
}

func (s *refreshSession) accept(body []byte) bool {
	var next struct {
		RefreshToken string `json:"refresh_token"`
	}
	if json.Unmarshal(body, &next) != nil || next.RefreshToken == "" {
		return false
	}
	s.token = next.RefreshToken
	return true
}

// sampleToken has the length of a refresh token and opens nothing.
func sampleToken() string {
	return "kt_rt_" + strings.Repeat("0", 90)
}
