package oauth

import (
	"errors"
	"net/http"
	"slices"
	"strings"

	"github.com/keyturn/keyturn/internal/audit"
	"github.com/keyturn/keyturn/internal/refusal"
)

// bearerToken finds the access token in the Authorization header, the one
// place where Keyturn takes it (RFC 6750 §2.1; RFC 9700 §4.3.2 on URLs). What is
// sent in another form, or in two ways at once, is invalid_request (§3.1).
func bearerToken(r *http.Request) (string, *refusal.Error) {
	malformed := refusal.New(refusal.BadBearer, audit.ReasonMalformedBearer, "")
	headers := r.Header.Values("Authorization")
	switch len(headers) {
	case 0:
		return "", refusal.New(refusal.NoToken, audit.ReasonNoToken, "")
	case 1:
	default:
		return "", malformed
	}
	scheme, token, _ := strings.Cut(headers[0], " ")
	if !strings.EqualFold(scheme, "Bearer") {
		return "", refusal.New(refusal.NoToken, audit.ReasonNoToken, "")
	}
	token = strings.TrimLeft(token, " ")
	if token == "" || strings.ContainsAny(token, " \t,") || r.URL.Query().Has("access_token") {
		return "", malformed
	}
	return token, nil
}

// bearer says whose live access token a request bears. Where there is none that
// accept takes, it writes the event of the refusal.
func (s *Service) bearer(r *http.Request, accept func(claims) *refusal.Error) (claims, *refusal.Error) {
	event := audit.Event{Action: audit.RequestRefused}
	c, e := s.bearerClaims(r)
	if e == nil {
		event.UserID, event.ClientID, event.SessionID, event.TokenID = c.Subject, c.ClientID, c.Session, c.ID
		if e = accept(c); e == nil {
			return c, nil
		}
	}
	return claims{}, s.Conclude(r.Context(), event, e)
}

// forIssuer refuses a token that is not for Keyturn's own resource endpoints, whose
// name is the issuer (RFC 9068 §4): one that was narrowed to another resource server
// may be in that one's hands.
func (s *Service) forIssuer(c claims) *refusal.Error {
	if slices.Contains(c.Audience, s.settings.Issuer) {
		return nil
	}
	return refusal.New(refusal.BadToken, audit.ReasonForeignAudience, "")
}

func (s *Service) bearerClaims(r *http.Request) (claims, *refusal.Error) {
	token, e := bearerToken(r)
	if e != nil {
		return claims{}, e
	}
	c, err := s.check(r.Context(), token)
	if dead, ok := errors.AsType[errNotLive](err); ok {
		return claims{}, refusal.New(refusal.BadToken, dead.reason, "")
	}
	return c, refusalOf(err)
}
