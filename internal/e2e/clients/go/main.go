// Command clients uses a Keyturn server as Go programs do: it gets tokens with
// golang.org/x/oauth2 and verifies them with github.com/coreos/go-oidc and
// github.com/MicahParks/keyfunc, all from the issuer's URL alone. It reads what
// to do from standard input and prints what the verifiers read in the tokens. With
// the argument code it logs its user in through a browser, and with the argument web it
// is an application in the web.
package main

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"os/signal"
	"time"

	"github.com/coreos/go-oidc/v3/oidc"
	"golang.org/x/oauth2"
	"golang.org/x/oauth2/clientcredentials"
)

// request is what standard input asks for.
type request struct {
	Issuer       string `json:"issuer"`
	ClientID     string `json:"client_id"`
	ClientSecret string `json:"client_secret"`
	Username     string `json:"username"`
	Password     string `json:"password"`
	Audience     string `json:"audience"`
	Alg          string `json:"alg"`
	// KeyedID is a client that signs with PrivateKeys, PEM by algorithm, and
	// asks for one Resource.
	KeyedID     string            `json:"keyed_id"`
	PrivateKeys map[string]string `json:"private_keys"`
	Resource    string            `json:"resource"`
}

// result says what each step yielded. Claims are those that a verifier
// returned, by the name of the token.
type result struct {
	OIDC     map[string]claims `json:"oidc"`
	Keyfunc  map[string]claims `json:"keyfunc"`
	UserInfo claims            `json:"userinfo"`
	// Refreshes is how many refresh tokens, all different, were spent.
	Refreshes int `json:"refreshes"`
	// Lost is how many answers to a refresh did not arrive.
	Lost int `json:"lost"`
	// Keyed are the claims of the token of the client that signs.
	Keyed claims `json:"keyed"`
	// Refused is the OAuth error of a login with a wrong password.
	Refused string `json:"refused"`
	// Did is what was done with golang.org/x/oauth2.
	Did []string `json:"did"`
}

type claims map[string]any

// refreshes is how often the session is refreshed.
const refreshes = 3

func main() {
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt)
	defer stop()
	if err := run(ctx); err != nil {
		fmt.Fprintln(os.Stderr, err)
		os.Exit(1)
	}
}

func run(ctx context.Context) error {
	if len(os.Args) > 2 && os.Args[1] == "web" {
		return serveWeb(ctx, os.Args[2])
	}
	var ask request
	if err := json.NewDecoder(os.Stdin).Decode(&ask); err != nil {
		return fmt.Errorf("read the request: %w", err)
	}
	provider, err := oidc.NewProvider(ctx, ask.Issuer)
	if err != nil {
		return fmt.Errorf("discovery: %w", err)
	}
	if len(os.Args) > 1 && os.Args[1] == "code" {
		out, err := logIn(ctx, ask, provider)
		if err != nil {
			return err
		}
		return json.NewEncoder(os.Stdout).Encode(out)
	}
	tokens, out, err := obtain(ctx, ask, provider)
	if err != nil {
		return err
	}
	if err := verify(ctx, ask, provider, tokens, &out); err != nil {
		return err
	}
	return json.NewEncoder(os.Stdout).Encode(out)
}

// obtain gets tokens by every grant that the client has.
func obtain(ctx context.Context, ask request, provider *oidc.Provider) (map[string]string, result, error) {
	var out result
	config := &oauth2.Config{ClientID: ask.ClientID, ClientSecret: ask.ClientSecret, Endpoint: provider.Endpoint()}
	token, err := config.PasswordCredentialsToken(ctx, ask.Username, ask.Password)
	if err != nil {
		return nil, out, fmt.Errorf("password grant: %w", err)
	}
	tokens := map[string]string{"password": token.AccessToken}
	seen := map[string]bool{token.RefreshToken: true}
	for range refreshes {
		// A token without an access token is stale: the source refreshes it.
		source := config.TokenSource(ctx, &oauth2.Token{RefreshToken: token.RefreshToken})
		token, err = source.Token()
		if refused := new(oauth2.RetrieveError); err != nil && !errors.As(err, &refused) {
			out.Lost++
			token, err = source.Token()
		}
		if err != nil {
			return nil, out, fmt.Errorf("refresh grant: %w", err)
		}
		if token.RefreshToken == "" || seen[token.RefreshToken] {
			return nil, out, errors.New("refresh grant: the refresh token did not change")
		}
		if left := time.Until(token.Expiry); left <= 0 {
			return nil, out, fmt.Errorf("refresh grant: the token expires in %v", left)
		}
		seen[token.RefreshToken] = true
		out.Refreshes++
	}
	tokens["refresh_token"] = token.AccessToken
	out.Did = append(out.Did, "password", "refresh_token")

	info, err := provider.UserInfo(ctx, oauth2.StaticTokenSource(token))
	if err != nil {
		return nil, out, fmt.Errorf("userinfo: %w", err)
	}
	if err := info.Claims(&out.UserInfo); err != nil {
		return nil, out, fmt.Errorf("userinfo: %w", err)
	}
	if ask.ClientSecret != "" {
		own := clientcredentials.Config{ClientID: ask.ClientID, ClientSecret: ask.ClientSecret, TokenURL: provider.Endpoint().TokenURL}
		token, err := own.Token(ctx)
		if err != nil {
			return nil, out, fmt.Errorf("client_credentials grant: %w", err)
		}
		tokens["client_credentials"] = token.AccessToken
		out.Did = append(out.Did, "client_credentials")
	}
	if out.Keyed, err = signedGrant(ctx, ask, provider.Endpoint().TokenURL); err != nil {
		return nil, out, fmt.Errorf("private_key_jwt: %w", err)
	}
	out.Did = append(out.Did, "private_key_jwt", "resource")
	var refused *oauth2.RetrieveError
	if _, err := config.PasswordCredentialsToken(ctx, ask.Username, ask.Password+"x"); !errors.As(err, &refused) {
		return nil, out, fmt.Errorf("password grant with a wrong password: got %v, want an error of the server", err)
	}
	out.Refused = refused.ErrorCode
	return tokens, out, nil
}
