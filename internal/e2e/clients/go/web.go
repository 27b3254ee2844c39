package main

import (
	"context"
	"crypto/rand"
	"errors"
	"fmt"
	"net/http"
	"net/url"
	"os"
	"sync"
	"time"

	"github.com/coreos/go-oidc/v3/oidc"
	"github.com/zitadel/oidc/v3/pkg/client/rp"
	zitadelhttp "github.com/zitadel/oidc/v3/pkg/http"
	zitadeloidc "github.com/zitadel/oidc/v3/pkg/oidc"
	"golang.org/x/oauth2"
)

// signedIn is what an application keeps of a user.
type signedIn struct {
	idToken, refreshToken, email, session string
}

// signing is how a library logs a user in, refreshes and is told of log-outs.
type signing interface {
	begin(http.ResponseWriter, *http.Request)
	// callback calls in once the user is known.
	callback(in func(http.ResponseWriter, *http.Request, signedIn)) http.HandlerFunc
	refresh(context.Context, signedIn) (signedIn, error)
	// ended returns the session of a logout token.
	ended(context.Context, string) (string, error)
	endSession() string
}

// serveWeb is an application in the web, with a library for its log-ins. It refreshes
// whenever its page is asked for, but for /?still.
func serveWeb(ctx context.Context, library string) error {
	var s signing
	var err error
	switch library {
	case "go-oidc":
		s, err = newGoOIDC(ctx)
	case "zitadel":
		s, err = newZitadel(ctx)
	default:
		err = errors.New("no such library")
	}
	if err != nil {
		return err
	}
	var mu sync.Mutex
	users := map[string]signedIn{}
	of := func(r *http.Request) (string, signedIn, bool) {
		cookie, err := r.Cookie("app")
		if err != nil {
			return "", signedIn{}, false
		}
		user, there := users[cookie.Value]
		return cookie.Value, user, there
	}
	mux := http.NewServeMux()
	mux.HandleFunc("GET /bye", func(http.ResponseWriter, *http.Request) {})
	mux.HandleFunc("GET /{$}", func(w http.ResponseWriter, r *http.Request) {
		mu.Lock()
		defer mu.Unlock()
		id, user, there := of(r)
		if there && r.URL.RawQuery != "still" {
			next, err := s.refresh(r.Context(), user)
			refused := new(oauth2.RetrieveError)
			switch {
			case err == nil:
				users[id] = next
			case errors.As(err, &refused):
				delete(users, id)
				there = false
			default:
				http.Error(w, err.Error(), http.StatusBadGateway)
				return
			}
		}
		switch {
		case !there:
			s.begin(w, r)
		case user.email != os.Getenv("EMAIL"):
			http.Error(w, "who is "+user.email, http.StatusForbidden)
		default:
			fmt.Fprintln(w, "welcome")
		}
	})
	mux.HandleFunc("GET /callback", s.callback(func(w http.ResponseWriter, r *http.Request, user signedIn) {
		mu.Lock()
		defer mu.Unlock()
		id := rand.Text()
		users[id] = user
		http.SetCookie(w, &http.Cookie{Name: "app", Value: id, Path: "/", HttpOnly: true, SameSite: http.SameSiteLaxMode})
		http.Redirect(w, r, "/", http.StatusSeeOther)
	}))
	mux.HandleFunc("GET /logout", func(w http.ResponseWriter, r *http.Request) {
		mu.Lock()
		defer mu.Unlock()
		id, user, _ := of(r)
		delete(users, id)
		query := url.Values{"id_token_hint": {user.idToken}, "post_logout_redirect_uri": {os.Getenv("URL") + "/bye"}}
		http.Redirect(w, r, s.endSession()+"?"+query.Encode(), http.StatusSeeOther)
	})
	mux.HandleFunc("POST /ended", func(w http.ResponseWriter, r *http.Request) {
		session, err := s.ended(r.Context(), r.FormValue("logout_token"))
		if err != nil {
			fmt.Fprintln(os.Stderr, "logout token:", err)
			http.Error(w, err.Error(), http.StatusBadRequest)
			return
		}
		mu.Lock()
		defer mu.Unlock()
		for id, user := range users {
			if user.session == session {
				delete(users, id)
			}
		}
	})
	server := &http.Server{Addr: os.Getenv("LISTEN"), Handler: mux}
	context.AfterFunc(ctx, func() { _ = server.Close() })
	if err := server.ListenAndServe(); !errors.Is(err, http.ErrServerClosed) {
		return err
	}
	return nil
}

var scopes = []string{oidc.ScopeOpenID, "email", "profile"}

type goOIDC struct {
	provider *oidc.Provider
	config   oauth2.Config
	end      string
}

func newGoOIDC(ctx context.Context) (*goOIDC, error) {
	provider, err := oidc.NewProvider(ctx, os.Getenv("ISSUER"))
	if err != nil {
		return nil, err
	}
	var metadata struct {
		EndSession string `json:"end_session_endpoint"`
	}
	if err := provider.Claims(&metadata); err != nil {
		return nil, err
	}
	return &goOIDC{provider, oauth2.Config{
		ClientID: os.Getenv("CLIENT_ID"), ClientSecret: os.Getenv("CLIENT_SECRET"), Endpoint: provider.Endpoint(),
		RedirectURL: os.Getenv("CALLBACK"), Scopes: scopes,
	}, metadata.EndSession}, nil
}

func (g *goOIDC) endSession() string { return g.end }

