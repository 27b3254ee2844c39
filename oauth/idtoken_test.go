package oauth_test

import (
	"testing"

	"github.com/keyturn/keyturn/oauth"
	"github.com/keyturn/keyturn/users"
)

// TestWhatTokensSayIsReserved: no claim of a user's can stand beside a member of the same
// name that the server writes.
func TestWhatTokensSayIsReserved(t *testing.T) {
	for _, name := range oauth.IDTokenClaims() {
		if users.CheckClaimName(name) == nil {
			t.Errorf("a user can have a claim %q", name)
		}
	}
}
