package clients

import (
	"context"
	"crypto/sha256"
	"encoding/base64"
	"net/url"
	"slices"
	"strings"
	"time"

	"github.com/go-jose/go-jose/v4"
	"github.com/go-jose/go-jose/v4/jwt"

	"github.com/keyturn/keyturn/internal/audit"
	"github.com/keyturn/keyturn/internal/jws"
	"github.com/keyturn/keyturn/internal/refusal"
	"github.com/keyturn/keyturn/internal/strictjson"
)

// assertionType is the client_assertion_type of RFC 7523 §2.2.
const assertionType = "urn:ietf:params:oauth:client-assertion-type:jwt-bearer"

// maxAssertion bounds a client assertion, in bytes.
const maxAssertion = 8 << 10

// maxAssertionLife bounds how far ahead an assertion may expire (RFC 7523 §3, rule
// 4), and so how long its jti is remembered. An hour is the longest default of a
// library in wide use (Authlib).
const maxAssertionLife = time.Hour

// AssertionAlgs returns the accepted signature algorithms of client assertions,
// all asymmetric.
func AssertionAlgs() []string {
	return []string{"ES256", "ES384", "ES512", "EdDSA", jws.Ed25519, "PS256", "PS384", "PS512", "RS256", "RS384", "RS512"}
}

// assertion is a parsed client assertion.
type assertion struct {
	jws.Compact
	claims jwt.Claims
	// client is the claimed issuer.
	client string
	// verified is set once the signature and the claims were found valid and the
	// assertion was spent.
	verified bool
}

// readAssertion returns the client assertion of a request, or nil if there is
// none.
func readAssertion(f url.Values) (*assertion, *refusal.Error) {
	text, kind := f.Get("client_assertion"), f.Get("client_assertion_type")
	switch {
	case text == "" && kind == "":
		return nil, nil
	case text == "":
		return nil, refusal.New(refusal.Malformed, audit.ReasonNoAssertion, "The parameter client_assertion is missing.")
	case kind != assertionType:
		return nil, refusal.New(refusal.Malformed, audit.ReasonAssertionType, "Use the client_assertion_type "+assertionType+".")
	}
	malformed := Refused(audit.ReasonMalformedAssertion)
	if len(text) > maxAssertion {
		return nil, malformed
	}
	signed, err := jws.Parse(text)
	if err != nil {
		return nil, malformed
	}
	a := &assertion{Compact: signed}
	if strictjson.UnmarshalSigned(a.Payload, &a.claims) != nil {
		return nil, malformed
	}
	a.client = a.claims.Issuer
	// The typ of an access token must not pass for that of an assertion (RFC 8725
	// §3.11). Most libraries write JWT or nothing.
	switch strings.ToLower(a.Header.Typ) {
	case "", "jwt", "client-authentication+jwt", "application/client-authentication+jwt":
	default:
		return a, malformed
	}
	if a.claims.Issuer != a.claims.Subject || !slices.Contains(AssertionAlgs(), a.Header.Alg) {
		return a, malformed
	}
	return a, checkID(a.client)
}

// checkAssertion verifies a client assertion (RFC 7523 §3) and spends it: each
// authenticates one request, across all replicas.
func (by *Authenticator) checkAssertion(ctx context.Context, a *assertion, client Client) *refusal.Error {
	if e := by.verifyAssertion(ctx, a, client); e != nil {
		return e
	}
	if e := by.judgeAssertion(a.claims, client); e != nil {
		return e
	}
	sum := sha256.Sum256([]byte(client.ID + "\x00" + a.claims.ID))
	id := "assertion " + base64.RawURLEncoding.EncodeToString(sum[:])
	first, err := by.Spend(ctx, id, a.claims.Expiry.Time().Add(by.ClockSkew))
	switch {
	case err != nil:
		return refusal.Undecided(audit.ReasonStore, err)
	case !first:
		return assertionRefused(audit.ReasonAssertionReplayed, "The client assertion was used before: make one for each request.")
	}
	return nil
}

// verifyAssertion verifies the signature with the key that the assertion names, or
// with each key that fits if it names none.
func (by *Authenticator) verifyAssertion(ctx context.Context, a *assertion, client Client) *refusal.Error {
	keys, err := by.Keys.of(ctx, client, a.fits)
	if err != nil {
		e := assertionRefused(audit.ReasonKeysUnavailable, "The key set of the client cannot be used just now.")
		e.Cause = err
		return e
	}
	for _, key := range keys {
		if a.fits(key) && a.SignedBy(key.Key) {
			return nil
		}
	}
	return Refused(audit.ReasonWrongAssertionKey)
}

// fits reports whether a key may have made the signature, by its id and its
// algorithm. EdDSA and Ed25519 are two names of one algorithm (RFC 9864 §2.2).
func (a *assertion) fits(key jose.JSONWebKey) bool {
	alg := a.Header.Alg
	return (key.KeyID == a.Header.Kid || a.Header.Kid == "" || key.KeyID == "") &&
		(key.Algorithm == "" || key.Algorithm == alg || slices.Contains(jws.AlgsOf(key.Key), jws.Ed25519)) && slices.Contains(jws.AlgsOf(key.Key), alg)
}

// judgeAssertion checks the claims of an assertion with a valid signature.
func (by *Authenticator) judgeAssertion(c jwt.Claims, client Client) *refusal.Error {
	now, skew := by.Now(), by.ClockSkew
	switch {
	case !by.isAudience(c.Audience, client):
		return assertionRefused(audit.ReasonAssertionAudience, "The aud of the client assertion must be the issuer, and nothing else.")
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

// isAudience reports whether every value of aud names this server, because an
// assertion for others too could be replayed here. Only the issuer is accepted
// (draft-ietf-oauth-rfc7523bis §4): another server of the client's could name our
// token endpoint as its own, and would get assertions that we accept. A client may
// be registered to use that URL nevertheless.
func (by *Authenticator) isAudience(aud jwt.Audience, client Client) bool {
	foreign := func(value string) bool {
		return value != by.Issuer && !(client.TokenEndpointAudience && value == by.TokenEndpoint)
	}
	return len(aud) > 0 && !slices.ContainsFunc(aud, foreign)
}

// assertionRefused returns a refusal that says what is wrong. It is only for a
// client that has the right key, or whose keys are unavailable.
func assertionRefused(reason audit.Reason, description string) *refusal.Error {
	return refusal.New(refusal.BadClient, reason, description)
}