func (g *goOIDC) begin(w http.ResponseWriter, r *http.Request) {
	verifier, state, nonce := oauth2.GenerateVerifier(), rand.Text(), rand.Text()
	for name, value := range map[string]string{"verifier": verifier, "state": state, "nonce": nonce} {
		http.SetCookie(w, &http.Cookie{Name: name, Value: value, Path: "/", HttpOnly: true, SameSite: http.SameSiteLaxMode})
	}
	http.Redirect(w, r, g.config.AuthCodeURL(state, oauth2.S256ChallengeOption(verifier), oidc.Nonce(nonce)), http.StatusSeeOther)
}

func (g *goOIDC) callback(in func(http.ResponseWriter, *http.Request, signedIn)) http.HandlerFunc {
	return func(w http.ResponseWriter, r *http.Request) {
		user, err := g.exchange(r)
		if err != nil {
			http.Error(w, err.Error(), http.StatusUnauthorized)
			return
		}
		in(w, r, user)
	}
}

func (g *goOIDC) exchange(r *http.Request) (signedIn, error) {
	kept := map[string]string{}
	for _, name := range []string{"verifier", "state", "nonce"} {
		cookie, err := r.Cookie(name)
		if err != nil {
			return signedIn{}, err
		}
		kept[name] = cookie.Value
	}
	if r.FormValue("state") != kept["state"] || r.FormValue("iss") != os.Getenv("ISSUER") {
		return signedIn{}, fmt.Errorf("answer %s", r.URL.RawQuery)
	}
	token, err := g.config.Exchange(r.Context(), r.FormValue("code"), oauth2.VerifierOption(kept["verifier"]))
	if err != nil {
		return signedIn{}, err
	}
	return g.read(r.Context(), token, kept["nonce"])
}

// read verifies the ID token of an answer.
func (g *goOIDC) read(ctx context.Context, token *oauth2.Token, nonce string) (signedIn, error) {
	raw, _ := token.Extra("id_token").(string)
	id, err := g.provider.VerifierContext(ctx, &oidc.Config{ClientID: g.config.ClientID}).Verify(ctx, raw)
	if err != nil {
		return signedIn{}, err
	}
	var claims struct{ Email, Sid string }
	if err := id.Claims(&claims); err != nil {
		return signedIn{}, err
	}
	if nonce != "" && id.Nonce != nonce {
		return signedIn{}, errors.New("another nonce")
	}
	return signedIn{raw, token.RefreshToken, claims.Email, claims.Sid}, nil
}

func (g *goOIDC) refresh(ctx context.Context, user signedIn) (signedIn, error) {
	token, err := g.config.TokenSource(ctx, &oauth2.Token{RefreshToken: user.refreshToken}).Token()
	if err != nil {
		return user, err
	}
	return g.read(ctx, token, "")
}

// ended takes a logout token for an ID token, as the standard has it.
func (g *goOIDC) ended(ctx context.Context, raw string) (string, error) {
	token, err := g.provider.VerifierContext(ctx, &oidc.Config{ClientID: g.config.ClientID}).Verify(ctx, raw)
	if err != nil {
		return "", err
	}
	var claims struct {
		Sid    string
		Events map[string]struct{}
	}
	if err := token.Claims(&claims); err != nil {
		return "", err
	}
	if _, is := claims.Events["http://schemas.openid.net/event/backchannel-logout"]; !is || token.Nonce != "" || claims.Sid == "" {
		return "", errors.New("it is no logout token")
	}
	return claims.Sid, nil
}

type zitadel struct{ party rp.RelyingParty }

func newZitadel(ctx context.Context) (*zitadel, error) {
	key := []byte(rand.Text()[:16])
	cookies := zitadelhttp.NewCookieHandler(key, key, zitadelhttp.WithUnsecure())
	party, err := rp.NewRelyingPartyOIDC(ctx, os.Getenv("ISSUER"), os.Getenv("CLIENT_ID"), os.Getenv("CLIENT_SECRET"), os.Getenv("CALLBACK"), scopes,
		rp.WithCookieHandler(cookies), rp.WithPKCE(cookies), rp.WithSigningAlgsFromDiscovery(), rp.WithVerifierOpts(rp.WithIssuedAtOffset(5*time.Second)))
	return &zitadel{party}, err
}

func (z *zitadel) endSession() string { return z.party.GetEndSessionEndpoint() }

func (z *zitadel) begin(w http.ResponseWriter, r *http.Request) {
	rp.AuthURLHandler(rand.Text, z.party)(w, r)
}

func (z *zitadel) callback(in func(http.ResponseWriter, *http.Request, signedIn)) http.HandlerFunc {
	return rp.CodeExchangeHandler(func(w http.ResponseWriter, r *http.Request, tokens *zitadeloidc.Tokens[*zitadeloidc.IDTokenClaims], _ string, _ rp.RelyingParty) {
		in(w, r, z.read(tokens))
	}, z.party)
}

func (z *zitadel) read(tokens *zitadeloidc.Tokens[*zitadeloidc.IDTokenClaims]) signedIn {
	return signedIn{tokens.IDToken, tokens.RefreshToken, tokens.IDTokenClaims.Email, tokens.IDTokenClaims.SessionID}
}

func (z *zitadel) refresh(ctx context.Context, user signedIn) (signedIn, error) {
	tokens, err := rp.RefreshTokens[*zitadeloidc.IDTokenClaims](ctx, z.party, user.refreshToken, "", "")
	if refused := new(zitadeloidc.Error); errors.As(err, &refused) {
		return user, &oauth2.RetrieveError{ErrorCode: string(refused.ErrorType)}
	}
	if err != nil {
		return user, err
	}
	return z.read(tokens), nil
}

func (z *zitadel) ended(context.Context, string) (string, error) {
	return "", errors.New("the library verifies no logout tokens")
}
