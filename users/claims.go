package users

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"io"
	"maps"
	"math"
	"slices"
	"strings"
	"unicode"

	"github.com/keyturn/keyturn/internal/audit"
	"github.com/keyturn/keyturn/internal/strictjson"
)

// The bounds of a user's claims in tokens. A token travels in a header, and
// servers commonly accept 8 KiB of headers in all.
const (
	maxRoles       = 64
	maxRoleRunes   = 100
	maxClaimName   = 100
	maxClaimDepth  = 5
	maxTokenClaims = 2048
)

// RolesClaim is the claim for Roles in tokens (RFC 9068 §2.2.3.1).
const RolesClaim = "roles"

// reserved are claims with a meaning in the protocols (RFC 7519 §4.1, RFC 7662
// §2.2, RFC 7800, RFC 8693, RFC 9068 §2.2, RFC 9493 §4.1, OpenID Connect Core §2 and
// §5), or that Keyturn sets itself; scp is what some read where scope is missing. What
// OpenID Connect has and Keyturn does not, such as phone_number, is the operator's. Setting them for a user would forge what a resource server
// relies on. Many servers ignore the case of names, so reserved names are refused
// in any case.
var reserved = map[string]bool{
	"iss": true, "sub": true, "aud": true, "exp": true, "nbf": true, "iat": true, "jti": true,
	"client_id": true, "scope": true, "auth_time": true, "acr": true, "amr": true, "azp": true, "sid": true,
	"nonce": true, "at_hash": true, "c_hash": true, "cnf": true, "act": true, "may_act": true,
	"typ": true, "alg": true, "kid": true, "active": true, "token_type": true, "username": true,
	"email": true, "email_verified": true, "name": true, "given_name": true, "family_name": true,
	"preferred_username": true, "updated_at": true, "events": true, "authorization_details": true,
	"sub_id": true, "scp": true, "_claim_names": true, "_claim_sources": true,
	RolesClaim: true,
}

// CheckClaimName returns an error if a custom claim cannot have the name.
func CheckClaimName(name string) error {
	if name == "" || len(name) > maxClaimName {
		return refuse("claims", "a name must have 1 to %d characters", maxClaimName)
	}
	for _, c := range []byte(name) {
		if c <= ' ' || c > '~' || c == '"' || c == '\\' {
			return refuse("claims", "a name must have visible ASCII characters but quote and backslash only")
		}
	}
	if reserved[strings.ToLower(name)] {
		return refuse("claims", "the name %q is reserved for what the server itself says", name)
	}
	return nil
}

// checkRoles returns roles in NFC without duplicates, in the order given.
func checkRoles(roles []string) ([]string, error) {
	if len(roles) > maxRoles {
		return nil, refuse("roles", "at most %d are accepted", maxRoles)
	}
	var checked []string
	for _, role := range roles {
		role, err := CheckRole(role)
		if err != nil {
			return nil, err
		}
		if !slices.Contains(checked, role) {
			checked = append(checked, role)
		}
	}
	return checked, nil
}

// CheckRole returns the name of a role in NFC, or a refusal.
func CheckRole(role string) (string, error) {
	role, err := checkName("roles", role)
	if err != nil {
		return "", err
	}
	if role == "" || strings.ContainsFunc(role, unicode.IsSpace) {
		return "", refuse("roles", "each must have 1 to %d visible characters and no space", maxRoleRunes)
	}
	return role, nil
}

// checkClaims returns a JSON object of custom claims in the form in which it is
// stored (names sorted, no white space). An empty object gives "".
func checkClaims(object string) (string, error) {
	if strings.TrimSpace(object) == "" {
		return "", nil
	}
	if len(object) > 2*maxTokenClaims {
		return "", refuse("claims", "must be at most %d bytes long", maxTokenClaims)
	}
	claims, err := decodeClaims(object)
	if err != nil {
		return "", err
	}
	for name, value := range claims {
		if err := CheckClaimName(name); err != nil {
			return "", err
		}
		if value == nil {
			return "", refuse("claims", "%q is null: leave it out", name)
		}
		if !exact(value) {
			return "", refuse("claims", "%q has a number beyond ±%d, which readers round or refuse (RFC 7493 §2.2): give it as text in quotes", name, int64(maxExact))
		}
	}
	if len(claims) == 0 {
		return "", nil
	}
	canonical, err := encodeClaims(claims)
	if err != nil {
		return "", refuse("claims", "must be a JSON object")
	}
	return canonical, nil
}

// maxExact is the greatest number up to which doubles hold every integer.
const maxExact = 1<<53 - 1

