package main

import (
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"net/http"
	"time"

	"github.com/go-jose/go-jose/v4"
	"github.com/go-jose/go-jose/v4/jwt"
	"github.com/google/uuid"
)

// tokenLife is how long the floors' tokens live: longer than the longest bench
// of one scenario, so that none expires while it is measured.
const tokenLife = 24 * time.Hour

// floorIssuer is the issuer of the floors' tokens.
const floorIssuer = "http://127.0.0.1:8080"

// plainClaims are the claims of an access token (RFC 9068 §2.2).
type plainClaims struct {
	jwt.Claims
	ClientID string `json:"client_id"`
	Scope    string `json:"scope"`
	SID      string `json:"sid"`
}

// plainSigner signs and verifies with go-jose as its documentation shows it:
// what a server that does nothing special would do. Safe for concurrent use.
type plainSigner struct {
	signer  jose.Signer
	public  *ecdsa.PublicKey
	subject string
	session string
}

func newPlainSigner() (*plainSigner, error) {
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		return nil, err
	}
	signer, err := jose.NewSigner(
		jose.SigningKey{Algorithm: jose.ES256, Key: jose.JSONWebKey{Key: key, KeyID: uuid.NewString()}},
		(&jose.SignerOptions{}).WithType("at+jwt"))
	if err != nil {
		return nil, err
	}
	return &plainSigner{
		signer:  signer,
		public:  &key.PublicKey,
		subject: uuid.NewString(),
		session: uuid.NewString(),
	}, nil
}

// sign returns a new token.
func (s *plainSigner) sign() (string, error) {
	now := time.Now()
	return jwt.Signed(s.signer).Claims(plainClaims{
		Claims: jwt.Claims{
			Issuer:   floorIssuer,
			Subject:  s.subject,
			Audience: jwt.Audience{floorIssuer},
			Expiry:   jwt.NewNumericDate(now.Add(tokenLife)),
			IssuedAt: jwt.NewNumericDate(now),
			ID:       uuid.NewString(),
		},
		ClientID: "bench",
		Scope:    "openid email",
		SID:      s.session,
	}).Serialize()
}

// verify returns the claims of a token that it signed.
func (s *plainSigner) verify(token string) (plainClaims, error) {
	var c plainClaims
	t, err := jwt.ParseSigned(token, []jose.SignatureAlgorithm{jose.ES256})
	if err != nil {
		return c, err
	}
	if err := t.Claims(s.public, &c); err != nil {
		return c, err
	}
	return c, c.Validate(jwt.Expected{
		Issuer:      floorIssuer,
		AnyAudience: jwt.Audience{floorIssuer},
		Time:        time.Now(),
	})
}

// signHandler answers every request with a new token.
func signHandler(s *plainSigner) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
		token, err := s.sign()
		if err != nil {
			http.Error(w, err.Error(), http.StatusInternalServerError)
			return
		}
		writeTokens(w, token, "")
	})
}
