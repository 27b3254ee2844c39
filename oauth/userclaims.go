package oauth

import (
	"encoding/json"
	"fmt"
	"slices"

	"github.com/keyturn/keyturn/internal/clients"
	"github.com/keyturn/keyturn/internal/strictjson"
)

// userClaims returns those members of the JSON object all that names lists,
// which are what a client's tokens say about their user. It omits the braces,
// so that they can be spliced into another object. Names that the server itself
// uses are never among them (see users.CheckClaimName).
func userClaims(all string, names []string) (members, error) {
	if all == "" || len(names) == 0 {
		return nil, nil
	}
	var claims map[string]json.RawMessage
	if err := strictjson.Unmarshal([]byte(all), &claims); err != nil {
		return nil, fmt.Errorf("the claims of a session: %w", err)
	}
	for name := range claims {
		if !slices.Contains(names, name) || !clients.MayClaim(name) {
			delete(claims, name)
		}
	}
	return membersOf(claims)
}

// claimsIn returns the user's claims in the payload of one of our access
// tokens.
func claimsIn(payload []byte) (members, error) {
	var claims map[string]json.RawMessage
	if err := strictjson.Unmarshal(payload, &claims); err != nil {
		return nil, err
	}
	for name := range claims {
		if !clients.MayClaim(name) {
			delete(claims, name)
		}
	}
	return membersOf(claims)
}

// members are the members of a JSON object, without its braces.
type members []byte

func membersOf(claims map[string]json.RawMessage) (members, error) {
	if len(claims) == 0 {
		return nil, nil
	}
	text, err := json.Marshal(claims)
	if err != nil {
		return nil, err
	}
	return text[1 : len(text)-1], nil
}

// into returns the JSON object with m added.
func (m members) into(object []byte) []byte {
	if len(m) == 0 {
		return object
	}
	object = append(object[:len(object)-1], ',')
	return append(append(object, m...), '}')
}
