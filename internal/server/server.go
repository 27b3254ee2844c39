package server

import (
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"net"
	"net/http"
	"net/http/pprof"
	"time"

	"github.com/gorilla/mux"
	"github.com/rs/zerolog"

	"github.com/keyturn/keyturn/internal/audit"
	"github.com/keyturn/keyturn/internal/clientip"
	"github.com/keyturn/keyturn/internal/pages"
)

// Settings are the limits and the environment of the listeners.
type Settings struct {
	TLSCertFile, TLSKeyFile string
	// Issuer is the URL below which clients reach the routes.
	Issuer string
	// HSTS is set if the issuer is https.
	HSTS bool
	// Clients finds the address of a request's client.
	Clients     clientip.Finder
	CORSOrigins []string
	// Profiling adds the profiles of Go's runtime to the admin listener.
	Profiling bool
	// RequestTimeout bounds one request, its store calls included.
	RequestTimeout time.Duration
	// ShutdownDelay is how long requests are still served after readiness turned
	// to 503.
	ShutdownDelay time.Duration
	// ShutdownTimeout bounds the wait for requests under way.
	ShutdownTimeout time.Duration
}

// Server serves the routes. Create it with New.
type Server struct {
	settings Settings
	log      zerolog.Logger
	audit    audit.Recorder
	metrics  *Metrics
	health   *Health
	pages    *pages.Pages
	// routes lead to decisions. byPath has the public documents and is consulted
	// first.
	routes *mux.Router
	byPath map[string]http.Handler
	http   *http.Server
	admin  *http.Server
}

// Limits that are the same for every deployment.
const (
	readHeaderTimeout = 5 * time.Second
	idleTimeout       = 2 * time.Minute
	maxHeaderBytes    = 32 << 10
)

// New builds the server. Nothing listens yet.
func New(settings Settings, h Handlers, m *Metrics, rec audit.Recorder, log zerolog.Logger) *Server {
	s := &Server{settings: settings, log: log, audit: rec, metrics: m, health: h.Health, pages: h.Pages}
	s.http = s.listenerFor(s.underIssuer(s.router(h)))
	s.http.ConnContext = s.settings.Clients.ConnContext
	m.Counter("keyturn_client_address_unreadable_total", "Requests whose client a trusted proxy named in no form that can be read.", nil,
		func() float64 { return float64(s.health.unreadable.count.Load()) })
	admin := http.NewServeMux()
	admin.Handle("GET /metrics", m.Handler())
	admin.HandleFunc("GET /healthz", h.Health.Alive)
	admin.HandleFunc("GET /readyz", h.Health.Ready)
	if settings.Profiling {
		profiles(admin)
	}
	s.admin = s.listenerFor(admin)
	return s
}

// profiles adds the routes that go tool pprof needs. It omits the one of package
// pprof that shows the command line.
func profiles(mux *http.ServeMux) {
	mux.HandleFunc("GET /debug/pprof/{name...}", pprof.Index)
	mux.HandleFunc("GET /debug/pprof/profile", pprof.Profile)
	mux.HandleFunc("GET /debug/pprof/trace", pprof.Trace)
}

func (s *Server) listenerFor(h http.Handler) *http.Server {
	return &http.Server{
		Handler:           ownFraming(h),
		ReadHeaderTimeout: readHeaderTimeout,
		ReadTimeout:       s.settings.RequestTimeout,
		WriteTimeout:      s.settings.RequestTimeout + readHeaderTimeout,
		IdleTimeout:       idleTimeout,
		MaxHeaderBytes:    maxHeaderBytes,
		// OPTIONS * is answered like every other path without a route.
		DisableGeneralOptionsHandler: true,
		TLSConfig:                    &tls.Config{MinVersion: tls.VersionTLS12},
	}
}

// Handler returns the public routes, for tests without a listener.
func (s *Server) Handler() http.Handler { return s.http.Handler }

// Serve serves public and, unless nil, admin until ctx ends. Then it drains:
// readiness turns to 503, after the delay it accepts no more connections, and it
// waits for requests under way. It returns nil after a clean drain.
func (s *Server) Serve(ctx context.Context, public, admin net.Listener) error {
	failed := make(chan error, 2)
	run := func(serve func() error) {
		if err := serve(); !errors.Is(err, http.ErrServerClosed) {
			failed <- err
		}
	}
	public = s.settings.Clients.Listener(public)
	go run(func() error {
		if s.settings.TLSCertFile != "" {
			return s.http.ServeTLS(public, s.settings.TLSCertFile, s.settings.TLSKeyFile)
		}
		return s.http.Serve(public)
	})
	if admin != nil {
		go run(func() error { return s.admin.Serve(admin) })
	}
	select {
	case err := <-failed:
		return fmt.Errorf("listener failed: %w", err)
	case <-ctx.Done():
	}
	s.health.Drain()
	s.log.Info().Dur("delay", s.settings.ShutdownDelay).Dur("at_most", s.settings.ShutdownTimeout).Msg("draining; a second signal ends at once")
	select {
	case err := <-failed:
		return fmt.Errorf("listener failed: %w", err)
	case <-time.After(s.settings.ShutdownDelay):
	}
	drain, cancel := context.WithTimeout(context.WithoutCancel(ctx), s.settings.ShutdownTimeout)
	defer cancel()
	if err := errors.Join(s.http.Shutdown(drain), s.admin.Shutdown(drain)); err != nil {
		return fmt.Errorf("requests were still under way after shutdown_timeout: %w", err)
	}
	return nil
}
