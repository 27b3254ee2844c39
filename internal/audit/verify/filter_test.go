package verify_test

import (
	"strings"
	"testing"

	"github.com/keyturn/keyturn/internal/audit"
	"github.com/keyturn/keyturn/internal/audit/verify"
)

// TestFilterFindsByAddressWhatHasTheUIDAlone holds that who asks for an address
// sees the reuse of its user's token.
func TestFilterFindsByAddressWhatHasTheUIDAlone(t *testing.T) {
	f := verify.Filter{User: "ada@example.org", Actions: []string{string(audit.TokenRefused), string(audit.TokenReuse)}}
	for _, c := range []struct {
		what string
		e    audit.Event
		want bool
	}{
		{"a reuse before it is known whose the address is", audit.Event{Action: audit.TokenReuse, UserID: "u-1"}, false},
		{"a guess at no account", audit.Event{Action: audit.TokenRefused, UserEmail: "ada@example.org"}, true},
		{"an event without a user", audit.Event{Action: audit.TokenRefused}, false},
		{"a login, which is not asked for", audit.Event{Action: audit.TokenIssued, Outcome: audit.Success, UserID: "u-1", UserEmail: "Ada@example.org"}, false},
		{"a login of somebody else", audit.Event{Action: audit.TokenIssued, Outcome: audit.Success, UserID: "u-2", UserEmail: "bob@example.org"}, false},
		{"her reuse", audit.Event{Action: audit.TokenReuse, UserID: "u-1"}, true},
		{"the reuse of somebody else", audit.Event{Action: audit.TokenReuse, UserID: "u-2"}, false},
		{"a guess at another account that has the address now", audit.Event{Action: audit.TokenRefused, UserID: "u-3", UserEmail: "ada@example.org"}, true},
		{"the reuse of that account", audit.Event{Action: audit.TokenReuse, UserID: "u-3"}, true},
		{"her reuse, later", audit.Event{Action: audit.TokenReuse, UserID: "u-1"}, true},
	} {
		if got := f.Match(lineOf(c.e, audit.Request{}, noon)); got != c.want {
			t.Errorf("%s: %v", c.what, got)
		}
	}
}

func TestFilterRefusesReasonsThatNoEventHas(t *testing.T) {
	good := verify.Filter{Reasons: []string{"wrong_password", "retry", "reused_token"}}
	if err := good.Check(); err != nil {
		t.Error(err)
	}
	bad := verify.Filter{Reasons: []string{"wrong_password", "wrong-password"}}
	if err := bad.Check(); err == nil || !strings.Contains(err.Error(), `"wrong-password"`) {
		t.Error(err)
	}
}
