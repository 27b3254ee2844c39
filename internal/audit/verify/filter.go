package verify

import (
	"fmt"
	"net/netip"
	"slices"
	"strings"
	"time"

	"github.com/keyturn/keyturn/internal/audit"
	"github.com/keyturn/keyturn/internal/audit/line"
)

// Filter selects lines. A line passes if it matches every field that is not zero.
type Filter struct {
	// User is a uid or an e-mail address, case-insensitive. An address also stands
	// for the accounts that lines matched before showed with it, because a refresh
	// or a reuse names its user by the uid alone.
	User string
	// Client is a client_id. Session is the id of a session (refresh-token
	// family).
	Client  string
	Session string
	// Actions are values of event.action, any of which may match; a * at the end
	// of one stands for any ending.
	Actions []string
	// Outcome is success or failure.
	Outcome audit.Outcome
	// Reasons are values of event.reason, any of which may match.
	Reasons []string
	// IP is an address, or a network such as 192.0.2.0/24. It is also compared
	// with the other party's address (keyturn.previous).
	IP string
	// Since is the earliest time, Until the end, exclusive.
	Since, Until time.Time

	accounts []string // uids seen with the address in User
}

// Check returns an error if a field cannot match any line; it names the field and
// the reason.
func (f *Filter) Check() error {
	for _, want := range f.Actions {
		if !slices.ContainsFunc(audit.Vocabulary(), func(t audit.Term) bool { return fits(want, string(t.Action)) }) {
			return fmt.Errorf("action %q: no event has such an action; one that everybody knows is %s, and user-* stands for all that begin so", want, audit.TokenReuse)
		}
	}
	for _, want := range f.Reasons {
		if !slices.ContainsFunc(audit.Vocabulary(), func(t audit.Term) bool { return hasReason(t, want) }) {
			return fmt.Errorf("reason %q: no event has such a reason; one that everybody knows is %s", want, audit.ReasonWrongPassword)
		}
	}
	if f.Outcome != "" && f.Outcome != audit.Success && f.Outcome != audit.Failure {
		return fmt.Errorf("outcome %q: use %s or %s", f.Outcome, audit.Success, audit.Failure)
	}
	if f.IP != "" {
		if _, err := network(f.IP); err != nil {
			return fmt.Errorf("ip %q: use an address, or a network such as 192.0.2.0/24", f.IP)
		}
	}
	if !f.Since.IsZero() && !f.Until.IsZero() && !f.Since.Before(f.Until) {
		return fmt.Errorf("since %s is not before until %s", f.Since.UTC().Format(time.RFC3339), f.Until.UTC().Format(time.RFC3339))
	}
	return nil
}

func (f *Filter) empty() bool {
	return f.User == "" && f.Client == "" && f.Session == "" && len(f.Actions) == 0 && f.Outcome == "" &&
		len(f.Reasons) == 0 && f.IP == "" && f.Since.IsZero() && f.Until.IsZero()
}

// Match reports whether the line passes. A line that is not an audit event passes
// only an empty Filter, so that damage is visible when the whole log is read.
func (f *Filter) Match(text []byte) bool {
	if f.empty() {
		return true
	}
	e, err := line.ParseEntry(text)
	if err != nil {
		return false
	}
	// matchUser records accounts for later lines, even if this line does not pass.
	user := f.matchUser(&e)
	switch {
	case !user,
		f.Client != "" && f.Client != e.Keyturn.Client,
		f.Session != "" && f.Session != e.Keyturn.Session,
		f.Outcome != "" && f.Outcome != e.Event.Outcome,
		len(f.Reasons) > 0 && !slices.Contains(f.Reasons, e.Event.Reason),
		len(f.Actions) > 0 && !slices.ContainsFunc(f.Actions, func(want string) bool { return fits(want, string(e.Event.Action)) }),
		f.IP != "" && !matchIP(f.IP, e.Source.IP) && !matchIP(f.IP, e.Keyturn.Previous.IP):
		return false
	}
	return Within(e.Time, f.Since, f.Until)
}

// matchUser reports whether the line is about the user, and remembers the accounts
// seen with the address.
func (f *Filter) matchUser(e *line.Entry) bool {
	if f.User == "" || f.User == e.User.ID {
		return true
	}
	known := e.User.ID != "" && slices.Contains(f.accounts, e.User.ID)
	if !strings.EqualFold(f.User, e.User.Email) {
		return known
	}
	if e.User.ID != "" && !known {
		f.accounts = append(f.accounts, e.User.ID)
	}
	return true
}

// Within reports whether t is at or after since and before until. A zero bound is
// no bound.
func Within(t, since, until time.Time) bool {
	return !t.Before(since) && (until.IsZero() || t.Before(until))
}

// fits reports whether an action equals the wanted one, or has its prefix.
func fits(want, action string) bool {
	if start, open := strings.CutSuffix(want, "*"); open {
		return strings.HasPrefix(action, start)
	}
	return want == action
}

// hasReason reports whether an event of the term can have the reason.
func hasReason(t audit.Term, want string) bool {
	is := func(r audit.Reason) bool { return r.String() == want }
	return slices.ContainsFunc(t.Success, is) || slices.ContainsFunc(t.Failure, is)
}

func network(s string) (netip.Prefix, error) {
	if ip, err := netip.ParseAddr(s); err == nil {
		ip = ip.Unmap()
		return netip.PrefixFrom(ip, ip.BitLen()), nil
	}
	return netip.ParsePrefix(s)
}

func matchIP(want, got string) bool {
	ip, err := netip.ParseAddr(got)
	if err != nil {
		return false
	}
	n, err := network(want)
	return err == nil && n.Contains(ip.Unmap())
}
