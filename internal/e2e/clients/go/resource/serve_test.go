// Package resource is resource servers that accept the access tokens of one
// issuer, each with another library: github.com/coreos/go-oidc,
// github.com/MicahParks/keyfunc, github.com/hashicorp/cap and so on. They know the
// issuer's URL alone.
//
// They run as a test, for only a test can have a clock that is set: what the
// libraries do within hours and days is seen within seconds.
package resource

import (
	"bytes"
	"context"
	"fmt"
	"net/http"
	"os"
	"os/signal"
	"strings"
	"syscall"
	"testing"
	"testing/synctest"
	"time"
)

// config is what the environment says.
type config struct {
	issuer, audience string
	algs             []string
	// cache is how long a key set is kept; zero leaves each library its way.
	cache time.Duration
}

// check reports why a token is not accepted.
type check func(ctx context.Context, token string) error

// libraries are the resource servers, by path.
var libraries = map[string]func(context.Context, config) (check, error){
	"go-oidc": goOIDC, "keyfunc": keyFunc, "jwx": jwx, "go-oidc2": goOIDC2, "hashicorp-cap": hashicorpCap, "zitadel": zitadel,
}

// request is one token to be looked at, at a time of the world outside.
type request struct {
	path, token string
	at          time.Time
	answer      chan<- error
}

// TestServe serves until it is interrupted. The libraries live in a bubble
// whose clock shows the time of the world and, on top of it, what the file
// CLOCK says ("+3600"): it is brought up to that before each request, so that
// what the libraries do by the clock they do first.
func TestServe(t *testing.T) {
	if os.Getenv("LISTEN") == "" {
		t.Fatal("LISTEN is not set: the tests of internal/e2e start this one, with an issuer")
	}
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	defer stop()
	requests, ready, now := make(chan request), make(chan struct{}), time.Now()
	go func() {
		<-ctx.Done()
		close(requests)
	}()
	serveHTTP(ctx, t, requests, ready)
	synctest.Test(t, func(t *testing.T) {
		if err := accept(t.Context(), requests, ready, now); err != nil {
			t.Fatal(err)
		}
	})
}

// serveHTTP passes requests into the bubble. It answers at the root once the
// resource servers are ready, with what they fetch at their start behind them.
func serveHTTP(ctx context.Context, t *testing.T, requests chan<- request, ready <-chan struct{}) {
	mux := http.NewServeMux()
	mux.HandleFunc("GET /{$}", func(_ http.ResponseWriter, r *http.Request) {
		select {
		case <-ready:
		case <-r.Context().Done():
		}
	})
	mux.HandleFunc("GET /{library}", func(w http.ResponseWriter, r *http.Request) {
		token, ok := strings.CutPrefix(r.Header.Get("Authorization"), "Bearer ")
		if !ok {
			http.Error(w, "no token", http.StatusUnauthorized)
			return
		}
		answer := make(chan error, 1)
		select {
		case requests <- request{r.PathValue("library"), token, time.Now(), answer}:
		case <-ctx.Done():
			return
		}
		if err := <-answer; err != nil {
			http.Error(w, err.Error(), http.StatusUnauthorized)
			return
		}
		fmt.Fprintln(w, "welcome")
	})
	s := &http.Server{Addr: os.Getenv("LISTEN"), Handler: mux, ReadHeaderTimeout: 5 * time.Second}
	go func() {
		if err := s.ListenAndServe(); err != http.ErrServerClosed {
			t.Error(err)
		}
	}()
	t.Cleanup(func() { _ = s.Close() })
}

// accept makes the resource servers that ONLY names, or all, and has them look
// at the requests, one after the other, after it has closed ready.
func accept(ctx context.Context, requests <-chan request, ready chan<- struct{}, now time.Time) error {
	ctx, stop := context.WithCancel(ctx)
	defer stop()
	time.Sleep(time.Until(now))
	c := config{issuer: os.Getenv("ISSUER"), audience: os.Getenv("AUDIENCE"), algs: strings.Fields(os.Getenv("ALGS"))}
	if text := os.Getenv("CACHE_SECONDS"); text != "" {
		seconds, err := time.ParseDuration(text + "s")
		if err != nil {
			return err
		}
		c.cache = seconds
	}
	checks := map[string]check{}
	for name, make := range libraries {
		if only := os.Getenv("ONLY"); only != "" && only != name {
			continue
		}
		accepts, err := make(ctx, c)
		if err != nil {
			return fmt.Errorf("%s: %w", name, err)
		}
		checks[name] = accepts
	}
	close(ready)
	for r := range requests {
		ahead, err := readClock()
		if err != nil {
			return err
		}
		time.Sleep(time.Until(r.at.Add(ahead)))
		accepts, there := checks[r.path]
		if !there {
			r.answer <- fmt.Errorf("no library %q", r.path)
			continue
		}
		r.answer <- accepts(ctx, r.token)
	}
	return nil
}

func readClock() (time.Duration, error) {
	text, err := os.ReadFile(os.Getenv("CLOCK"))
	if err != nil {
		return 0, err
	}
	return time.ParseDuration(string(bytes.TrimSpace(text)) + "s")
}
