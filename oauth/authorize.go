package oauth

import (
	"context"
	"crypto/sha256"
	"errors"
	"net/url"
	"slices"
	"strconv"
	"strings"
	"time"
	"unicode/utf8"

	"github.com/google/uuid"

	"github.com/keyturn/keyturn/internal/audit"
	"github.com/keyturn/keyturn/internal/clients"
	"github.com/keyturn/keyturn/internal/refusal"
	"github.com/keyturn/keyturn/users"
)

// Authorization is what the authorization endpoint decided (RFC 6749 §3.1): an
// answer for the client, or that the user has to log in or to consent first.
type Authorization struct {
	// Answer goes to the client; nil while the user has to log in or to consent.
	Answer *Answer
	// ClientID is who asks, LoginHint the name that the client expects.
	ClientID, LoginHint string
	// Locales are the languages that the client prefers for the page.
	Locales string
	// User has logged in, and is to consent to what the client Asks, which is somebody
	// else's if it is a ThirdParty.
	User       users.User
	Asks       []string
	ThirdParty bool
	// Request is what to go on with when the user has logged in, or has consented.
	Request url.Values
}

// Answer is what a client is told, through the browser.
type Answer struct {
	RedirectURI string
	// Posted says that the browser is to post the parameters, and not to follow a
	// redirect with them.
	Posted bool
	Params url.Values
}

// Location is where a redirect with the answer leads.
func (a *Answer) Location() string {
	if len(a.Params) == 0 {
		return a.RedirectURI
	}
	separator := "?"
	if strings.Contains(a.RedirectURI, "?") {
		separator = "&"
	}
	return a.RedirectURI + separator + a.Params.Encode()
}

// authorization is an authorization request as it is read.
type authorization struct {
	values url.Values
	// pushed is the request that values are of, if it was pushed.
	pushed *pushed
	client clients.Client
	// What is set from here on may be told to the client.
	redirectURI     string
	posted          bool
	scope, audience []string
	challenge       string
	prompts         []string
	maxAge          time.Duration
	hasMaxAge       bool
	// hinted is the subject that an id_token_hint names, or empty.
	hinted string
	event  audit.Event
}

// unauthorized is the refusal of an authorization request, with its error code if
// the table of refusals has none.
type unauthorized struct {
	*refusal.Error
	code string
}

// authorizationParameters are those that Keyturn gives a meaning to, and so may come
// once; resource may come often (RFC 8707 §2).
var authorizationParameters = []string{
	"client_id", "redirect_uri", "state", "response_mode", "response_type", "scope", "nonce", "code_challenge", "code_challenge_method",
	"dpop_jkt", "prompt", "max_age", "login_hint", "id_token_hint", "ui_locales", "acr_values", "request", "request_uri", "registration",
}

// ResponseModes lists the ways in which an answer can come (OAuth 2.0 Multiple
// Response Types §2.1, OAuth 2.0 Form Post Response Mode).
func ResponseModes() []string { return []string{"query", "form_post"} }

// Authorize decides an authorization request of a browser that has the cookie. What
// cannot be told to a client is refused with an error, for the page.
func (s *Service) Authorize(ctx context.Context, values url.Values, cookie string) (Authorization, *refusal.Error) {
	a, login, no, e := s.readRequest(ctx, values, cookie)
	switch {
	case e != nil:
		return Authorization{}, s.Conclude(ctx, a.event, e)
	case no == nil && login.session.ID == "":
		return Authorization{ClientID: a.client.ID, LoginHint: a.get("login_hint"), Locales: a.get("ui_locales"), Request: s.goOn(a)}, nil
	case no == nil && a.needsConsent(login.User) && !slices.Contains(a.prompts, "none"):
		return Authorization{ClientID: a.client.ID, User: login.User, Asks: a.asked(), ThirdParty: a.client.ThirdParty, Locales: a.get("ui_locales"), Request: s.goOn(a)}, nil
	case no == nil && a.needsConsent(login.User):
		no = &unauthorized{refusal.New(refusal.BadCredentials, audit.ReasonNoConsent, "The user has to consent."), "consent_required"}
	}
	return s.answer(ctx, a, login, no)
}

// readRequest reads an authorization request, and finds the log-in that it is to be
// answered for: the zero one if the user has to log in. e is for the page, no for the
// client.
func (s *Service) readRequest(ctx context.Context, values url.Values, cookie string) (a *authorization, login Login, no *unauthorized, e *refusal.Error) {
	a = &authorization{values: values, event: audit.Event{Action: audit.CodeIssued}}
	if e = s.openPushed(ctx, a); e == nil {
		e = s.addressee(ctx, a)
	}
	if e != nil {
		return a, Login{}, nil, e
	}
	no = s.readAuthorization(a)
	if no == nil && a.client.RequiresPAR && a.pushed == nil {
		no = &unauthorized{Error: refusal.New(refusal.Malformed, audit.ReasonNotPushed, "The application has to push its requests (RFC 9126).")}
	}
	if no == nil {
		login, no = s.suitable(ctx, a, cookie)
	}
	return a, login, no, nil
}

