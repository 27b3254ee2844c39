package audit

import (
	"strings"
	"testing"
)

// TestFilterFindsByAddressWhatHasTheUIDAlone holds that who asks for an address
// sees the reuse of its user's token.
func TestFilterFindsByAddressWhatHasTheUIDAlone(t *testing.T) {
	f := Filter{User: "ada@example.org", Actions: []string{string(TokenRefused), string(TokenReuse)}}
	for _, c := range []struct {
		what string
		e    Event
		want bool
	}{
		{"a reuse before it is known whose the address is", Event{Action: TokenReuse, UserID: "u-1"}, false},
		{"a guess at no account", Event{Action: TokenRefused, UserEmail: "ada@example.org"}, true},
		{"an event without a user", Event{Action: TokenRefused}, false},
		{"a login, which is not asked for", Event{Action: TokenIssued, Outcome: Success, UserID: "u-1", UserEmail: "Ada@example.org"}, false},
		{"a login of somebody else", Event{Action: TokenIssued, Outcome: Success, UserID: "u-2", UserEmail: "bob@example.org"}, false},
		{"her reuse", Event{Action: TokenReuse, UserID: "u-1"}, true},
		{"the reuse of somebody else", Event{Action: TokenReuse, UserID: "u-2"}, false},
		{"a guess at another account that has the address now", Event{Action: TokenRefused, UserID: "u-3", UserEmail: "ada@example.org"}, true},
		{"the reuse of that account", Event{Action: TokenReuse, UserID: "u-3"}, true},
		{"her reuse, later", Event{Action: TokenReuse, UserID: "u-1"}, true},
	} {
		if got := f.Match(lineOf(c.e, Request{}, noon)); got != c.want {
			t.Errorf("%s: %v", c.what, got)
		}
	}
}

func TestFilterRefusesReasonsThatNoEventHas(t *testing.T) {
	good := Filter{Reasons: []string{"wrong_password", "retry", "reused_token"}}
	if err := good.Check(); err != nil {
		t.Error(err)
	}
	bad := Filter{Reasons: []string{"wrong_password", "wrong-password"}}
	if err := bad.Check(); err == nil || !strings.Contains(err.Error(), `"wrong-password"`) {
		t.Error(err)
	}
}
