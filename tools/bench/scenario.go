package main

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"strings"
)

// The endpoints, below the issuer.
const (
	jwksPath       = "/.well-known/jwks.json"
	tokenPath      = "/oauth/token"
	introspectPath = "/oauth/introspect"
)

// scenario is one kind of load and its floor.
type scenario struct {
	name string
	// What it authenticates with.
	needsClient, needsSecret, needsUser bool
	// open readies n clients for the server: it logs in where the scenario
	// starts from a login.
	open func(ctx context.Context, t *target, c credentials, n int) ([]session, error)
	// floor says what its floor is to serve, once the server is known to work.
	floor func(ctx context.Context, b *bench) (floorOrder, error)
	// replay readies n clients for the floor, which send what they would
	// send to the server. It is nil where the floor has no HTTP.
	replay func(t *target, c credentials, ready floorReady, n int) []session
}

// allScenarios returns every scenario in the order in which they run.
func allScenarios() []scenario {
	return []scenario{
		jwksScenario(),
		passwordScenario(),
		refreshScenario(),
		boundRefreshScenario(),
		clientCredentialsScenario(),
		introspectScenario(),
	}
}

// fixed is a session that always sends the same request and expects an answer
// that holds some text.
type fixed struct {
	bytes  []byte
	expect []byte
}

func (f *fixed) request() []byte { return f.bytes }

func (f *fixed) accept(body []byte) bool { return bytes.Contains(body, f.expect) }

// fixedSessions returns n clients that all send the same request.
func fixedSessions(request []byte, expect string, n int) []session {
	sessions := make([]session, n)
	for i := range sessions {
		sessions[i] = &fixed{bytes: request, expect: []byte(expect)}
	}
	return sessions
}

// tokens is what the scenarios read of a token response (RFC 6749 §5.1).
type tokens struct {
	AccessToken  string `json:"access_token"`
	RefreshToken string `json:"refresh_token"`
}

// fetch sends one request outside of the measuring and returns the answer's
// body, or an error that names the request, the status and, where the answer is
// an OAuth error (RFC 6749 §5.2), its code.
func fetch(ctx context.Context, c *conn, what string, request []byte) ([]byte, error) {
	status, body, err := c.do(ctx, request)
	if err != nil {
		return nil, fmt.Errorf("%s: %w", what, err)
	}
	if status < 200 || status > 299 {
		return nil, fmt.Errorf("%s: answered %d%s", what, status, errorCode(body))
	}
	return body, nil
}

// errorCode returns the code of an OAuth error for printing, with a blank
// before it, or "". Nothing else of an answer is ever printed.
func errorCode(body []byte) string {
	var e struct {
		Code string `json:"error"`
	}
	if json.Unmarshal(body, &e) != nil || e.Code == "" || len(e.Code) > 64 {
		return ""
	}
	for _, r := range e.Code {
		if !strings.ContainsRune("abcdefghijklmnopqrstuvwxyz_", r) {
			return ""
		}
	}
	return " " + e.Code
}

// fetchTokens asks the token endpoint once.
func fetchTokens(ctx context.Context, c *conn, grant string, request []byte) (tokens, error) {
	what := "POST " + tokenPath + " grant_type=" + grant
	body, err := fetch(ctx, c, what, request)
	if err != nil {
		return tokens{}, err
	}
	var got tokens
	if err := json.Unmarshal(body, &got); err != nil || got.AccessToken == "" {
		return tokens{}, fmt.Errorf("%s: the answer has no access_token", what)
	}
	return got, nil
}

// login starts a session of the user with the password grant.
func login(ctx context.Context, c *conn, creds credentials, u user) (tokens, error) {
	return fetchTokens(ctx, c, "password", c.target.post(tokenPath, creds.authorization()).
		append(nil, passwordForm(creds, u)))
}
