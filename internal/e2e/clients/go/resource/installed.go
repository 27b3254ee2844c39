//go:build installed

package resource

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"net/http/httptest"
	"net/url"
	"os"
	"slices"
	"time"

	"github.com/MicahParks/keyfunc/v3"
	auth0jwks "github.com/auth0/go-jwt-middleware/v2/jwks"
	auth0 "github.com/auth0/go-jwt-middleware/v2/validator"
	auth0jwks3 "github.com/auth0/go-jwt-middleware/v3/jwks"
	auth03 "github.com/auth0/go-jwt-middleware/v3/validator"
	fiberjwt "github.com/gofiber/contrib/jwt"
	"github.com/gofiber/fiber/v2"
	"github.com/golang-jwt/jwt/v5"
	echojwt "github.com/labstack/echo-jwt/v4"
	"github.com/labstack/echo/v4"
	proxyoidc "github.com/oauth2-proxy/oauth2-proxy/v7/pkg/providers/oidc"
	"github.com/open-policy-agent/opa/v1/rego"
	"github.com/open-policy-agent/opa/v1/topdown/cache"
	"github.com/zitadel/oidc/v3/pkg/client/rs"
	zitadeloidc "github.com/zitadel/oidc/v3/pkg/oidc"
	"k8s.io/apiserver/pkg/apis/apiserver"
	kubeoidc "k8s.io/apiserver/plugin/pkg/authenticator/token/oidc"
)

// These need much compiling: they are there with the tag installed.
func init() {
	for name, makes := range map[string]func(context.Context, config) (check, error){
		"auth0": auth0Middleware, "auth0-3": auth0Middleware3, "echo-jwt": echoJWT, "fiber-jwt": fiberJWT, "oauth2-proxy": oauth2Proxy, "zitadel-rs": zitadelRS,
		"kube-apiserver": kubeAPIServer, "opa": opa,
	} {
		libraries[name] = makes
	}
}

// refused is what a middleware that answers by itself says of a token.
func refused(status int) error {
	if status == http.StatusOK {
		return nil
	}
	return fmt.Errorf("status %d", status)
}

func asked(ctx context.Context, token string) *http.Request {
	r := httptest.NewRequestWithContext(ctx, "GET", "/", nil)
	r.Header.Set("Authorization", "Bearer "+token)
	return r
}

// auth0Middleware takes one algorithm. Unless told to wait, it answers by the set
// that it has while it fetches the next one.
func auth0Middleware(_ context.Context, c config) (check, error) {
	issuer, err := url.Parse(c.issuer)
	if err != nil {
		return nil, err
	}
	const life = 5 * time.Minute // as its examples have it
	keys := auth0jwks.NewCachingProvider(issuer, life, auth0jwks.WithSynchronousRefresh(true))
	validator, err := auth0.New(keys.KeyFunc, auth0.RS256, c.issuer, []string{c.audience})
	if err != nil {
		return nil, err
	}
	return bearers(func(ctx context.Context, token string) error {
		_, err := validator.ValidateToken(ctx, token)
		return err
	}), nil
}

// auth0Middleware3 is the major version after: it takes one algorithm too, and who
// finds the set too old waits for the next one.
func auth0Middleware3(_ context.Context, c config) (check, error) {
	issuer, err := url.Parse(c.issuer)
	if err != nil {
		return nil, err
	}
	keys, err := auth0jwks3.NewCachingProvider(auth0jwks3.WithIssuerURL(issuer))
	if err != nil {
		return nil, err
	}
	validator, err := auth03.New(auth03.WithKeyFunc(keys.KeyFunc), auth03.WithAlgorithm(auth03.RS256),
		auth03.WithIssuer(c.issuer), auth03.WithAudience(c.audience))
	if err != nil {
		return nil, err
	}
	return bearers(func(ctx context.Context, token string) error {
		_, err := validator.ValidateToken(ctx, token)
		return err
	}), nil
}

// echoJWT has its keys from keyfunc, as its documentation proposes.
func echoJWT(ctx context.Context, c config) (check, error) {
	keys, err := keyfunc.NewDefaultOverrideCtx(ctx, []string{c.issuer + "/.well-known/jwks.json"}, keyfunc.Override{RefreshInterval: c.cache})
	if err != nil {
		return nil, err
	}
	e := echo.New()
	e.Use(echojwt.WithConfig(echojwt.Config{ParseTokenFunc: func(_ echo.Context, token string) (any, error) {
		return golangJWT(token, keys, c)
	}}))
	e.GET("/", func(c echo.Context) error { return c.NoContent(http.StatusOK) })
	return func(ctx context.Context, token string) error {
		rec := httptest.NewRecorder()
		e.ServeHTTP(rec, asked(ctx, token))
		return refused(rec.Code)
	}, nil
}

