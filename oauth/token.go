package oauth

import (
	"context"
	"encoding/json"
	"net/http"
	"strings"
	"time"

	"github.com/keyturn/keyturn/internal/audit"
	"github.com/keyturn/keyturn/internal/clients"
	"github.com/keyturn/keyturn/internal/dpop"
	"github.com/keyturn/keyturn/internal/refusal"
)

// Token is the token endpoint (RFC 6749 §3.2).
func (s *Service) Token(w http.ResponseWriter, r *http.Request) {
	// 1. Parse: what cannot be read costs no visit to the store.
	q, e := readTokenRequest(r)
	if e == nil {
		q.proof, e = s.readProof(r, "")
	}
	// 2. Authenticate the client, 3. decide, 4. record.
	out, e := s.grant(r.Context(), q, e)
	// 5. Answer.
	if e != nil {
		writeError(w, e)
		return
	}
	answer := out.answer()
	body, _ := json.Marshal(answer) // texts and a number can always be encoded
	writeObject(w, http.StatusOK, body)
}

// grant takes a token request from its parsing to its end, for the token
// endpoint and for the first-party routes: unread says why it could not be
// parsed. One event tells how it ended.
func (s *Service) grant(ctx context.Context, q *tokenRequest, unread *refusal.Error) (out issued, e *refusal.Error) {
	if e = unread; e == nil {
		out, e = s.decide(ctx, q)
	}
	// 4. Record. What was granted is taken back if that fails (A3).
	if e == nil && q.event.ID == "" {
		out.describe(&q.event)
	}
	told := s.Conclude(ctx, q.event, e)
	if told != nil && e == nil && out.undo != nil {
		out.undo(ctx)
	}
	return out, told
}

func (s *Service) decide(ctx context.Context, q *tokenRequest) (issued, *refusal.Error) {
	g, unserved := servedGrant(q.grantType)
	// 2. Authenticate the client. A grant that does so itself, in the step that
	// decides, still leaves an assertion to this: one is spent only once.
	if !g.provesClient || q.by.HasAssertion() {
		client, e := s.clients.Authenticate(ctx, q.by)
		if e != nil {
			return issued{}, e
		}
		q.client = client
	}
	// 3. Decide.
	if unserved != nil {
		return issued{}, unserved
	}
	q.grant, q.event.Grant = g, g.name
	if !g.provesClient {
		if e := g.servedTo(q.client, s.settings); e != nil {
			return issued{}, e
		}
		if e := q.provesKey(q.client); e != nil {
			return issued{}, e
		}
	}
	return g.decide(s, ctx, q)
}

// tokenRequest is a request for tokens as it was read, every parameter once. The
// zero value asks for nothing, as nobody.
type tokenRequest struct {
	grantType string
	by        clients.Credentials
	// proof is of the key that the tokens are to be bound to, nil for none. It was
	// found good, and is spent by the grant that takes it.
	proof     *dpop.Proof
	scope     string
	resources []string
	// The parameters of single grants.
	username, password, refreshToken string
	code, redirectURI, verifier      string
	// answer is that to the challenge of a log-in whose second factor was due.
	answer FactorAnswer
	// nonce is that of the authorization request (OpenID Connect Core §2).
	nonce string
	// consented is the scope that the user of a code has to let a third party have.
	consented []string
	// loginID is the log-in at the page that a code was made by.
	loginID string

	// client and grant are what by and grantType named, once they are known.
	client clients.Client
	grant  grant
	// event is what the audit log is to be told.
	event audit.Event
}

func readTokenRequest(r *http.Request) (*tokenRequest, *refusal.Error) {
	q := &tokenRequest{event: audit.Event{Action: audit.TokenRefused}}
	f, e := readForm(r)
	if e != nil {
		return q, e
	}
	if q.by, e = clients.ReadCredentials(r, f.values); e != nil {
		q.by.TellClaim(&q.event)
		return q, e
	}
	q.event.ClientID = q.by.ID
	q.grantType, q.scope, q.resources = f.get("grant_type"), f.get("scope"), f.all("resource")
	q.username, q.password, q.refreshToken = f.get("username"), f.get("password"), f.get("refresh_token")
	q.code, q.redirectURI, q.verifier = f.get("code"), f.get("redirect_uri"), f.get("code_verifier")
	return q, nil
}

// reach returns the scope and, of the audiences that a grant of it may be for, the
// part that the client gets of what it asks for at the beginning.
func (q *tokenRequest) reach(audiences func(scope []string) []string) (scope, aud []string, e *refusal.Error) {
	if scope, e = q.client.Grantable(q.scope); e != nil {
		return nil, nil, e
	}
	aud, e = target(q.resources, audiences(scope))
	return scope, aud, e
}

// issued is what a grant yields: the members of the answer (RFC 6749 §5.1).
type issued struct {
	access  minted
	refresh string
	idToken string
	scope   []string
	family  *Family // nil if no session stands behind it
	// refreshTimeout is how long the refresh token may be held, sessionExpiresIn
	// how long the session lasts at most.
	refreshTimeout, sessionExpiresIn time.Duration
	// email is the user's address where a password was checked.
	email         string
	emailVerified bool
	// recovery are the recovery codes that a first second factor came with.
	recovery []string
	// undo takes back what the grant wrote, should its event fail.
	undo func(context.Context)
}

// describe tells the audit log what was issued.
func (i issued) describe(event *audit.Event) {
	event.TokenID, event.KeyID = i.access.id, i.access.kid
	event.Scope = strings.Join(i.scope, " ")
}

// carry puts in the refresh token of a family, and how long it lasts.
func (i *issued) carry(token string, f Family, now time.Time) {
	i.refresh = token
	i.refreshTimeout, i.sessionExpiresIn = f.IdleExpiresAt.Sub(now), f.ExpiresAt.Sub(now)
}

// TokenAnswer is the answer of RFC 6749 §5.1.
type TokenAnswer struct {
	AccessToken  string `json:"access_token"`
	TokenType    string `json:"token_type"`
	ExpiresIn    int64  `json:"expires_in"`
	RefreshToken string `json:"refresh_token,omitempty"`
	// How long the refresh token may be held and the authorization lasts, in
	// seconds (draft-ietf-oauth-refresh-token-expiration-03 §6.1).
	RefreshTimeout         int64  `json:"refresh_token_timeout,omitempty"`
	AuthorizationExpiresIn int64  `json:"authorization_expires_in,omitempty"`
	Scope                  string `json:"scope,omitempty"`
	IDToken                string `json:"id_token,omitempty"`
}

func (i issued) answer() TokenAnswer {
	return TokenAnswer{
		AccessToken: i.access.token, TokenType: i.access.kind, ExpiresIn: int64(i.access.expiresIn.Seconds()),
		RefreshToken: i.refresh, RefreshTimeout: int64(i.refreshTimeout.Seconds()), AuthorizationExpiresIn: int64(i.sessionExpiresIn.Seconds()),
		Scope: strings.Join(i.scope, " "), IDToken: i.idToken,
	}
}
