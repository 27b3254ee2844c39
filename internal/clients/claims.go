package clients

import (
	"fmt"
	"strings"

	"github.com/keyturn/keyturn/users"
)

// MayClaim reports whether a token's member of that name is one of the user's
// claims.
func MayClaim(name string) bool {
	return name == users.RolesClaim || users.CheckClaimName(name) == nil
}

// checkClaims refuses names that no user's account can have.
func checkClaims(client Client) error {
	for _, name := range client.Claims {
		if !MayClaim(name) {
			return fmt.Errorf("claim %q: use %s, or the name of a custom claim, which is not one of the names that the server itself uses",
				name, users.RolesClaim)
		}
	}
	return nil
}

// describeClaims lists the claims in a client's tokens for the audit log.
func describeClaims(client Client) string {
	if len(client.Claims) == 0 {
		return ""
	}
	return "; claims: " + strings.Join(client.Claims, " ")
}
