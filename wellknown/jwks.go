package wellknown

import (
	"net/http"
	"sync/atomic"

	"github.com/keyturn/keyturn/keys"
)

// JWKS serves the published keys as a JWK Set (RFC 7517 §5). It answers 503
// while there are none, because an empty set would tell resource servers to
// refuse every token. It is safe for concurrent use.
//
// The type is application/json and not application/jwk-set+json (RFC 7517
// §8.5.2), because some clients accept nothing else, and no client is known to
// refuse it.
//
// keys.PublishedSet.MaxAge says how long the set may be cached.
type JWKS struct {
	ring *keys.Ring
	last atomic.Pointer[keySet]
}

// keySet is a rendered version of the set.
type keySet struct {
	version  uint64
	document *document
	lifetime
}

// NewJWKS returns a handler for the keys of ring.
func NewJWKS(ring *keys.Ring) *JWKS { return &JWKS{ring: ring} }

// ServeHTTP answers GET and HEAD.
func (j *JWKS) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	set := j.ring.Published()
	if len(set.Keys) == 0 {
		unavailable(w)
		return
	}
	rendered := j.render(set)
	rendered.document.serve(w, r, rendered.cache(set.MaxAge))
}

func (j *JWKS) render(set keys.PublishedSet) *keySet {
	if last := j.last.Load(); last != nil && last.version == set.Version {
		return last
	}
	body := []byte(`{"keys":[`)
	for i, key := range set.Keys {
		if i > 0 {
			body = append(body, ',')
		}
		body = append(body, key...)
	}
	body = append(body, `]}`...)
	next := &keySet{set.Version, newDocument(body), newLifetime(set.Limit)}
	j.last.Store(next)
	return next
}
