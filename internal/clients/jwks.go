package clients

import (
	"encoding/json"
	"errors"
	"fmt"
	"strings"

	"github.com/go-jose/go-jose/v4"

	"github.com/keyturn/keyturn/internal/jws"
	"github.com/keyturn/keyturn/internal/strictjson"
)

// Limits of a client's key set.
const (
	maxJWKS = 64 << 10 // bytes
	maxKeys = 16
)

// ParseJWKS parses a client's JWK set for registration. It must only have
// public keys that can verify a client assertion; otherwise the whole set is
// refused, and the error says which key is wrong and why.
func ParseJWKS(text []byte) ([]jose.JSONWebKey, error) {
	return parseJWKS(text, false)
}

// usableKeys is ParseJWKS for a set that a client publishes. It
// skips keys for other purposes.
func usableKeys(text []byte) ([]jose.JSONWebKey, error) {
	keys, err := parseJWKS(text, true)
	if err == nil && len(keys) == 0 {
		err = errors.New("no key of the JWK set can verify a client assertion")
	}
	return keys, err
}

func parseJWKS(text []byte, skip bool) ([]jose.JSONWebKey, error) {
	raw, err := splitJWKS(text)
	if err != nil {
		return nil, err
	}
	kids := map[string]bool{}
	var keys []jose.JSONWebKey
	for i, member := range raw {
		key, err := jws.ParseKey(member)
		switch {
		case err != nil && skip:
			continue
		case err == nil && key.KeyID != "" && kids[key.KeyID]:
			err = fmt.Errorf("the kid %q is given twice", key.KeyID)
		}
		if err != nil {
			return nil, fmt.Errorf("key %d of the JWK set: %w", i+1, err)
		}
		keys, kids[key.KeyID] = append(keys, key.JSONWebKey), true
	}
	return keys, nil
}

func splitJWKS(text []byte) ([]json.RawMessage, error) {
	var set struct {
		Keys []json.RawMessage `json:"keys"`
	}
	switch {
	case len(text) > maxJWKS:
		return nil, fmt.Errorf("the JWK set is larger than %d bytes", maxJWKS)
	case strictjson.Unmarshal(text, &set) != nil || set.Keys == nil:
		return nil, errors.New(`it is not a JWK set: {"keys":[…]} (RFC 7517 §5)`)
	case len(set.Keys) == 0 || len(set.Keys) > maxKeys:
		return nil, fmt.Errorf("the JWK set has %d keys: use 1 to %d", len(set.Keys), maxKeys)
	}
	return set.Keys, nil
}

// checkJWKSURI returns an error if a client's jwks_uri cannot be used.
func checkJWKSURI(s string) error {
	switch u, why := parseURI(s); {
	case why != "":
		return fmt.Errorf("jwks_uri %q: %s", s, why)
	case !strings.HasPrefix(s, "https://") || u.Hostname() == "":
		return fmt.Errorf("jwks_uri %q: use an https URL", s)
	}
	return nil
}
