package oauth

import (
	"cmp"
	"context"
	"net/url"
	"slices"
	"strings"

	"github.com/keyturn/keyturn/internal/audit"
	"github.com/keyturn/keyturn/internal/refusal"
	"github.com/keyturn/keyturn/users"
)

// ClientName is what people know a client by: its id if it has no name, or cannot be read.
func (s *Service) ClientName(ctx context.Context, id string) string {
	client, _ := s.store.ClientByID(ctx, id)
	return cmp.Or(client.Name, id)
}

// needsConsent reports whether the user has to be asked before the client is answered:
// a third party's client gets nothing that its user has not let it have.
func (a *authorization) needsConsent(u users.User) bool {
	return slices.Contains(a.prompts, "consent") || a.client.ThirdParty && !u.ConsentsTo(a.client.ID, a.scope)
}

// asked is what the user is told that the client asks for: the scope, and the claims
// that its tokens bear.
func (a *authorization) asked() []string { return slices.Concat([]string{}, a.scope, a.client.Claims) }

// Consent takes the answer of the user uid to what an authorization request asks for.
// A yes is remembered, and goOn is the request to go on with; a no is told to the
// client. If another user has logged in meanwhile, or nobody is, it is Authorize.
func (s *Service) Consent(ctx context.Context, values url.Values, cookie, uid string, yes bool) (out Authorization, goOn url.Values, e *refusal.Error) {
	a, login, no, e := s.readRequest(ctx, values, cookie)
	switch {
	case e != nil:
		return Authorization{}, nil, s.Conclude(ctx, a.event, e)
	case no != nil || login.User.UID != uid:
		out, e = s.Authorize(ctx, values, cookie)
	case yes:
		if e = s.Told(ctx, s.users.GiveConsent(ctx, uid, a.client.ID, a.scope, login.session.ID)); e == nil {
			goOn = s.goOnWith(values, without("prompt"))
		}
	default:
		no = &unauthorized{refusal.New(refusal.BadCredentials, audit.ReasonConsentRefused, "The user does not consent."), "access_denied"}
		a.event.UserID, a.event.UserEmail = login.User.UID, login.User.Email
		out, e = s.answer(ctx, a, login, no)
	}
	return out, goOn, e
}

// AfterLogin returns the request to go on with when the user has logged in for it:
// without what asked for that, which is done.
func (s *Service) AfterLogin(values url.Values) url.Values {
	return s.goOnWith(values, func(request url.Values) url.Values {
		rest := without("prompt", "max_age")(request)
		if slices.Contains(strings.Fields(request.Get("prompt")), "consent") {
			rest.Set("prompt", "consent")
		}
		return rest
	})
}

// goOnWith returns an authorization request with what it asks for changed, also if it
// was pushed.
func (s *Service) goOnWith(values url.Values, change func(url.Values) url.Values) url.Values {
	var p pushed
	if s.families.pushes.open(values.Get("request_uri"), &p) == nil {
		p.Values = change(p.Values)
		return s.named(p)
	}
	return change(values)
}

func without(names ...string) func(url.Values) url.Values {
	return func(values url.Values) url.Values {
		rest := url.Values{}
		for name, list := range values {
			if !slices.Contains(names, name) {
				rest[name] = list
			}
		}
		return rest
	}
}

// stillConsents refuses a third party's client whose user has withdrawn the consent
// since the code was made.
func (s *Service) stillConsents(ctx context.Context, q *tokenRequest, uid string) *refusal.Error {
	if !q.client.ThirdParty {
		return nil
	}
	u, err := s.users.ByID(ctx, uid)
	switch {
	case err != nil:
		return refusal.Undecided(audit.ReasonStore, err)
	case !u.ConsentsTo(q.client.ID, q.consented):
		return codeRefused(audit.ReasonNoConsent)
	}
	return nil
}
