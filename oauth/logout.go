package oauth

import (
	"cmp"
	"context"
	"errors"
	"net/url"
	"slices"

	"github.com/keyturn/keyturn/internal/audit"
	"github.com/keyturn/keyturn/internal/clients"
	"github.com/keyturn/keyturn/internal/refusal"
)

// ScopeOffline has a session outlive the log-out at the page (OpenID Connect Core §11).
const ScopeOffline = "offline_access"

// Logout is what came of a request to log out (OpenID Connect RP-Initiated Logout 1.0).
type Logout struct {
	// Asks says that nothing was done, for the user has to be asked.
	Asks bool
	// ClientID is who sent the user, if anybody, and Request what to go on with.
	ClientID string
	Request  url.Values
	// Location is where the client wants the user next, or empty.
	Location string
}

// logoutParameters are those that Keyturn gives a meaning to.
var logoutParameters = []string{"id_token_hint", "client_id", "post_logout_redirect_uri", "state", "ui_locales"}

// LogOutBrowser logs the browser with that cookie out. It asks first, unless the user
// was asked already or the request bears an ID token of a session that was begun
// through this very log-in: nobody else has one. An ID token that is not proven is as
// good as a client_id. Who is not logged in is logged out.
func (s *Service) LogOutBrowser(ctx context.Context, values url.Values, cookie string, asked bool) (Logout, *refusal.Error) {
	event := audit.Event{Action: audit.UserLoggedOut}
	out, hinted, e := s.readLogout(ctx, values, &event)
	var f Family
	if e == nil {
		f, e = s.browserSession(ctx, cookie)
	}
	if e == nil && !asked && f.lives(s.now()) {
		out.Asks, e = s.mustAsk(ctx, hinted, f)
	}
	if e != nil {
		return Logout{}, s.Conclude(ctx, event, e)
	}
	if f.ID == "" || out.Asks {
		return out, nil
	}
	return out, s.logOut(ctx, f, out.ClientID)
}

// readLogout reads a request strictly. Nobody is led to an address that the client is
// not registered with.
func (s *Service) readLogout(ctx context.Context, values url.Values, event *audit.Event) (out Logout, hinted hint, e *refusal.Error) {
	malformed := func(reason audit.Reason, text string) (Logout, hint, *refusal.Error) {
		return Logout{}, hint{}, refusal.New(refusal.Malformed, reason, text)
	}
	for _, name := range logoutParameters {
		switch list := values[name]; {
		case len(list) > 1:
			return malformed(audit.ReasonRepeatedParameter, "The parameter "+name+" is given more than once.")
		case len(list) == 1 && !validText(list[0]):
			return malformed(audit.ReasonMalformedParameter, "The parameter "+name+" is not valid text.")
		}
	}
	hinted = s.readHint(values.Get("id_token_hint"))
	out.ClientID = cmp.Or(values.Get("client_id"), hinted.Audience)
	redirect := values.Get("post_logout_redirect_uri")
	switch {
	case out.ClientID != "" && !clients.ValidID(out.ClientID):
		return malformed(audit.ReasonMalformedClientID, "The application is not known here.")
	case hinted.Audience != "" && hinted.Audience != out.ClientID:
		return malformed(audit.ReasonTwoClients, "The ID token was issued to another client than the client_id names.")
	}
	if out.ClientID == "" {
		if redirect != "" {
			return malformed(audit.ReasonRedirectURI, "A post_logout_redirect_uri needs a client_id, or an id_token_hint of this server, beside it.")
		}
		return out, hinted, nil
	}
	client, err := s.store.ClientByID(ctx, out.ClientID)
	switch {
	case errors.Is(err, clients.ErrNotFound):
		return malformed(audit.ReasonUnknownClient, "The application is not known here.")
	case err != nil:
		return Logout{}, hint{}, refusal.Undecided(audit.ReasonStore, err)
	}
	event.ClientID = client.ID
	switch {
	case client.Disabled:
		return malformed(audit.ReasonDisabledClient, "The application is not known here.")
	case redirect != "" && !slices.Contains(client.PostLogoutRedirectURIs, redirect):
		return malformed(audit.ReasonRedirectURI, "The application is not registered with this post_logout_redirect_uri.")
	}
	out.Request = url.Values{"client_id": {client.ID}}
	if redirect != "" {
		answer := Answer{RedirectURI: redirect, Params: url.Values{}}
		out.Request.Set("post_logout_redirect_uri", redirect)
		if state := values.Get("state"); state != "" {
			out.Request.Set("state", state)
			answer.Params.Set("state", state)
		}
		out.Location = answer.Location()
	}
	return out, hinted, nil
}

// mustAsk reports whether the hint is of no session that was begun through the log-in.
func (s *Service) mustAsk(ctx context.Context, hinted hint, login Family) (bool, *refusal.Error) {
	if !hinted.proven || hinted.Session == "" || hinted.Subject != login.UserID {
		return true, nil
	}
	f, err := s.store.FamilyByID(ctx, hinted.Session)
	if err != nil && !errors.Is(err, ErrNoFamily) {
		return false, refusal.Undecided(audit.ReasonStore, err)
	}
	return f.UserID != login.UserID || f.root() != login.root(), nil
}

// logOut ends a browser's log-in, and the sessions that were begun through it.
func (s *Service) logOut(ctx context.Context, f Family, clientID string) *refusal.Error {
	event := audit.Event{
		Action: audit.UserLoggedOut, Outcome: audit.Success, UserID: f.UserID, ClientID: clientID, SessionID: f.ID, Reason: audit.ReasonLogout,
	}
	told, _, err := s.sessions().end(ctx, s.Audit, f, audit.ReasonLogout.String(), event, nil)
	if errors.Is(err, ErrNoFamily) {
		err = nil // it is gone
	}
	event.ID = told.ID // empty if it had ended before
	return s.Conclude(ctx, event, refusalOf(err))
}
