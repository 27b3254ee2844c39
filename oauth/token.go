package oauth

import (
	"context"
	"net/http"
	"slices"
	"strings"

	"github.com/keyturn/keyturn/internal/audit"
	"github.com/keyturn/keyturn/internal/refusal"
)

// The grant types that Keyturn serves.
const (
	GrantPassword          = "password"
	GrantRefreshToken      = "refresh_token"
	GrantClientCredentials = "client_credentials"
)

// Grants lists the grant types that Keyturn serves.
func Grants() []string {
	return []string{GrantPassword, GrantRefreshToken, GrantClientCredentials}
}

// issued is what a grant yields: the members of the answer (RFC 6749 §5.1).
type issued struct {
	access  minted
	refresh string
	scope   []string
	family  Family
	// email is the user's address where a password was checked.
	email string
	// undo takes back what the grant wrote, should its event fail.
	undo func(context.Context)
}

type tokenAnswer struct {
	AccessToken  string `json:"access_token"`
	TokenType    string `json:"token_type"`
	ExpiresIn    int64  `json:"expires_in"`
	RefreshToken string `json:"refresh_token,omitempty"`
	Scope        string `json:"scope,omitempty"`
}

func (i issued) answer() tokenAnswer {
	return tokenAnswer{
		AccessToken: i.access.token, TokenType: "Bearer", ExpiresIn: int64(i.access.expiresIn.Seconds()),
		RefreshToken: i.refresh, Scope: strings.Join(i.scope, " "),
	}
}

// Token is the token endpoint (RFC 6749 §3.2).
func (s *Service) Token(w http.ResponseWriter, r *http.Request) {
	ctx := r.Context()
	event := audit.Event{Action: audit.TokenRefused}
	out, e := s.grant(ctx, r, &event)
	if e = s.settle(ctx, out, &event, e); e != nil {
		writeError(w, e)
		return
	}
	answer := out.answer()
	body := make([]byte, 0, answerRoom+len(answer.AccessToken)+len(answer.RefreshToken)+len(answer.Scope))
	writeObject(w, http.StatusOK, answer.appendTo(body))
}

// grant decodes the request, authenticates the client and lets the grant
// decide. It fills event with what is known of the request.
func (s *Service) grant(ctx context.Context, r *http.Request, event *audit.Event) (issued, *refusal.Error) {
	f, e := readForm(r)
	if e != nil {
		return issued{}, e
	}
	credentials, e := readCredentials(r, f)
	if e != nil {
		return issued{}, e
	}
	event.ClientID, event.Grant = credentials.id, f.get("grant_type")
	ask := ask{scope: f.get("scope"), resources: f.all("resource")}
	if event.Grant == GrantRefreshToken {
		// An assertion is looked at outside the step that moves the family on.
		if credentials.assertion != nil {
			if _, e := s.authenticate(ctx, credentials); e != nil {
				return issued{}, e
			}
		}
		return s.refreshGrant(ctx, credentials.id, credentials.prove, ask, f.get("refresh_token"), event)
	}
	client, e := s.authenticate(ctx, credentials)
	if e != nil {
		event.Grant = ""
		return issued{}, e
	}
	if e := s.mayUse(client, event.Grant); e != nil {
		if e.Code != refusal.GrantNotAllowed {
			event.Grant = ""
		}
		return issued{}, e
	}
	ask.client = client
	if event.Grant == GrantPassword {
		return s.passwordGrant(ctx, ask, f.get("username"), f.get("password"), event)
	}
	return s.clientCredentialsGrant(ask, event)
}

// ask is what every grant is asked for, by whom.
type ask struct {
	client    Client
	scope     string
	resources []string
}

func (s *Service) mayUse(client Client, grant string) *refusal.Error {
	switch {
	case grant == "":
		return refusal.New(refusal.Malformed, audit.ReasonNoGrantType, "The parameter grant_type is missing.")
	case !slices.Contains(Grants(), grant):
		return refusal.New(refusal.UnsupportedGrant, audit.ReasonUnsupportedGrantType, "Use one of the grant types password, refresh_token, client_credentials.")
	case grant == GrantPassword && !s.settings.PasswordGrant:
		return refusal.New(refusal.UnsupportedGrant, audit.ReasonPasswordGrantOff, "The password grant is switched off here.")
	case !slices.Contains(client.Grants, grant):
		return refusal.New(refusal.GrantNotAllowed, audit.ReasonGrantNotAllowed, "The client is not registered for this grant type.")
	}
	return nil
}

// settle writes the one event of a token request, refused or granted, and takes
// the grant back if that fails (A3).
func (s *Service) settle(ctx context.Context, out issued, event *audit.Event, e *refusal.Error) *refusal.Error {
	if e == nil && event.ID == "" {
		out.describe(event)
	}
	failure := s.conclude(ctx, *event, e)
	if e == nil && failure != nil && out.undo != nil {
		out.undo(ctx)
	}
	return failure
}

// describe tells the audit log what was issued.
func (i issued) describe(event *audit.Event) {
	event.TokenID, event.KeyID = i.access.id, i.access.kid
	event.Scope = strings.Join(i.scope, " ")
}

// clientCredentialsGrant serves RFC 6749 §4.4: the client acts for itself, and
// its id is the subject (RFC 9068 §2.2).
func (s *Service) clientCredentialsGrant(a ask, event *audit.Event) (issued, *refusal.Error) {
	if a.client.Public {
		return issued{}, refusal.New(refusal.GrantNotAllowed, audit.ReasonPublicClient, "A public client cannot use this grant type.")
	}
	scope, e := a.client.grantable(a.scope)
	if e != nil {
		return issued{}, e
	}
	aud, e := target(a.resources, a.client.Audience)
	if e != nil {
		return issued{}, e
	}
	token, err := s.mint(claims{Subject: a.client.ID, Audience: aud, Scope: strings.Join(scope, " ")}, a.client, s.now())
	if err != nil {
		return issued{}, refusal.Undecided(audit.ReasonSigning, err)
	}
	event.Action = audit.TokenIssued
	return issued{access: token, scope: scope}, nil
}
