package oauth

import (
	"context"
	"net/http"
	"net/url"
	"strings"
	"time"

	"github.com/google/uuid"

	"github.com/keyturn/keyturn/internal/audit"
	"github.com/keyturn/keyturn/internal/refusal"
)

// requestURIPrefix is what the request_uri of a pushed request begins with (RFC 9126
// §2.2).
const requestURIPrefix = "urn:ietf:params:oauth:request_uri:"

const (
	// pushTTL is how long after the push a browser may come with the request.
	pushTTL = time.Minute
	// pushedLoginTTL is how long after it the user may take to log in.
	pushedLoginTTL = time.Hour
)

// pushed is an authorization request that its client has sent beforehand (RFC 9126),
// sealed for its way through the browser. It is stored nowhere: the denylist has what
// was answered.
type pushed struct {
	ID       string     `json:"i"`
	ClientID string     `json:"c"`
	Values   url.Values `json:"v"`
	// At is when it was pushed, in milliseconds. Begun says that a browser has come
	// with it.
	At    int64 `json:"t"`
	Begun bool  `json:"b,omitempty"`
}

// over reports whether the request no longer counts at now.
func (p *pushed) over(now time.Time) bool {
	ttl := pushTTL
	if p.Begun {
		ttl = pushedLoginTTL
	}
	return !now.Before(time.UnixMilli(p.At).Add(ttl))
}

// Push is the pushed authorization request endpoint (RFC 9126 §2).
func (s *Service) Push(w http.ResponseWriter, r *http.Request) {
	event := audit.Event{Action: audit.RequestPushed}
	uri, no := s.push(r, &event)
	var e *refusal.Error
	if no != nil {
		e = no.Error
	}
	if told := s.Conclude(r.Context(), event, e); told != nil {
		code := answers[told.Code].code
		if told == e && no.code != "" {
			code = no.code
		}
		writeErrorAs(w, told, code)
		return
	}
	writeJSON(w, http.StatusCreated, struct {
		RequestURI string `json:"request_uri"`
		ExpiresIn  int64  `json:"expires_in"`
	}{uri, int64(pushTTL.Seconds())})
}

// push authenticates the client and judges its request as the authorization endpoint
// will once more (§2.1).
func (s *Service) push(r *http.Request, event *audit.Event) (string, *unauthorized) {
	ctx := r.Context()
	f, e := readForm(r)
	if e != nil {
		return "", &unauthorized{Error: e}
	}
	a := &authorization{values: pushedParameters(f.values)}
	if a.client, e = s.clients.AuthenticateRequest(ctx, r, f.values, event); e != nil {
		return "", &unauthorized{Error: e}
	}
	a.values.Set("client_id", a.client.ID)
	if a.values.Has("request_uri") {
		return "", &unauthorized{Error: refusal.New(refusal.Malformed, audit.ReasonRequestURI, "A request that is pushed has no request_uri.")}
	}
	proof, e := s.readProof(r, "")
	if e == nil {
		e = a.readRedirect()
	}
	if e != nil {
		return "", &unauthorized{Error: e}
	}
	// A proof binds the code as dpop_jkt does (RFC 9449 §10.1).
	switch jkt := a.get("dpop_jkt"); {
	case proof == nil:
	case jkt == "":
		a.values.Set("dpop_jkt", proof.Thumbprint)
	case jkt != proof.Thumbprint:
		return "", &unauthorized{Error: refusal.New(refusal.BadProof, audit.ReasonForeignProofKey, "The dpop_jkt is not the key of the DPoP proof.")}
	}
	if no := s.readAuthorization(a); no != nil {
		return "", no
	}
	uri := s.families.pushes.seal(pushed{ID: uuid.NewString(), ClientID: a.client.ID, Values: a.values, At: s.families.latest().UnixMilli()})
	if len(uri) > maxSealed {
		return "", &unauthorized{Error: refusal.New(refusal.TooLarge, audit.ReasonBodyTooLarge, "")}
	}
	event.Scope = strings.Join(a.scope, " ")
	if e := s.spendProof(ctx, proof); e != nil {
		return "", &unauthorized{Error: e}
	}
	return uri, nil
}

// pushedParameters are those of the request, without those that authenticate the
// client.
func pushedParameters(values url.Values) url.Values {
	return without("client_secret", "client_assertion", "client_assertion_type")(values)
}

// openPushed puts the pushed request in the place of one that names it (§4): nothing
// else that came with the name counts.
func (s *Service) openPushed(ctx context.Context, a *authorization) *refusal.Error {
	uri, id := a.values["request_uri"], a.values["client_id"]
	if len(uri) != 1 || !strings.HasPrefix(uri[0], requestURIPrefix) {
		return nil
	}
	var p pushed
	if err := s.families.pushes.open(uri[0], &p); err != nil || len(id) != 1 || id[0] != p.ClientID {
		return refusal.New(refusal.Malformed, audit.ReasonRequestURI, "The request_uri is not one that this application was given here.")
	}
	a.event.ClientID = p.ClientID
	if p.over(s.families.latest()) || s.families.ahead(time.UnixMilli(p.At)) {
		return refusal.New(refusal.Malformed, audit.ReasonRequestURI, "The request_uri has expired: go back to the application and begin anew.")
	}
	switch spent, err := s.store.TokenDenied(ctx, p.answered()); {
	case err != nil:
		return refusal.Undecided(audit.ReasonStore, err)
	case spent:
		return usedBefore()
	}
	a.pushed, a.values = &p, p.Values
	return nil
}

// answered is what the denylist has of a request that was answered.
func (p *pushed) answered() string { return "request " + p.ID }

func usedBefore() *refusal.Error {
	return refusal.New(refusal.Malformed, audit.ReasonRequestURI, "The request_uri was used before: go back to the application and begin anew.")
}

// spendPushed has a pushed request answered once, across all replicas (§7.3).
func (s *Service) spendPushed(ctx context.Context, p *pushed) *refusal.Error {
	first, err := s.spend(ctx, p.answered(), time.UnixMilli(p.At).Add(pushedLoginTTL))
	switch {
	case err != nil:
		return refusal.Undecided(audit.ReasonStore, err)
	case !first:
		return usedBefore()
	}
	return nil
}

// goOn returns what the page goes on with until the user has logged in: the request as
// it came, or the pushed one for as long as that may take.
func (s *Service) goOn(a *authorization) url.Values {
	if a.pushed == nil {
		return a.values
	}
	p := *a.pushed
	p.Begun = true
	return s.named(p)
}

// named returns the authorization request that names a pushed one. The page is shown in
// the languages that it asks for.
func (s *Service) named(p pushed) url.Values {
	values := url.Values{"client_id": {p.ClientID}, "request_uri": {s.families.pushes.seal(p)}}
	if locales := p.Values.Get("ui_locales"); locales != "" {
		values.Set("ui_locales", locales)
	}
	return values
}

// parametersOf returns the parameters of a request, also of one that names a pushed one.
func (s *Service) parametersOf(values url.Values) url.Values {
	var p pushed
	if s.families.pushes.open(values.Get("request_uri"), &p) == nil {
		return p.Values
	}
	return values
}