// answer answers a client with a code for the log-in, or with the error if there is one.
func (s *Service) answer(ctx context.Context, a *authorization, login Login, no *unauthorized) (Authorization, *refusal.Error) {
	var e *refusal.Error
	if a.pushed != nil && (no == nil || !no.Temporary()) {
		if e = s.spendPushed(ctx, a.pushed); e != nil && !e.Temporary() {
			return Authorization{}, s.Conclude(ctx, a.event, e)
		} else if e != nil {
			no = &unauthorized{Error: e}
		}
	}
	params := url.Values{}
	if no == nil {
		params.Set("code", s.makeCode(a, login))
	}
	if no != nil {
		e = no.Error
	}
	if told := s.Conclude(ctx, a.event, e); told != nil {
		params = url.Values{"error_description": {told.Public()}}
		if params.Set("error", answers[told.Code].code); told == e && no.code != "" {
			params.Set("error", no.code)
		}
	}
	params.Set("iss", s.settings.Issuer) // RFC 9207
	if state := a.values["state"]; len(state) == 1 && validText(state[0]) {
		params.Set("state", state[0])
	}
	return Authorization{ClientID: a.client.ID, Answer: &Answer{RedirectURI: a.redirectURI, Posted: a.posted, Params: params}}, nil
}

func (a *authorization) get(name string) string { return a.values.Get(name) }

func validText(s string) bool { return utf8.ValidString(s) && !strings.ContainsRune(s, 0) }

// addressee finds the client, and where it may be told anything (RFC 6749
// §4.1.2.1).
func (s *Service) addressee(ctx context.Context, a *authorization) *refusal.Error {
	malformed := func(reason audit.Reason, text string) *refusal.Error {
		return refusal.New(refusal.Malformed, reason, text)
	}
	id := a.values["client_id"]
	switch {
	case len(id) != 1:
		return malformed(audit.ReasonNoClient, "The parameter client_id has to be there once.")
	case !clients.ValidID(id[0]):
		return malformed(audit.ReasonMalformedClientID, "The application is not known here.")
	}
	client, err := s.store.ClientByID(ctx, id[0])
	switch {
	case errors.Is(err, clients.ErrNotFound):
		return malformed(audit.ReasonUnknownClient, "The application is not known here.")
	case err != nil:
		return refusal.Undecided(audit.ReasonStore, err)
	}
	a.event.ClientID = client.ID
	if client.Disabled {
		return malformed(audit.ReasonDisabledClient, "The application is not known here.")
	}
	a.client = client
	return a.readRedirect()
}

// readRedirect finds where the client may be told anything.
func (a *authorization) readRedirect() *refusal.Error {
	redirect := a.values["redirect_uri"]
	switch {
	case len(redirect) != 1:
		return refusal.New(refusal.Malformed, audit.ReasonRedirectURI, "The parameter redirect_uri has to be there once.")
	case !a.client.RedirectsTo(redirect[0]):
		return refusal.New(refusal.Malformed, audit.ReasonRedirectURI, "The application is not registered with this redirect_uri.")
	}
	a.redirectURI = redirect[0]
	return nil
}

