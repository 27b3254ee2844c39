package resource

import (
	"context"
	"encoding/base64"
	"encoding/json"
	"errors"
	"net/http"
	"slices"
	"strings"
	"time"

	"github.com/MicahParks/keyfunc/v3"
	oidc2 "github.com/coreos/go-oidc"
	"github.com/coreos/go-oidc/v3/oidc"
	"github.com/golang-jwt/jwt/v5"
	capjwt "github.com/hashicorp/cap/jwt"
	"github.com/lestrrat-go/httprc/v3"
	"github.com/lestrrat-go/jwx/v3/jwk"
	jwxjwt "github.com/lestrrat-go/jwx/v3/jwt"
	"github.com/zitadel/oidc/v3/pkg/client/rp"
	zitadeloidc "github.com/zitadel/oidc/v3/pkg/oidc"
	"github.com/zitadel/oidc/v3/pkg/op"
)

// bearers has a resource server refuse, of what its library accepts, what is no access
// token (RFC 9068 §2.1), and what is bound to a key (RFC 9449 §7.2). Most libraries look
// at neither.
func bearers(accepts check) check {
	return func(ctx context.Context, token string) error {
		if err := accepts(ctx, token); err != nil {
			return err
		}
		var header struct{ Typ string }
		var claims struct{ Cnf any }
		parts := strings.Split(token, ".")
		for i, part := range []any{&header, &claims} {
			text, err := base64.RawURLEncoding.DecodeString(parts[i])
			if err != nil {
				return err
			}
			if err := json.Unmarshal(text, part); err != nil {
				return err
			}
		}
		if header.Typ != "at+jwt" || claims.Cnf != nil {
			return errors.New("no access token, or bound to a key")
		}
		return nil
	}
}

// goOIDC takes the algorithms from the metadata. The library has no setting
// for the life of its key set: it fetches when a token names a key that it does
// not have.
func goOIDC(ctx context.Context, c config) (check, error) {
	provider, err := oidc.NewProvider(ctx, c.issuer)
	if err != nil {
		return nil, err
	}
	verifier := provider.VerifierContext(ctx, &oidc.Config{ClientID: c.audience})
	return bearers(func(ctx context.Context, token string) error {
		_, err := verifier.Verify(ctx, token)
		return err
	}), nil
}

func keyFunc(ctx context.Context, c config) (check, error) {
	keys, err := keyfunc.NewDefaultOverrideCtx(ctx, []string{c.issuer + "/.well-known/jwks.json"}, keyfunc.Override{RefreshInterval: c.cache})
	if err != nil {
		return nil, err
	}
	return func(_ context.Context, token string) error {
		_, err := golangJWT(token, keys, c)
		return err
	}, nil
}

// golangJWT reads a token with golang-jwt, which has no options for its type and cnf.
func golangJWT(token string, keys keyfunc.Keyfunc, c config) (*jwt.Token, error) {
	var claims struct {
		jwt.RegisteredClaims
		Cnf any
	}
	read, err := jwt.ParseWithClaims(token, &claims, keys.Keyfunc, jwt.WithIssuer(c.issuer), jwt.WithAudience(c.audience),
		jwt.WithValidMethods(c.algs), jwt.WithExpirationRequired(), jwt.WithLeeway(30*time.Second))
	if err == nil && (read.Header["typ"] != "at+jwt" || claims.Cnf != nil) {
		err = errors.New("no access token, or bound to a key")
	}
	return read, err
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
	return bearers(func(_ context.Context, token string) error {
		_, err := jwxjwt.Parse([]byte(token), jwxjwt.WithKeySet(set), jwxjwt.WithIssuer(c.issuer), jwxjwt.WithAudience(c.audience))
		return err
	}), nil
}

// goOIDC2 is the major version before: it takes RS256 alone unless it is told.
func goOIDC2(ctx context.Context, c config) (check, error) {
	provider, err := oidc2.NewProvider(ctx, c.issuer)
	if err != nil {
		return nil, err
	}
	verifier := provider.Verifier(&oidc2.Config{ClientID: c.audience, SupportedSigningAlgs: c.algs})
	return bearers(func(ctx context.Context, token string) error {
		_, err := verifier.Verify(ctx, token)
		return err
	}), nil
}

func hashicorpCap(ctx context.Context, c config) (check, error) {
	set, err := capjwt.NewOIDCDiscoveryKeySet(ctx, c.issuer, "")
	if err != nil {
		return nil, err
	}
	validator, err := capjwt.NewValidator(set)
	if err != nil {
		return nil, err
	}
	var algs []capjwt.Alg
	for _, alg := range c.algs {
		algs = append(algs, capjwt.Alg(alg))
	}
	return bearers(func(ctx context.Context, token string) error {
		_, err := validator.Validate(ctx, token, capjwt.Expected{Issuer: c.issuer, Audiences: []string{c.audience}, SigningAlgorithms: algs})
		return err
	}), nil
}

// zitadel leaves the audience to its caller.
func zitadel(_ context.Context, c config) (check, error) {
	set := rp.NewRemoteKeySet(http.DefaultClient, c.issuer+"/.well-known/jwks.json")
	verifier := op.NewAccessTokenVerifier(c.issuer, set, op.WithSupportedAccessTokenSigningAlgorithms(c.algs...))
	return bearers(func(ctx context.Context, token string) error {
		claims, err := op.VerifyAccessToken[*zitadeloidc.AccessTokenClaims](ctx, token, verifier)
		if err == nil && !slices.Contains(claims.Audience, c.audience) {
			err = errors.New("the token is for somebody else")
		}
		return err
	}), nil
}
