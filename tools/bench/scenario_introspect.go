package main

import (
	"context"
	"encoding/json"
)

// introspectScenario asks whether an access token is live (RFC 7662). The
// tokens are those of logins, one for each client, where there is a user, and
// else one of the client's own.
func introspectScenario() scenario {
	return scenario{
		name:        "introspect",
		needsClient: true,
		needsSecret: true,
		open:        openIntrospect,
		floor: func(context.Context, *bench) (floorOrder, error) {
			return floorOrder{Kind: floorVerify}, nil
		},
		replay: func(t *target, c credentials, ready floorReady, n int) []session {
			sessions := make([]session, n)
			for i := range sessions {
				sessions[i] = newIntrospectSession(t, c, ready.Token)
			}
			return sessions
		},
	}
}

// introspectSession asks about one token.
type introspectSession struct {
	bytes []byte
}

func newIntrospectSession(t *target, c credentials, token string) *introspectSession {
	body := c.form("token", token, "token_type_hint", "access_token")
	return &introspectSession{bytes: t.post(introspectPath, c.authorization()).append(nil, body)}
}

func openIntrospect(ctx context.Context, t *target, c credentials, n int) ([]session, error) {
	nc := &conn{target: t}
	defer nc.close()
	sessions := make([]session, n)
	if len(c.users) == 0 {
		got, err := fetchTokens(ctx, nc, "client_credentials", clientCredentialsRequest(t, c))
		if err != nil {
			return nil, err
		}
		for i := range sessions {
			sessions[i] = newIntrospectSession(t, c, got.AccessToken)
		}
		return sessions, nil
	}
	for i := range sessions {
		got, err := login(ctx, nc, c, c.users[i%len(c.users)])
		if err != nil {
			return nil, err
		}
		sessions[i] = newIntrospectSession(t, c, got.AccessToken)
	}
	return sessions, nil
}

func (s *introspectSession) request() []byte { return s.bytes }

// accept wants to hear that the token is live: a server that says otherwise has
// not done the work that is measured.
func (s *introspectSession) accept(body []byte) bool {
	var answer struct {
		Active bool `json:"active"`
	}
	return json.Unmarshal(body, &answer) == nil && answer.Active
}