// readAuthorization reads the rest, strictly.
func (s *Service) readAuthorization(a *authorization) *unauthorized {
	invalid := func(reason audit.Reason, text string) *unauthorized {
		return &unauthorized{Error: refusal.New(refusal.Malformed, reason, text)}
	}
	switch modes := a.values["response_mode"]; {
	case len(modes) == 1 && modes[0] == "form_post":
		a.posted = true
	case len(modes) == 1 && modes[0] != "" && modes[0] != "query":
		return invalid(audit.ReasonMalformedParameter, "Use one of the response modes "+strings.Join(ResponseModes(), ", ")+".")
	}
	for _, name := range authorizationParameters {
		switch list := a.values[name]; {
		case len(list) > 1:
			return invalid(audit.ReasonRepeatedParameter, "The parameter "+name+" is given more than once.")
		case len(list) == 1 && !validText(list[0]):
			return invalid(audit.ReasonMalformedParameter, "The parameter "+name+" is not valid text.")
		}
	}
	for _, name := range []string{"request", "request_uri", "registration"} {
		if a.get(name) != "" {
			no := invalid(audit.ReasonMalformedParameter, "The parameter "+name+" is not supported.")
			no.code = name + "_not_supported" // OpenID Connect Core §3.1.2.6
			return no
		}
	}
	switch {
	case a.get("response_type") == "":
		return invalid(audit.ReasonResponseType, "The parameter response_type is missing.")
	case a.get("response_type") != "code":
		no := invalid(audit.ReasonResponseType, "Use the response type code.")
		no.code = "unsupported_response_type"
		return no
	case a.get("code_challenge") == "":
		return invalid(audit.ReasonChallenge, "The parameter code_challenge is missing: PKCE is required (RFC 7636).")
	case a.get("code_challenge_method") != "S256":
		return invalid(audit.ReasonChallenge, "Use the code_challenge_method S256.")
	case !isDigest(a.get("code_challenge")):
		return invalid(audit.ReasonChallenge, "The code_challenge is not the base64url of a SHA-256.")
	case a.get("dpop_jkt") != "" && !isDigest(a.get("dpop_jkt")):
		return invalid(audit.ReasonMalformedParameter, "The dpop_jkt is not the base64url of a SHA-256 (RFC 9449 §10).")
	case len(a.get("nonce")) > maxNonce:
		return invalid(audit.ReasonMalformedParameter, "The nonce is longer than "+strconv.Itoa(maxNonce)+" bytes.")
	}
	a.challenge = a.get("code_challenge")
	if text := a.get("max_age"); text != "" {
		age, err := strconv.ParseUint(text, 10, 31)
		if err != nil {
			return invalid(audit.ReasonMalformedParameter, "The max_age is not a number of seconds.")
		}
		a.maxAge, a.hasMaxAge = time.Duration(age)*time.Second, true
	}
	a.prompts = strings.Fields(a.get("prompt"))
	for _, p := range a.prompts {
		if !slices.Contains(Prompts(), p) {
			return invalid(audit.ReasonMalformedParameter, "Use one of the prompts "+strings.Join(Prompts(), ", ")+".")
		}
	}
	if len(a.prompts) > 1 && slices.Contains(a.prompts, "none") {
		return invalid(audit.ReasonMalformedParameter, "The prompt none excludes all others.")
	}
	if text := a.get("id_token_hint"); text != "" {
		if a.hinted = s.readHint(text).Subject; a.hinted == "" {
			return invalid(audit.ReasonMalformedParameter, "The id_token_hint is no ID token of this server.")
		}
	}
	return s.readReach(a)
}

// Prompts lists what a request can ask to be done (OpenID Connect Core §3.1.2.1).
func Prompts() []string { return []string{"none", "login", "select_account", "consent"} }

// maxNonce bounds a nonce, in bytes: a code bears it.
const maxNonce = 512

// readReach finds what the client may do, and what of that it asks for.
func (s *Service) readReach(a *authorization) *unauthorized {
	e := authorizationCodeGrant.servedTo(a.client, s.settings)
	if e == nil {
		a.scope, e = a.client.Grantable(a.get("scope"))
	}
	if e == nil {
		a.audience, e = target(a.values["resource"], s.settings.reach(a.client, a.scope))
	}
	if e != nil {
		return &unauthorized{Error: e}
	}
	return nil
}

// suitable returns the browser's log-in if it will do, and the zero one if the user
// has to log in. The client is answered for nobody but whom its id_token_hint names
// (OpenID Connect Core §3.1.2.1).
func (s *Service) suitable(ctx context.Context, a *authorization, cookie string) (Login, *unauthorized) {
	login, err := s.LoginOf(ctx, cookie)
	if err != nil {
		return Login{}, &unauthorized{Error: refusal.Undecided(audit.ReasonStore, err)}
	}
	old := a.hasMaxAge && s.now().Sub(login.session.AuthTime) > a.maxAge
	weak := login.session.Factor == "" && s.needsFactor(login.User, a.client, a.get("acr_values"))
	good := login.session.ID != "" && !old && !weak && !slices.Contains(a.prompts, "login") && !slices.Contains(a.prompts, "select_account")
	other := a.hinted != "" && a.hinted != login.User.UID
	if good && !other {
		return login, nil
	}
	if good || slices.Contains(a.prompts, "none") {
		e := refusal.New(refusal.BadCredentials, audit.ReasonLoginRequired, "The user has to log in.")
		return Login{}, &unauthorized{e, "login_required"}
	}
	return Login{}, nil
}

// makeCode makes the code of a request that is granted.
func (s *Service) makeCode(a *authorization, login Login) string {
	redirect := sha256.Sum256([]byte(a.redirectURI))
	c := code{
		SessionID: uuid.NewString(), ClientID: a.client.ID, Redirect: redirect[:], Challenge: a.challenge, Nonce: a.get("nonce"), JKT: a.get("dpop_jkt"),
		Scope: a.scope, Audience: a.audience, UserID: login.User.UID, Epoch: login.User.Epoch, LoginID: login.session.ID,
		AuthTime: login.session.AuthTime.UnixMilli(), Expires: s.families.latest().Add(codeTTL).UnixMilli(),
	}
	a.event.UserID, a.event.UserEmail, a.event.SessionID, a.event.Scope = c.UserID, login.User.Email, c.SessionID, strings.Join(c.Scope, " ")
	return s.families.codes.seal(c)
}
