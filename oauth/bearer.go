package oauth

import (
	"errors"
	"net/http"
	"slices"
	"strings"

	"github.com/keyturn/keyturn/internal/audit"
	"github.com/keyturn/keyturn/internal/dpop"
	"github.com/keyturn/keyturn/internal/refusal"
)

// accessToken returns the access token in the Authorization header, the only place
// where Keyturn accepts it (RFC 6750 §2.1, RFC 9449 §7.1; RFC 9700 §4.3.2 on URLs).
// byProof says that it came in the DPoP scheme. A token in another form, or in two
// ways at once, is an invalid_request (RFC 6750 §3.1).
func accessToken(r *http.Request) (token string, byProof bool, e *refusal.Error) {
	headers := r.Header.Values("Authorization")
	if len(headers) == 0 {
		return "", false, refusal.New(refusal.NoToken, audit.ReasonNoToken, "")
	}
	scheme, token, _ := strings.Cut(headers[0], " ")
	byProof = strings.EqualFold(scheme, "DPoP")
	token = strings.TrimLeft(token, " ")
	switch {
	case len(headers) > 1:
	case !byProof && !strings.EqualFold(scheme, "Bearer"):
		return "", false, refusal.New(refusal.NoToken, audit.ReasonNoToken, "")
	case token != "" && !strings.ContainsAny(token, " \t,") && !r.URL.Query().Has("access_token"):
		return token, byProof, nil
	}
	return "", byProof, refusal.New(refusal.BadBearer, audit.ReasonMalformedBearer, "")
}

// bearer returns the claims of a request's live access token, if accept accepts them.
// It writes the event of a refusal.
func (s *Service) bearer(r *http.Request, accept func(claims) *refusal.Error) (claims, *refusal.Error) {
	event := audit.Event{Action: audit.RequestRefused}
	token, byProof, e := accessToken(r)
	var c claims
	if e == nil {
		c, e = s.bearerClaims(r, token, byProof)
		event.UserID, event.ClientID, event.SessionID, event.TokenID = c.Subject, c.ClientID, c.Session, c.ID
	}
	if e == nil {
		if e = accept(c); e == nil {
			return c, nil
		}
	}
	told := *e
	told.ByProof = byProof
	return claims{}, s.Conclude(r.Context(), event, &told)
}

// forIssuer refuses a token that is not for Keyturn's own resource endpoints, whose
// audience is the issuer (RFC 9068 §4). A token narrowed to another resource server
// may be in that server's hands.
func (s *Service) forIssuer(c claims) *refusal.Error {
	if slices.Contains(c.Audience, s.settings.Issuer) {
		return nil
	}
	return refusal.New(refusal.BadToken, audit.ReasonForeignAudience, "")
}

// bearerClaims returns the claims of a live token after checking that its holder has
// the key that it is bound to. It returns no claims of a token that is not live.
func (s *Service) bearerClaims(r *http.Request, token string, byProof bool) (claims, *refusal.Error) {
	var proof *dpop.Proof
	if byProof {
		var e *refusal.Error
		if proof, e = s.readProof(r, token); e != nil {
			return claims{}, e
		}
	}
	c, err := s.check(r.Context(), token)
	if dead, ok := errors.AsType[errNotLive](err); ok {
		return claims{}, refusal.New(refusal.BadToken, dead.reason, "")
	}
	if err != nil {
		return claims{}, refusalOf(err)
	}
	if e := c.provenBy(proof, byProof); e != nil {
		return c, e
	}
	return c, s.spendProof(r.Context(), proof)
}

// provenBy refuses a bound token without a proof of its key, and an unbound token in
// the DPoP scheme (RFC 9449 §7.1, §7.2).
func (c claims) provenBy(proof *dpop.Proof, byProof bool) *refusal.Error {
	switch {
	case byProof && proof == nil:
		return refusal.New(refusal.BadProof, audit.ReasonNoProof, "Send a DPoP proof with the access token.")
	case c.Confirmation == nil && byProof:
		return refusal.New(refusal.BadToken, audit.ReasonUnboundToken, "")
	case c.Confirmation == nil:
		return nil
	case !byProof:
		return refusal.New(refusal.BadToken, audit.ReasonNoProof, "")
	case c.Confirmation.JKT != proof.Thumbprint:
		return refusal.New(refusal.BadToken, audit.ReasonForeignProofKey, "")
	}
	return nil
}
