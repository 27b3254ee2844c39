package report

import (
	"cmp"
	"fmt"
	"slices"

	"github.com/keyturn/keyturn/internal/audit"
)

// From this many failures or accounts on, a source is taken to try out
// passwords.
const (
	manyFailures = 20
	manyAccounts = 10
)

// maxNamed is how many of the latest reuses the findings list.
const maxNamed = 5

// network returns the network of a side, as the throttle groups addresses.
func (s *Side) network() string {
	if s.IP == "" {
		return "an address not known"
	}
	return shown(networkOf(s.IP))
}

// Conclude adds the findings that need attention first. It is called when the
// rest of the report is complete.
func (r *Report) Conclude() {
	r.Findings = []Finding{}
	find := func(alarm bool, section, format string, args ...any) {
		r.Findings = append(r.Findings, Finding{Alarm: alarm, Section: section, Text: fmt.Sprintf(format, args...)})
	}
	if bad := r.Integrity.Bad; bad != nil {
		find(true, "integrity", "The log is not as it was written: %s, line %d. Do not rely on what follows.", bad.File, bad.Line)
	}
	if r.Integrity.Intact() && !r.Integrity.Vouched() {
		find(false, "integrity", "Only the log itself says that it is whole: check it with the store or with the keys.")
	}
	if r.Unread > 0 {
		find(true, "integrity", "%s not audit events.", are(r.Unread, "line is", "lines are"))
	}
	if n := r.Losses.Events; n > 0 {
		find(true, "losses", "%s lost while the log could not be written to.", are(n, "event was", "events were"))
	}
	findReuses(find, "reuse", r.Reuses, "spent refresh token came back and ended its session", "spent refresh tokens came back and ended their sessions")
	findReuses(find, "unproven", r.Unproven, "bound refresh token came without its key", "bound refresh tokens came without their keys")
	r.findGuessing(find)
	if n := r.failedClients(); n >= manyFailures {
		find(false, "clients", "Clients failed %s to prove who they are.", times(n))
	}
	r.findChanges(find)
	slices.SortStableFunc(r.Findings, func(a, b Finding) int { return first(a.Alarm, b.Alarm) })
}

// failedClients counts the failures in the rows shown, which have the most.
func (r *Report) failedClients() (n int64) {
	for _, c := range r.Clients.Rows {
		n += c.Failed
	}
	return n
}

func findReuses(find func(bool, string, string, ...any), section string, l List[Reuse], one, many string) {
	if l.Total == 0 {
		return
	}
	find(true, section, "%s.", are(l.Total, one, many))
	for _, x := range slices.Backward(l.Rows[max(0, len(l.Rows)-maxNamed):]) {
		find(true, section, "%s, session %s: presented from %s, used last from %s.",
			shown(cmp.Or(x.User, "An account not known")), shown(x.Session), x.By.network(), x.Before.network())
	}
}

func (r *Report) findGuessing(find func(bool, string, string, ...any)) {
	for _, s := range r.Sources.Rows {
		switch tried := s.Failed + s.Throttled; {
		case tried < manyFailures:
		case s.Accounts >= manyAccounts && s.Logins > 0:
			find(true, "sources", "%s tried %s and then logged in %s%s.", s.name(), upTo(s.Accounts, "accounts"), times(s.Logins), s.letIn())
		case s.Accounts >= manyAccounts:
			find(false, "sources", "%s tried %s; none let it in after that.", s.name(), upTo(s.Accounts, "accounts"))
		case s.Logins > 0:
			find(true, "sources", "%s failed %s and then logged in %s%s.", s.name(), times(tried), times(s.Logins), s.letIn())
		}
	}
	for _, a := range r.Accounts.Rows {
		if a.Sources >= manyAccounts && a.Failed+a.Throttled >= manyFailures {
			find(a.Logins > 0, "accounts", "%s was tried from %s; %s after that.",
				shown(a.Name), upTo(a.Sources, "addresses"), are(a.Logins, "login", "logins"))
		}
	}
}

func (r *Report) findChanges(find func(bool, string, string, ...any)) {
	elsewhere := 0
	for _, d := range r.Devices.Rows {
		if d.Elsewhere {
			elsewhere++
		}
	}
	if elsewhere > 0 {
		find(false, "devices", "%s from a device and a network that were both new for the user.", are(int64(elsewhere), "login came", "logins came"))
	}
	revoked := 0
	for _, k := range r.Keys.Rows {
		if k.Action == audit.KeyRevoked && !k.Failed {
			revoked++
		}
	}
	if revoked > 0 {
		find(false, "keys", "%s revoked.", are(int64(revoked), "signing key was", "signing keys were"))
	}
	for _, s := range r.Servers.Rows {
		if s.Back > 0 {
			find(false, "servers", "The clock of %s was set back.", shown(s.Node))
		}
	}
}

// letIn names the account and the session of a source's last login, and the
// source's network.
func (s *Source) letIn() string {
	return fmt.Sprintf(", last as %s (session %s, network %s)", shown(s.Account), shown(s.Session), shown(networkOf(s.IP)))
}

func (s *Source) name() string {
	if s.IP == "" {
		return "A source without an address"
	}
	return shown(s.IP)
}

// are formats a number with its noun.
func are(n int64, one, many string) string {
	if n == 1 {
		return "1 " + one
	}
	return number(n) + " " + many
}

// times formats how often something happened.
func times(n int64) string {
	if n == 1 {
		return "once"
	}
	return number(n) + " times"
}

// upTo formats a number of distinct things, counted up to maxDistinct.
func upTo(n int, many string) string {
	if n >= maxDistinct {
		return fmt.Sprintf("%d or more %s", n, many)
	}
	return fmt.Sprintf("%d %s", n, many)
}
