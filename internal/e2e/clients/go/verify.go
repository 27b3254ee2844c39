package main

import (
	"context"
	"fmt"

	"github.com/MicahParks/keyfunc/v3"
	"github.com/coreos/go-oidc/v3/oidc"
	"github.com/golang-jwt/jwt/v5"
)

// verify has both libraries check every token: signature, issuer, audience and
// expiry.
func verify(ctx context.Context, ask request, provider *oidc.Provider, tokens map[string]string, out *result) error {
	var metadata struct {
		JWKSURI string `json:"jwks_uri"`
	}
	if err := provider.Claims(&metadata); err != nil {
		return fmt.Errorf("metadata: %w", err)
	}
	keys, err := keyfunc.NewDefaultCtx(ctx, []string{metadata.JWKSURI})
	if err != nil {
		return fmt.Errorf("keyfunc: %w", err)
	}
	verifier := provider.VerifierContext(ctx, &oidc.Config{ClientID: ask.Audience, SupportedSigningAlgs: []string{ask.Alg}})
	out.OIDC, out.Keyfunc = map[string]claims{}, map[string]claims{}
	for name, token := range tokens {
		if out.OIDC[name], err = verifyOIDC(ctx, verifier, token); err != nil {
			return fmt.Errorf("go-oidc, token of %s: %w", name, err)
		}
		if out.Keyfunc[name], err = verifyKeyfunc(ask, keys, token); err != nil {
			return fmt.Errorf("keyfunc, token of %s: %w", name, err)
		}
	}
	return nil
}

func verifyOIDC(ctx context.Context, verifier *oidc.IDTokenVerifier, token string) (claims, error) {
	verified, err := verifier.Verify(ctx, token)
	if err != nil {
		return nil, err
	}
	var c claims
	err = verified.Claims(&c)
	return c, err
}

func verifyKeyfunc(ask request, keys keyfunc.Keyfunc, token string) (claims, error) {
	verified, err := jwt.Parse(token, keys.Keyfunc, jwt.WithIssuer(ask.Issuer), jwt.WithAudience(ask.Audience),
		jwt.WithValidMethods([]string{ask.Alg}), jwt.WithExpirationRequired(), jwt.WithIssuedAt())
	if err != nil {
		return nil, err
	}
	return claims(verified.Claims.(jwt.MapClaims)), nil
}
