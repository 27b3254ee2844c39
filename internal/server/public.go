package server

import (
	"net/http"

	"github.com/rs/cors"

	"github.com/keyturn/keyturn/internal/problem"
)

// Shared header values. net/http only reads them.
var (
	anyOrigin  = []string{"*"}
	noSniff    = []string{"nosniff"}
	neverStore = []string{"no-store"}
	noCache    = []string{"no-cache"}
	httpsOnly  = []string{"max-age=63072000"}
)

// public wraps a document that anyone may read from anywhere. It involves no
// decision, store or body, and so needs no request id or deadline of its own.
func (s *Server) public(route string, document http.Handler) http.Handler {
	observe := s.metrics.route(route)
	preflight := cors.New(cors.Options{
		AllowedOrigins: anyOrigin, AllowedMethods: []string{"GET", "HEAD"}, AllowedHeaders: anyOrigin, MaxAge: 86400,
	})
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		start := uptime()
		rec := &recorder{ResponseWriter: w}
		defer func() {
			if p := recover(); p != nil {
				s.panicked(rec, r, p)
			}
			observe(rec.statusCode(), uptime()-start)
		}()
		h := rec.Header()
		s.protect(h)
		switch r.Method {
		case http.MethodGet, http.MethodHead:
			h["Access-Control-Allow-Origin"] = anyOrigin
			document.ServeHTTP(rec, r)
		case http.MethodOptions:
			h.Set("Allow", "GET, HEAD, OPTIONS")
			preflight.HandlerFunc(rec, r)
			if rec.status == 0 { // an OPTIONS request that is not a preflight
				rec.WriteHeader(http.StatusNoContent)
			}
		default:
			h.Set("Allow", "GET, HEAD, OPTIONS")
			problem.Write(rec, problem.WrongMethod, "Use one of the methods GET, HEAD, OPTIONS.")
		}
	})
}