// fiberJWT leaves the issuer, the audience, the type and cnf to the program.
func fiberJWT(_ context.Context, c config) (check, error) {
	app := fiber.New()
	app.Use(fiberjwt.New(fiberjwt.Config{
		JWKSetURLs: []string{c.issuer + "/.well-known/jwks.json"},
		SuccessHandler: func(f *fiber.Ctx) error {
			token := f.Locals("user").(*jwt.Token)
			claims := token.Claims.(jwt.MapClaims)
			issuer, err := claims.GetIssuer()
			audience, err2 := claims.GetAudience()
			if err != nil || err2 != nil || issuer != c.issuer || !slices.Contains(audience, c.audience) ||
				token.Header["typ"] != "at+jwt" || claims["cnf"] != nil {
				return f.SendStatus(http.StatusUnauthorized)
			}
			return f.SendStatus(http.StatusOK)
		},
	}))
	return func(ctx context.Context, token string) error {
		res, err := app.Test(asked(ctx, token), -1)
		if err != nil {
			return err
		}
		return refused(res.StatusCode)
	}, nil
}

// oauth2Proxy is what it checks bearer tokens with under --skip-jwt-bearer-tokens
// and --extra-jwt-issuers.
func oauth2Proxy(ctx context.Context, c config) (check, error) {
	provider, err := proxyoidc.NewProviderVerifier(ctx, proxyoidc.ProviderVerifierOptions{
		AudienceClaims: []string{"aud"}, ClientID: c.audience, IssuerURL: c.issuer,
	})
	if err != nil {
		return nil, err
	}
	return func(ctx context.Context, token string) error {
		_, err := provider.Verifier().Verify(ctx, token)
		return err
	}, nil
}

// zitadelRS asks about every token, as a client of its own.
func zitadelRS(ctx context.Context, c config) (check, error) {
	// A connection that is kept would hold back a clock that is set.
	client := &http.Client{Transport: &http.Transport{DisableKeepAlives: true}}
	server, err := rs.NewResourceServerClientCredentials(ctx, c.issuer, os.Getenv("INTROSPECT_ID"), os.Getenv("INTROSPECT_SECRET"), rs.WithClient(client))
	if err != nil {
		return nil, err
	}
	return func(ctx context.Context, token string) error {
		answer, err := rs.Introspect[*zitadeloidc.IntrospectionResponse](ctx, server, token)
		if err == nil && (!answer.Active || answer.TokenType != "Bearer" || !slices.Contains(answer.Audience, c.audience)) {
			err = errors.New("not active, bound to a key, or for somebody else")
		}
		return err
	}, nil
}

// kubeAPIServer is the API server's authenticator, as its AuthenticationConfiguration
// makes it.
func kubeAPIServer(ctx context.Context, c config) (check, error) {
	none := ""
	authenticator, err := kubeoidc.New(ctx, kubeoidc.Options{
		Client: http.DefaultClient, SupportedSigningAlgs: c.algs, APIServerID: "e2e",
		JWTAuthenticator: apiserver.JWTAuthenticator{
			Issuer: apiserver.Issuer{URL: c.issuer, Audiences: []string{c.audience}},
			ClaimValidationRules: []apiserver.ClaimValidationRule{
				{Expression: "has(claims.client_id)", Message: "it is no access token"},
				{Expression: "!has(claims.cnf)", Message: "it is bound to a key"},
			},
			ClaimMappings: apiserver.ClaimMappings{Username: apiserver.PrefixedClaimOrExpression{Claim: "sub", Prefix: &none}},
		},
	})
	if err != nil {
		return nil, err
	}
	for authenticator.HealthCheck() != nil && ctx.Err() == nil {
		time.Sleep(time.Second) // it asks for the metadata every ten seconds
	}
	return func(ctx context.Context, token string) error {
		_, ok, err := authenticator.AuthenticateToken(ctx, token)
		if err == nil && !ok {
			err = errors.New("not a token for this authenticator")
		}
		return err
	}, nil
}

// policy keeps the key set for five minutes. http.send would honour the max-age
// too, but reckons it from the issuer's Date, which knows nothing of a clock that is set.
const policy = `package token

keys := http.send({"url": concat("", [input.issuer, "/.well-known/jwks.json"]), "method": "GET",
	"force_cache": true, "force_cache_duration_seconds": 300}).raw_body

valid if {
	[ok, header, claims] := io.jwt.decode_verify(input.token, {"cert": keys, "iss": input.issuer, "aud": input.audience})
	ok
	header.alg in input.algs
	header.typ == "at+jwt"
	not claims.cnf
}
`

// opa is the policy engine, as a library.
func opa(ctx context.Context, c config) (check, error) {
	kept := cache.NewInterQueryCacheWithContext(ctx, nil)
	query, err := rego.New(rego.Query("data.token.valid"), rego.Module("token.rego", policy)).PrepareForEval(ctx)
	if err != nil {
		return nil, err
	}
	return func(ctx context.Context, token string) error {
		found, err := query.Eval(ctx, rego.EvalTime(time.Now()), rego.EvalInterQueryBuiltinCache(kept),
			rego.EvalInput(map[string]any{"issuer": c.issuer, "audience": c.audience, "algs": c.algs, "token": token}))
		if err == nil && !found.Allowed() {
			err = errors.New("the policy does not hold")
		}
		return err
	}, nil
}
