package resource

import (
	"context"

	"github.com/MicahParks/keyfunc/v3"
	"github.com/coreos/go-oidc/v3/oidc"
	"github.com/golang-jwt/jwt/v5"
	"github.com/lestrrat-go/httprc/v3"
	"github.com/lestrrat-go/jwx/v3/jwk"
	jwxjwt "github.com/lestrrat-go/jwx/v3/jwt"
)

// goOIDC takes the algorithms from the metadata. The library has no setting
// for the life of its key set: it fetches when a token names a key that it does
// not have.
func goOIDC(ctx context.Context, c config) (check, error) {
	provider, err := oidc.NewProvider(ctx, c.issuer)
	if err != nil {
		return nil, err
	}
	verifier := provider.VerifierContext(ctx, &oidc.Config{ClientID: c.audience})
	return func(ctx context.Context, token string) error {
		_, err := verifier.Verify(ctx, token)
		return err
	}, nil
}

func keyFunc(ctx context.Context, c config) (check, error) {
	keys, err := keyfunc.NewDefaultOverrideCtx(ctx, []string{c.issuer + "/.well-known/jwks.json"}, keyfunc.Override{RefreshInterval: c.cache})
	if err != nil {
		return nil, err
	}
	return func(_ context.Context, token string) error {
		_, err := jwt.Parse(token, keys.Keyfunc, jwt.WithIssuer(c.issuer), jwt.WithAudience(c.audience),
			jwt.WithValidMethods(c.algs), jwt.WithExpirationRequired())
		return err
	}, nil
}

// jwx fetches its key set in the background, by the set's max-age but not more
// often than every 15 minutes, and never for a key that it does not have.
func jwx(ctx context.Context, c config) (check, error) {
	cache, err := jwk.NewCache(ctx, httprc.NewClient())
	if err != nil {
		return nil, err
	}
	url := c.issuer + "/.well-known/jwks.json"
	var options []jwk.RegisterOption
	if c.cache > 0 {
		options = append(options, jwk.WithConstantInterval(c.cache))
	}
	if err := cache.Register(ctx, url, options...); err != nil {
		return nil, err
	}
	set, err := cache.CachedSet(url)
	if err != nil {
		return nil, err
	}
	return func(_ context.Context, token string) error {
		_, err := jwxjwt.Parse([]byte(token), jwxjwt.WithKeySet(set), jwxjwt.WithIssuer(c.issuer), jwxjwt.WithAudience(c.audience))
		return err
	}, nil
}