// exact reports whether no number in a claim is beyond maxExact.
func exact(value any) bool {
	switch value := value.(type) {
	case json.Number:
		f, err := value.Float64()
		return err == nil && math.Abs(f) <= maxExact
	case []any:
		return !slices.ContainsFunc(value, func(v any) bool { return !exact(v) })
	case map[string]any:
		return exact(slices.Collect(maps.Values(value)))
	}
	return true
}

func decodeClaims(object string) (map[string]any, error) {
	if err := checkNesting(object); err != nil {
		return nil, err
	}
	d := json.NewDecoder(strings.NewReader(object))
	d.UseNumber() // numbers are kept exactly
	var claims map[string]any
	if err := d.Decode(&claims); err != nil || claims == nil {
		return nil, refuse("claims", "must be a JSON object")
	}
	if _, err := d.Token(); err != io.EOF {
		return nil, refuse("claims", "must be one JSON object and nothing after it")
	}
	return claims, nil
}

// checkNesting refuses an object that is too deep, or that has a member twice,
// because readers differ in which one they use.
func checkNesting(object string) error {
	err := strictjson.Check([]byte(object), maxClaimDepth)
	var member *strictjson.MemberError
	switch {
	case errors.As(err, &member):
		return refuse("claims", "%s", member)
	case errors.Is(err, strictjson.ErrDeep):
		return refuse("claims", "must not be nested more than %d deep", maxClaimDepth)
	case err != nil:
		return refuse("claims", "must be a JSON object")
	}
	return nil
}

func encodeClaims(claims map[string]any) (string, error) {
	var b bytes.Buffer
	e := json.NewEncoder(&b)
	e.SetEscapeHTML(false)
	err := e.Encode(claims)
	return strings.TrimSuffix(b.String(), "\n"), err
}

// CheckClaims returns what keeps roles and claims from being those of any account.
func CheckClaims(roles []string, claims string) error { return new(User).setClaims(roles, claims) }

// setClaims checks roles and claims and stores them in u.
func (u *User) setClaims(roles []string, claims string) error {
	var err error
	if u.Roles, err = checkRoles(roles); err != nil {
		return err
	}
	if u.Claims, err = checkClaims(claims); err != nil {
		return err
	}
	if all := (User{Roles: u.Roles, Claims: u.Claims}).TokenClaims(); len(all) > maxTokenClaims {
		return refuse("claims", "roles and claims must fit in %d bytes of JSON, since every token bears them", maxTokenClaims)
	}
	return nil
}

// VerifiedClaim is the member of TokenClaims that says that the address is verified.
const VerifiedClaim = "email_verified"

// EmailVerified reports whether its user opened a link that was sent to the address.
func (u User) EmailVerified() bool { return u.Email != "" && u.VerifiedEmail == u.Email }

// TokenClaims returns everything that tokens may say about the user besides the
// e-mail address: one JSON object of Claims and, under RolesClaim, Roles, and
// VerifiedClaim, if that is so. It returns "" if there is nothing to say.
func (u User) TokenClaims() string {
	if len(u.Roles) == 0 && !u.EmailVerified() {
		return u.Claims
	}
	claims, err := decodeClaims(u.Claims)
	if err != nil {
		claims = map[string]any{}
	}
	if len(u.Roles) > 0 {
		claims[RolesClaim] = u.Roles
	}
	if u.EmailVerified() {
		claims[VerifiedClaim] = true
	}
	all, err := encodeClaims(claims)
	if err != nil {
		return "" // strings and decoded values can always be encoded
	}
	return all
}

// SetClaims replaces the roles and claims of the account uid and returns the
// changed account. Its live sessions have the new ones from their next refresh on,
// and the event's Count is their number. Access tokens already issued keep the old
// ones until they expire. The error is ErrNotFound, a refused field, ErrConflict,
// decision.ErrNotRecorded or from the store.
func (s *Service) SetClaims(ctx context.Context, uid string, roles []string, claims string) (User, error) {
	u, _, err := s.change(ctx, audit.Event{Action: audit.UserChanged}, uid, false, func(u *User, e *audit.Event) (err error) {
		if err := u.setClaims(roles, claims); err != nil {
			return err
		}
		e.Detail = u.describeClaims()
		e.Count, err = s.Sessions.CountSessionsOf(ctx, uid, "")
		return err
	})
	return u, err
}

// describeClaims returns the text for the audit log: the roles, because they
// decide what a user may do, and only the names of the claims.
func (u User) describeClaims() string {
	claims, err := decodeClaims(u.Claims)
	if err != nil {
		claims = nil
	}
	names := make([]string, 0, len(claims))
	for name := range claims {
		names = append(names, name)
	}
	slices.Sort(names)
	return "roles: " + strings.Join(u.Roles, " ") + "; claims: " + strings.Join(names, " ")
}
