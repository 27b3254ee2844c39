package server

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"runtime/debug"
	"strings"

	"github.com/google/uuid"
	"github.com/rs/cors"

	"github.com/keyturn/keyturn/internal/audit"
	"github.com/keyturn/keyturn/internal/problem"
)

// class is what routes of one kind share.
type class struct {
	name string
	// maxBody is the largest request body, in bytes.
	maxBody int64
	// noStore forbids caches to keep the answer, in the words of RFC 6749
	// §5.1, which asks for Pragma too.
	noStore bool
	// crossOrigin lets the cors_origins of the settings call from a browser.
	crossOrigin bool
}

// The classes. A token request has a password of at most 1024 bytes, which
// form-encoding can triple, and a few short parameters: 32 KiB hold them.
var (
	tokenClass = class{name: "oauth", maxBody: 32 << 10, noStore: true, crossOrigin: true}
	firstParty = class{name: "auth", maxBody: 16 << 10, noStore: true, crossOrigin: true}
	plain      = class{name: "plain", maxBody: 0, noStore: true}
)

// readHeaders are those that a page of another origin may send: what Keyturn
// reads, and what tracing and retrying libraries add to every request.
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
		ExposedHeaders: []string{"Retry-After", "WWW-Authenticate", "X-Request-Id"},
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

// statusHungUp is what the metrics and the log say of a request whose client hung
// up: nobody has read the answer, and what it says is no sign of an outage. The
// number is nginx's.
const statusHungUp = 499

// class wraps a handler in everything that its class asks for. It runs behind
// the router, so that metrics can name the route and not the URL.
func (s *Server) class(c class, route string, serve http.HandlerFunc) http.Handler {
	observe := s.metrics.route(route)
	inner := s.corsOf(c)(serve)
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		start := uptime()
		rec := &recorder{ResponseWriter: w}
		from := audit.Request{ID: uuid.NewString(), IP: s.clientIP(r), UserAgent: userAgent(r), TraceID: traceID(r)}
		ctx, cancel := context.WithTimeout(audit.WithRequest(r.Context(), from), s.settings.RequestTimeout)
		defer cancel()
		r = r.WithContext(ctx)
		// It is to find net/http's own writer, which it has wait until a client
		// that is still sending has read the answer.
		r.Body = http.MaxBytesReader(w, r.Body, c.maxBody)
		h := rec.Header()
		h["X-Request-Id"] = []string{from.ID}
		s.protect(h)
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

// maxUserAgent bounds what is kept of a User-Agent header, in bytes.
const maxUserAgent = 512

// userAgent is the header as text that every store and log can keep.
func userAgent(r *http.Request) string {
	s := r.UserAgent()
	if len(s) > maxUserAgent {
		s = s[:maxUserAgent]
	}
	return strings.ReplaceAll(strings.ToValidUTF8(s, "\uFFFD"), "\x00", "")
}

// traceID is the trace-id of a well-formed traceparent header (W3C Trace Context
// §3.2): version, trace-id, parent-id and flags in lower-case hex.
func traceID(r *http.Request) string {
	h := r.Header.Get("Traceparent")
	const length = len("00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01")
	if len(h) < length || h[2] != '-' || h[35] != '-' || h[52] != '-' || h[:2] == "ff" || h[:2] == "00" && len(h) > length {
		return ""
	}
	id := h[3:35]
	for _, part := range []string{h[:2], id, h[36:52], h[53:55]} {
		if strings.Trim(part, "0123456789abcdef") != "" {
			return ""
		}
	}
	if strings.Trim(id, "0") == "" {
		return ""
	}
	return id
}

// panicked turns a panic into an event, a log line with the stack, and a 500
// without it.
func (s *Server) panicked(w *recorder, r *http.Request, p any) {
	if p == http.ErrAbortHandler {
		panic(p)
	}
	from := audit.RequestFrom(r.Context())
	s.log.Error().Str("request_id", from.ID).Str("panic", fmt.Sprintf("%T", p)).Bytes("stack", debug.Stack()).Msg("panic in a handler")
	event := audit.Event{Action: audit.RequestRefused, Reason: audit.ReasonPanic}
	ctx, cancel := audit.Outlast(r.Context())
	defer cancel()
	if err := s.audit.Record(ctx, event); err != nil {
		s.log.Error().Err(err).Msg("the panic could not be recorded")
	}
	if w.status == 0 {
		problem.Write(w, problem.Internal, "Something went wrong inside; the operators can find it by the request id.")
	}
}

// recorder remembers the status that was answered.
type recorder struct {
	http.ResponseWriter
	status int
}

func (w *recorder) WriteHeader(status int) {
	if w.status == 0 {
		w.status = status
	}
	w.ResponseWriter.WriteHeader(status)
}

func (w *recorder) Write(b []byte) (int, error) {
	if w.status == 0 {
		w.status = http.StatusOK
	}
	return w.ResponseWriter.Write(b)
}

// Unwrap lets http.ResponseController reach the connection.
func (w *recorder) Unwrap() http.ResponseWriter { return w.ResponseWriter }

func (w *recorder) statusCode() int {
	if w.status == 0 {
		return http.StatusOK
	}
	return w.status
}
