package oauth

import (
	"context"
	"crypto/sha256"
	"encoding/base64"
	"errors"
	"slices"
	"strings"
	"time"

	"github.com/go-jose/go-jose/v4"
	"github.com/go-jose/go-jose/v4/jwt"

	"github.com/keyturn/keyturn/internal/audit"
	"github.com/keyturn/keyturn/internal/refusal"
)

// assertionType is the client_assertion_type of RFC 7523 §2.2.
const assertionType = "urn:ietf:params:oauth:client-assertion-type:jwt-bearer"

// maxAssertion bounds a client assertion, in bytes.
const maxAssertion = 8 << 10

// maxAssertionLife bounds how far ahead an assertion may expire (RFC 7523 §3,
// rule 4), and so how long its jti is remembered. An hour is the longest that a
// library in wide use (Authlib) asks for unless told otherwise.
const maxAssertionLife = time.Hour

// assertionAlgs are the algorithms of client assertions, all asymmetric.
var assertionAlgs = []jose.SignatureAlgorithm{
	jose.ES256, jose.ES384, jose.ES512, jose.EdDSA, jose.PS256, jose.PS384, jose.PS512, jose.RS256, jose.RS384, jose.RS512,
}

// AssertionAlgs lists the algorithms that a client assertion may be signed
// with.
func AssertionAlgs() []string {
	names := make([]string, len(assertionAlgs))
	for i, alg := range assertionAlgs {
		names[i] = string(alg)
	}
	return names
}

func isAssertionAlg(alg string) bool {
	return slices.Contains(assertionAlgs, jose.SignatureAlgorithm(alg))
}

// assertion is a client assertion as it was read.
type assertion struct {
	token *jwt.JSONWebToken
	// client is the issuer claimed.
	client string
	// verified is set once the signature and the claims were found good and
	// the assertion was spent.
	verified bool
}

// readAssertion finds the client assertion of a request, nil if there is none.
func readAssertion(f form) (*assertion, *refusal.Error) {
	text, kind := f.get("client_assertion"), f.get("client_assertion_type")
	switch {
	case text == "" && kind == "":
		return nil, nil
	case text == "":
		return nil, refusal.New(refusal.Malformed, audit.ReasonNoAssertion, "The parameter client_assertion is missing.")
	case kind != assertionType:
		return nil, refusal.New(refusal.Malformed, audit.ReasonAssertionType, "Use the client_assertion_type "+assertionType+".")
	}
	malformed := clientRefused(audit.ReasonMalformedAssertion)
	if len(text) > maxAssertion {
		return nil, malformed
	}
	token, err := jwt.ParseSigned(text, assertionAlgs)
	if err != nil || len(token.Headers) != 1 {
		return nil, malformed
	}
	// The typ of an access token must not pass for one of an assertion (RFC
	// 8725 §3.11). Most libraries write JWT or nothing.
	typ, _ := token.Headers[0].ExtraHeaders[jose.HeaderType].(string)
	switch strings.ToLower(typ) {
	case "", "jwt", "client-authentication+jwt", "application/client-authentication+jwt":
	default:
		return nil, malformed
	}
	var claimed jwt.Claims
	if err := token.UnsafeClaimsWithoutVerification(&claimed); err != nil || claimed.Issuer != claimed.Subject {
		return nil, malformed
	}
	return &assertion{token: token, client: claimed.Issuer}, checkClientID(claimed.Issuer)
}

// checkAssertion verifies a client assertion (RFC 7523 §3) and spends it: each
// authenticates one request, on whatever replica.
func (s *Service) checkAssertion(ctx context.Context, a *assertion, client Client) *refusal.Error {
	claims, e := s.verifyAssertion(ctx, a, client)
	if e != nil {
		return e
	}
	if e := s.judgeAssertion(claims); e != nil {
		return e
	}
	sum := sha256.Sum256([]byte(client.ID + "\x00" + claims.ID))
	id := "assertion " + base64.RawURLEncoding.EncodeToString(sum[:])
	err := s.store.SpendToken(ctx, id, claims.Expiry.Time().Add(s.settings.ClockSkew+purgeGrace))
	switch {
	case errors.Is(err, ErrTokenSpent):
		return assertionRefused(audit.ReasonAssertionReplayed, "The client assertion was used before: make one for each request.")
	case err != nil:
		return refusal.Undecided(audit.ReasonStore, err)
	}
	return nil
}

// verifyAssertion finds the key that made the signature. An assertion that
// names a key is tried with that one, any other with each that fits.
func (s *Service) verifyAssertion(ctx context.Context, a *assertion, client Client) (jwt.Claims, *refusal.Error) {
	var claims jwt.Claims
	header := a.token.Headers[0]
	fits := func(key jose.JSONWebKey) bool {
		return (key.KeyID == header.KeyID || header.KeyID == "" || key.KeyID == "") &&
			(key.Algorithm == "" || key.Algorithm == header.Algorithm)
	}
	keys, err := s.clientKeys.of(ctx, client, fits)
	if err != nil {
		e := assertionRefused(audit.ReasonKeysUnavailable, "The key set of the client cannot be used just now.")
		e.Cause = err
		return claims, e
	}
	for _, key := range keys {
		if fits(key) && a.token.Claims(key.Key, &claims) == nil {
			return claims, nil
		}
	}
	return claims, clientRefused(audit.ReasonWrongAssertionKey)
}

// judgeAssertion checks the claims of an assertion whose signature holds.
func (s *Service) judgeAssertion(c jwt.Claims) *refusal.Error {
	now, skew := s.now(), s.settings.ClockSkew
	switch {
	case !s.isAudience(c.Audience):
		return assertionRefused(audit.ReasonAssertionAudience, "The aud of the client assertion must be the issuer or its token endpoint, and nothing else.")
	case c.ID == "" || len(c.ID) > 512:
		return assertionRefused(audit.ReasonAssertionJTI, "The client assertion needs a jti of at most 512 bytes.")
	case c.Expiry == nil:
		return assertionRefused(audit.ReasonAssertionLifetime, "The client assertion needs an exp.")
	case !now.Before(c.Expiry.Time().Add(skew)):
		return assertionRefused(audit.ReasonAssertionExpired, "The client assertion has expired.")
	case c.Expiry.Time().After(now.Add(maxAssertionLife + skew)):
		return assertionRefused(audit.ReasonAssertionLifetime, "The client assertion lives too long: let it expire within an hour, better within a minute.")
	case c.NotBefore != nil && c.NotBefore.Time().After(now.Add(skew)), c.IssuedAt != nil && c.IssuedAt.Time().After(now.Add(skew)):
		return assertionRefused(audit.ReasonAssertionEarly, "The client assertion is not valid yet.")
	}
	return nil
}

// isAudience reports whether every value of aud names this server. One that
// names others too could have been made for them and be replayed here.
func (s *Service) isAudience(aud jwt.Audience) bool {
	foreign := func(value string) bool {
		return value != s.settings.Issuer && value != s.settings.TokenEndpoint
	}
	return len(aud) > 0 && !slices.ContainsFunc(aud, foreign)
}

// assertionRefused tells a client that holds the right key, or none that can be
// had, what is wrong.
func assertionRefused(reason audit.Reason, description string) *refusal.Error {
	return refusal.New(refusal.BadClient, reason, description)
}
