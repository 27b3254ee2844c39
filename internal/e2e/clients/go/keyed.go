package main

import (
	"context"
	"crypto/rand"
	"net/url"
	"time"

	"github.com/golang-jwt/jwt/v5"
	"golang.org/x/oauth2"
	"golang.org/x/oauth2/clientcredentials"
)

// signedGrant gets a token for a client that authenticates by an assertion
// (RFC 7523), which golang.org/x/oauth2 lets in by its parameters, and reads
// its claims.
func signedGrant(ctx context.Context, ask request, endpoint string) (claims, error) {
	key, err := jwt.ParseECPrivateKeyFromPEM([]byte(ask.PrivateKeys["ES256"]))
	if err != nil {
		return nil, err
	}
	assertion := jwt.NewWithClaims(jwt.SigningMethodES256, jwt.MapClaims{
		"iss": ask.KeyedID, "sub": ask.KeyedID, "aud": ask.Issuer, "jti": rand.Text(), "exp": time.Now().Add(time.Minute).Unix(),
	})
	assertion.Header["kid"] = "ES256"
	signed, err := assertion.SignedString(key)
	if err != nil {
		return nil, err
	}
	config := clientcredentials.Config{
		ClientID: ask.KeyedID, TokenURL: endpoint, AuthStyle: oauth2.AuthStyleInParams,
		EndpointParams: url.Values{
			"client_assertion_type": {"urn:ietf:params:oauth:client-assertion-type:jwt-bearer"},
			"client_assertion":      {signed},
			"resource":              {ask.Resource},
		},
	}
	token, err := config.Token(ctx)
	if err != nil {
		return nil, err
	}
	var read jwt.MapClaims
	_, _, err = jwt.NewParser().ParseUnverified(token.AccessToken, &read)
	return claims(read), err
}
