package main

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"strings"
	"time"

	"github.com/go-jose/go-jose/v4"
	"github.com/go-jose/go-jose/v4/jwt"

	"github.com/keyturn/keyturn/internal/jws"
	"github.com/keyturn/keyturn/oauth"
)

// errFactorDue says that a password alone does not log the demo user in.
var errFactorDue = errors.New("the demo user has a second factor, or needs one")

// firstToken buys an access token over HTTP, of the demo user by password or else of
// the demo client, and verifies it with the keys that the issuer's metadata names. It
// returns the kid of the key.
func firstToken(ctx context.Context, issuer string, made demo, password bool) (kid string, err error) {
	ctx, cancel := context.WithTimeout(ctx, 30*time.Second)
	defer cancel()
	var metadata struct {
		TokenEndpoint string `json:"token_endpoint"`
		JWKSURI       string `json:"jwks_uri"`
	}
	if err := fetch(ctx, issuer+"/.well-known/oauth-authorization-server", &metadata); err != nil {
		return "", err
	}
	var jwks jose.JSONWebKeySet
	if err := fetch(ctx, metadata.JWKSURI, &jwks); err != nil {
		return "", err
	}
	token, err := buyToken(ctx, metadata.TokenEndpoint, made, password)
	if err != nil {
		return "", err
	}
	signed, err := jws.Parse(token)
	if err != nil {
		return "", err
	}
	found := jwks.Key(signed.Header.Kid)
	if len(found) != 1 {
		return "", errors.New("the token's key is not in the key set")
	}
	if !signed.SignedBy(found[0].Key) {
		return "", errors.New("the token's signature does not verify")
	}
	var claims jwt.Claims
	if err := json.Unmarshal(signed.Payload, &claims); err != nil {
		return "", err
	}
	want := jwt.Expected{Issuer: issuer, AnyAudience: jwt.Audience{demoAudience}}
	return found[0].KeyID, claims.Validate(want)
}

func buyToken(ctx context.Context, endpoint string, made demo, password bool) (string, error) {
	form := url.Values{"grant_type": {"client_credentials"}}
	if password {
		form = url.Values{"grant_type": {"password"}, "username": {made.Email}, "password": {made.Password}}
	}
	req, err := http.NewRequestWithContext(ctx, http.MethodPost, endpoint, strings.NewReader(form.Encode()))
	if err != nil {
		return "", err
	}
	req.Header.Set("Content-Type", "application/x-www-form-urlencoded")
	req.SetBasicAuth(url.QueryEscape(made.ClientID), url.QueryEscape(made.ClientSecret))
	var answer struct {
		AccessToken string `json:"access_token"`
	}
	err = roundTrip(req, &answer)
	return answer.AccessToken, err
}

func fetch(ctx context.Context, url string, v any) error {
	req, err := http.NewRequestWithContext(ctx, http.MethodGet, url, nil)
	if err != nil {
		return err
	}
	return roundTrip(req, v)
}

func roundTrip(req *http.Request, v any) error {
	res, err := http.DefaultClient.Do(req)
	if err != nil {
		return err
	}
	defer res.Body.Close()
	body := json.NewDecoder(io.LimitReader(res.Body, 1<<20))
	if res.StatusCode == http.StatusOK {
		return body.Decode(v)
	}
	var refused struct {
		Description string `json:"error_description"`
	}
	if body.Decode(&refused) == nil && refused.Description == oauth.Unaskable {
		return errFactorDue
	}
	return fmt.Errorf("%s answered %s", req.URL.Path, res.Status)
}
