package oauth

import (
	"crypto/sha256"
	"crypto/sha512"
	"encoding/json"
	"slices"
	"strings"

	"github.com/keyturn/keyturn/internal/audit"
	"github.com/keyturn/keyturn/internal/base64url"
	"github.com/keyturn/keyturn/internal/clients"
	"github.com/keyturn/keyturn/internal/refusal"
	"github.com/keyturn/keyturn/users"
)

// idTokenType is the typ of an ID token, by which nothing takes it for an access
// token.
const idTokenType = "JWT"

// idToken is what an ID token says (OpenID Connect Core §2, §5.1).
type idToken struct {
	Issuer   string `json:"iss"`
	Subject  string `json:"sub"`
	Audience string `json:"aud"`
	Expiry   int64  `json:"exp"`
	IssuedAt int64  `json:"iat"`
	AuthTime int64  `json:"auth_time"`
	Nonce    string `json:"nonce,omitempty"`
	// AccessHash binds the access token to it (§3.1.3.6), Session is that one's.
	AccessHash string `json:"at_hash"`
	Session    string `json:"sid"`
	// Methods are how the user proved who they are (RFC 8176), Class how well.
	Methods []string `json:"amr"`
	Class   string   `json:"acr,omitempty"`
	Party   string   `json:"azp"`
	email
	profile
}

// email is what the scope email lets a client know; no address was verified yet.
type email struct {
	Email         string `json:"email,omitempty"`
	EmailVerified *bool  `json:"email_verified,omitempty"`
}

func emailOf(address string, verified bool) email {
	if address == "" {
		return email{}
	}
	return email{address, &verified}
}

// profile is what the scope profile lets a client know.
type profile struct {
	Name              string `json:"name,omitempty"`
	GivenName         string `json:"given_name,omitempty"`
	FamilyName        string `json:"family_name,omitempty"`
	PreferredUsername string `json:"preferred_username,omitempty"`
	UpdatedAt         int64  `json:"updated_at,omitempty"`
}

func profileOf(u users.User) profile {
	return profile{
		Name: strings.TrimSpace(u.FirstName + " " + u.LastName), GivenName: u.FirstName, FamilyName: u.LastName,
		PreferredUsername: u.Username, UpdatedAt: u.UpdatedAt.Unix(),
	}
}

// IDTokenClaims lists the claims that ID tokens bear and the UserInfo endpoint can
// answer.
func IDTokenClaims() []string {
	return append(UserInfoClaims(), "iss", "aud", "exp", "iat", "auth_time", "nonce", "at_hash", "sid", "amr", "acr", "azp")
}

// identify adds an ID token to what was issued with the scope openid. about is what is
// known of the user's profile, the zero one at a refresh, which need not say it
// again (OpenID Connect Core §12.2).
// The apps of the /auth routes, which name themselves nowhere, get none.
func (s *Service) identify(out *issued, q *tokenRequest, client clients.Client, about profile) *refusal.Error {
	if !slices.Contains(out.scope, "openid") || q.by.Named {
		return nil
	}
	f, now := out.family, s.now()
	id := idToken{
		Issuer: s.settings.Issuer, Subject: f.UserID, Audience: client.ID, Party: client.ID,
		IssuedAt: now.Unix(), Expiry: now.Add(out.access.expiresIn).Unix(), AuthTime: f.AuthTime.Unix(),
		Nonce: q.nonce, Session: f.ID, Methods: f.methods(), Class: f.class(),
	}
	if slices.Contains(out.scope, "email") {
		id.email = emailOf(f.Email, f.emailVerified())
	}
	if slices.Contains(out.scope, "profile") {
		id.profile = about
	}
	alg := algorithmOf(out.access.token)
	id.AccessHash = accessHash(alg, out.access.token)
	payload, err := json.Marshal(id)
	if err == nil {
		var claims members
		if claims, err = userClaims(f.Claims, client.Claims); err == nil {
			out.idToken, _, err = s.ring.SignWith(alg, idTokenType, claims.into(payload))
		}
	}
	if err != nil {
		return refusal.Undecided(audit.ReasonSigning, err)
	}
	return nil
}

// algorithmOf returns the alg of a JWS of ours.
func algorithmOf(jws string) string {
	var header struct {
		Alg string `json:"alg"`
	}
	encoded, _, _ := strings.Cut(jws, ".")
	text, err := base64url.Decode(encoded)
	if err == nil {
		err = json.Unmarshal(text, &header)
	}
	if err != nil {
		return ""
	}
	return header.Alg
}

// accessHash is the left half of the token's hash, which is as long as the
// algorithm's (OpenID Connect Core §3.1.3.6). That of Ed25519 is SHA-512.
func accessHash(alg, token string) string {
	if alg == "EdDSA" || alg == "Ed25519" {
		sum := sha512.Sum512([]byte(token))
		return base64url.Encode(sum[:len(sum)/2])
	}
	sum := sha256.Sum256([]byte(token))
	return base64url.Encode(sum[:len(sum)/2])
}
