package oauth

import (
	"time"

	"github.com/keyturn/keyturn/internal/jws"
	"github.com/keyturn/keyturn/internal/strictjson"
)

// hint is what an id_token_hint says: an ID token, or the zero one.
type hint struct {
	idToken
	// proven says that a key of ours signed it. One that bears our name and is not
	// proven may be older than every key that is left; it grants nothing, and names whom
	// and what its bearer could name without it.
	proven bool
}

// readHint reads an id_token_hint. It returns the zero one if that is no ID token with
// our name. That it has expired is no matter.
func (s *Service) readHint(token string) hint {
	payload, _, err := s.ring.Verify(token, idTokenType)
	h := hint{proven: err == nil}
	if err != nil {
		unproven, err := jws.Parse(token)
		if err != nil || unproven.Header.Typ != idTokenType {
			return hint{}
		}
		payload = unproven.Payload
	}
	if strictjson.Unmarshal(payload, &h.idToken) != nil || h.Issuer != s.settings.Issuer {
		return hint{}
	}
	h.proven = h.proven && !s.families.ahead(time.Unix(h.IssuedAt, 0))
	return h
}
