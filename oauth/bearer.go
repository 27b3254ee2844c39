package oauth

import (
	"errors"
	"net/http"
	"strings"

	"github.com/keyturn/keyturn/internal/audit"
	"github.com/keyturn/keyturn/internal/problem"
)

// bearerToken finds the access token in the Authorization header, the one
// place where Keyturn takes it (RFC 6750 §2.1; RFC 9700 §4.3.2 on URLs).
func bearerToken(r *http.Request) (token string, present bool) {
	headers := r.Header.Values("Authorization")
	if len(headers) != 1 {
		return "", len(headers) > 1
	}
	scheme, token, _ := strings.Cut(headers[0], " ")
	if !strings.EqualFold(scheme, "Bearer") {
		return "", false
	}
	return strings.TrimLeft(token, " "), true
}

// bearer says whose live access token a request bears. Where there is none it
// writes the event of the refusal and the answer (RFC 6750 §3), and reports
// false.
func (s *Service) bearer(w http.ResponseWriter, r *http.Request, accept func(claims) (reason audit.Reason, ok bool)) (claims, bool) {
	ctx := r.Context()
	event := audit.Event{Action: audit.RequestRefused}
	token, present := bearerToken(r)
	if !present {
		event.Reason = audit.ReasonNoToken
		return claims{}, s.refuseBearer(w, r, event, problem.NoToken, "", "Send an access token in the Authorization header.")
	}
	c, err := s.check(ctx, token)
	var dead errNotLive
	switch {
	case errors.As(err, &dead):
		event.Reason = dead.reason
		return c, s.refuseBearer(w, r, event, problem.NoToken, "invalid_token", "The access token is not valid, has expired or was revoked.")
	case err != nil:
		s.onError(ctx, err)
		event.Reason = audit.ReasonStore
		return c, s.refuseBearer(w, r, event, problem.TryAgain, "", "")
	}
	if reason, ok := accept(c); !ok {
		event.Reason, event.UserID, event.ClientID, event.SessionID, event.TokenID = reason, c.Subject, c.ClientID, c.Session, c.ID
		return c, s.refuseBearer(w, r, event, problem.BeyondToken, "insufficient_scope", "The access token does not reach this far.")
	}
	return c, true
}

func (s *Service) refuseBearer(w http.ResponseWriter, r *http.Request, event audit.Event, kind problem.Kind, code, detail string) bool {
	if s.record(r.Context(), event) != nil || kind == problem.TryAgain {
		problem.Unavailable(w)
		return false
	}
	challenge := `Bearer realm="keyturn"`
	if code != "" {
		challenge += `, error="` + code + `", error_description="` + detail + `"`
	}
	w.Header().Set("WWW-Authenticate", challenge)
	problem.Write(w, kind, detail)
	return false
}
