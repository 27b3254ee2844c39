package refusal_test

import (
	"errors"
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/keyturn/keyturn/internal/audit"
	"github.com/keyturn/keyturn/internal/refusal"
)

// TestTheZeroRefusalSaysNothing holds the zero value to a refusal after which trying
// again is right, and whose cause stays inside.
func TestTheZeroRefusalSaysNothing(t *testing.T) {
	var zero refusal.Error
	if zero.Code != refusal.Unavailable || !zero.Temporary() || zero.Public() == "" {
		t.Errorf("the zero refusal is %+v", zero)
	}
	secret := errors.New("disk sda1 of db-7 is full")
	e := refusal.Of(fmt.Errorf("find the account: %w", secret))
	if !zero.Temporary() || strings.Contains(e.Public(), "disk") || !errors.Is(e, secret) || e.Reason != audit.ReasonUnavailable {
		t.Errorf("an error of the store became %+v", e)
	}
}

func TestARefusalIsFoundInWhatWrapsIt(t *testing.T) {
	no := &refusal.Error{Code: refusal.Throttled, Reason: audit.ReasonThrottled, RetryAfter: 3 * time.Second}
	wrapped := fmt.Errorf("log in: %w", no)
	if refusal.Of(wrapped) != no || !refusal.Is(wrapped, refusal.Throttled) || refusal.Reason(wrapped) != audit.ReasonThrottled {
		t.Errorf("lost in %v", wrapped)
	}
	if refusal.Of(nil) != nil || refusal.Is(nil, refusal.Unavailable) || refusal.Reason(nil) != (audit.Reason{}) {
		t.Error("no error is no refusal")
	}
}

// TestEveryCodeHasWords holds each code to words for the caller, its own or
// those that every refusal with it brings along.
func TestEveryCodeHasWords(t *testing.T) {
	bring := map[refusal.Code]bool{
		refusal.Malformed: true, refusal.Unacceptable: true, refusal.Taken: true, refusal.GrantNotAllowed: true,
		refusal.UnsupportedGrant: true, refusal.BadScope: true, refusal.BadTarget: true,
	}
	for _, code := range refusal.Codes() {
		e := refusal.Error{Code: code}
		if (e.Public() == "") != bring[code] {
			t.Errorf("code %d says %q", code, e.Public())
		}
	}
}
