package server

import (
	"net/http"

	"github.com/rs/cors"
)

// readHeaders are the headers that a page of another origin may send: those
// that Keyturn reads, and those that tracing and retrying libraries add to
// every request.
var readHeaders = []string{
	"Authorization", "Content-Type", "DPoP", "Idempotency-Key", "Traceparent", "Tracestate", "Baggage", "X-Request-Id", "X-Requested-With",
}

func (s *Server) corsOf(c class) func(http.Handler) http.Handler {
	if !c.crossOrigin || len(s.settings.CORSOrigins) == 0 {
		return func(h http.Handler) http.Handler { return h }
	}
	rules := cors.New(cors.Options{
		AllowedOrigins: s.settings.CORSOrigins,
		AllowedMethods: []string{"GET", "HEAD", "POST", "DELETE"},
		AllowedHeaders: readHeaders,
		ExposedHeaders: []string{"Retry-After", "WWW-Authenticate", "X-Request-Id", "DPoP-Nonce"},
		MaxAge:         600,
	})
	return func(h http.Handler) http.Handler {
		h = rules.Handler(h)
		return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
			if origin := r.Header.Get("Origin"); origin != "" && !rules.OriginAllowed(r) {
				s.log.Debug().Str("origin", origin).Msg("a page of this origin may not read the answer: see cors_origins")
			}
			h.ServeHTTP(w, r)
		})
	}
}
