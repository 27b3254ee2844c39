package server

import (
	"context"
	"errors"
	"net/http"

	"github.com/google/uuid"

	"github.com/keyturn/keyturn/internal/audit"
	"github.com/keyturn/keyturn/internal/pages"
)

// class is what routes of one kind share.
type class struct {
	name string
	// maxBody is the largest request body, in bytes.
	maxBody int64
	// noStore forbids caches to keep the answer, in the words of RFC 6749
	// §5.1, which asks for Pragma too.
	noStore bool
	// page marks what people look at in a browser.
	page bool
	// crossOrigin lets the cors_origins of the settings call from a browser.
	crossOrigin bool
}

// The classes. A token request has a password of at most 1024 bytes, which
// form-encoding can triple, and a few short parameters: 32 KiB hold them.
var (
	tokenClass = class{name: "oauth", maxBody: 32 << 10, noStore: true, crossOrigin: true}
	firstParty = class{name: "auth", maxBody: 16 << 10, noStore: true, crossOrigin: true}
	page       = class{name: "page", maxBody: 32 << 10, noStore: true, page: true}
	plain      = class{name: "plain", maxBody: 0, noStore: true}
)

// class wraps a handler in everything that its class asks for. It runs behind
// the router, so that metrics can name the route and not the URL.
func (s *Server) class(c class, route string, serve http.HandlerFunc) http.Handler {
	observe := s.metrics.route(route)
	inner := s.corsOf(c)(serve)
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		start := uptime()
		rec := &recorder{ResponseWriter: w}
		from := audit.Request{ID: uuid.NewString(), IP: s.clientIP(r, route), UserAgent: userAgent(r), TraceID: traceID(r)}
		ctx, cancel := context.WithTimeout(audit.WithRequest(r.Context(), from), s.settings.RequestTimeout)
		defer cancel()
		r = r.WithContext(ctx)
		// MaxBytesReader is given net/http's own writer, the one that it can tell to
		// close the connection after an answer to a body that is too large.
		r.Body = http.MaxBytesReader(w, r.Body, c.maxBody)
		h := rec.Header()
		h["X-Request-Id"] = []string{from.ID}
		s.protect(h)
		if c.page {
			pages.Protect(h)
		}
		if c.noStore {
			h["Cache-Control"], h["Pragma"] = neverStore, noCache
		}
		defer func() {
			if p := recover(); p != nil {
				s.panicked(rec, r, p)
			}
			took := uptime() - start
			status := rec.statusCode()
			if errors.Is(r.Context().Err(), context.Canceled) {
				status = statusHungUp
			}
			observe(status, took)
			s.log.Debug().Str("request_id", from.ID).Str("method", r.Method).Str("route", route).
				Int("status", status).Dur("took", took).Str("ip", from.IP).Msg("request")
		}()
		inner.ServeHTTP(rec, r)
	})
}

// protect sets the headers that every answer has, whatever its class.
func (s *Server) protect(h http.Header) {
	h["X-Content-Type-Options"] = noSniff
	if s.settings.HSTS {
		h["Strict-Transport-Security"] = httpsOnly
	}
}
