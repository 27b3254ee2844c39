// Command resource is three resource servers that accept the access tokens of
// one issuer, each with another library: github.com/coreos/go-oidc,
// github.com/MicahParks/keyfunc and github.com/lestrrat-go/jwx. They know the
// issuer's URL alone.
package main

import (
	"context"
	"fmt"
	"net/http"
	"os"
	"os/signal"
	"strings"
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

func main() {
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt)
	defer stop()
	if err := run(ctx); err != nil {
		fmt.Fprintln(os.Stderr, err)
		os.Exit(1)
	}
}

func run(ctx context.Context) error {
	c := config{issuer: os.Getenv("ISSUER"), audience: os.Getenv("AUDIENCE"), algs: strings.Fields(os.Getenv("ALGS"))}
	if text := os.Getenv("CACHE_SECONDS"); text != "" {
		seconds, err := time.ParseDuration(text + "s")
		if err != nil {
			return err
		}
		c.cache = seconds
	}
	mux := http.NewServeMux()
	for name, make := range map[string]func(context.Context, config) (check, error){
		"go-oidc": goOIDC, "keyfunc": keyFunc, "jwx": jwx,
	} {
		accept, err := make(ctx, c)
		if err != nil {
			return fmt.Errorf("%s: %w", name, err)
		}
		mux.HandleFunc("GET /"+name, func(w http.ResponseWriter, r *http.Request) { serve(w, r, accept) })
	}
	s := &http.Server{Addr: os.Getenv("LISTEN"), Handler: mux, ReadHeaderTimeout: 5 * time.Second}
	go func() {
		<-ctx.Done()
		_ = s.Close()
	}()
	if err := s.ListenAndServe(); err != http.ErrServerClosed {
		return err
	}
	return nil
}

func serve(w http.ResponseWriter, r *http.Request, accept check) {
	token, ok := strings.CutPrefix(r.Header.Get("Authorization"), "Bearer ")
	if !ok {
		http.Error(w, "no token", http.StatusUnauthorized)
		return
	}
	if err := accept(r.Context(), token); err != nil {
		http.Error(w, err.Error(), http.StatusUnauthorized)
		return
	}
	fmt.Fprintln(w, "welcome")
}
