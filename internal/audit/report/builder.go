package report

import (
	"cmp"
	"slices"
	"time"

	"github.com/keyturn/keyturn/internal/audit"
	"github.com/keyturn/keyturn/internal/audit/line"
	"github.com/keyturn/keyturn/internal/audit/verify"
)

// Limits: the rows of each table, and the keys that are counted separately.
const (
	maxReuses  = 200
	maxTop     = 50
	maxKeys    = 10_000
	maxDevices = 200
	maxUsers   = 50_000 // whose devices are watched
	maxChanges = 200    // of keys
	maxOfKind  = 50     // of each kind of administrative action
	maxChains  = 10_000
	maxServers = 100
	maxSilence = 5
	maxLosses  = 100
)

// Builder reads a log line by line. It is not safe for concurrent use.
type Builder struct {
	since, until time.Time

	events, outside, unread int64
	first, last             time.Time

	clock    *clock
	reuses   latest[Reuse]
	unproven latest[Reuse]
	sources  *tally[Source]
	accounts *tally[Account]
	clients  *tally[Client]
	refusals *tally[Refusal]
	devices  devices
	keys     latest[Change]
	admin    map[audit.Action]*latest[Change]
	chains   chains
	losses   latest[Loss]
	lost     int64
}

// NewBuilder begins a report about the time from since to before until. A zero
// bound is no bound.
func NewBuilder(since, until time.Time) *Builder {
	return &Builder{
		since: since, until: until, clock: newClock(),
		reuses:   latest[Reuse]{room: maxReuses},
		unproven: latest[Reuse]{room: maxReuses},
		sources:  newTally[Source](maxKeys),
		accounts: newTally[Account](maxKeys),
		clients:  newTally[Client](maxKeys),
		refusals: newTally[Refusal](maxKeys),
		devices:  devices{found: latest[Device]{room: maxDevices}, users: map[string]*habits{}},
		keys:     latest[Change]{room: maxChanges},
		admin:    map[audit.Action]*latest[Change]{},
		chains:   chains{known: map[string]*Server{}, serving: map[string]bool{}},
		losses:   latest[Loss]{room: maxLosses},
	}
}

// Add reads one line of the log. It counts lines that are not events.
func (b *Builder) Add(text []byte) {
	e, err := line.ParseEntry(text)
	switch {
	case err != nil:
		b.unread++
		return
	case !verify.Within(e.Time, b.since, b.until):
		b.outside++
		return
	}
	b.events++
	if b.first.IsZero() || e.Time.Before(b.first) {
		b.first = e.Time
	}
	if e.Time.After(b.last) {
		b.last = e.Time
	}
	b.chains.add(&e)
	if e.Event.Action == audit.Checkpoint {
		return
	}
	b.clock.add(e.Time, kind(&e))
	if e.Event.Action == audit.EventsLost {
		b.losses.add(Loss{At: e.Time, Events: int64(e.Keyturn.Count), Detail: e.Keyturn.Detail, Node: e.Service.Node.Name})
		b.lost += int64(e.Keyturn.Count)
		return
	}
	b.guesses(&e)
	b.changes(&e)
	switch {
	case e.Event.Action == audit.TokenReuse:
		b.reuses.add(b.reuse(&e))
	case e.Event.Action == audit.TokenUnproven:
		b.unproven.add(b.reuse(&e))
	case login(&e):
		b.devices.login(&e)
	}
	if e.Event.Outcome != audit.Success {
		r := b.refusals.add(string(e.Event.Action) + " " + e.Event.Reason)
		r.Action, r.Reason, r.Last = e.Event.Action, e.Event.Reason, e.Time
	}
}

// Report returns the report about the lines read. The caller sets Made, Files
// and Integrity, and then calls Conclude.
func (b *Builder) Report() *Report {
	r := &Report{
		Since: b.since, Until: b.until, First: b.first, Last: b.last,
		Events: b.events, Outside: b.outside, Unread: b.unread,
		Totals: b.clock.total, Timeline: b.clock.timeline(b.first, b.last),
		Reuses:   b.reuses.list(),
		Unproven: b.unproven.list(),
		Sources:  top(b.sources, maxTop, (*Source).row),
		Accounts: top(b.accounts, maxTop, (*Account).row),
		Clients:  top(b.clients, maxTop, (*Client).row),
		Refusals: top(b.refusals, maxTop, func(r *Refusal, _ string, n int64) Refusal { r.Count = n; return *r }),
		Devices:  Devices{List: b.devices.found.list(), Unwatched: b.devices.unwatched},
		Keys:     b.keys.list(),
		Admin:    List[Change]{Rows: []Change{}},
	}
	// Sources and accounts with a login after many failures come first.
	slices.SortStableFunc(r.Sources.Rows, func(x, y Source) int { return first(x.broke(), y.broke()) })
	slices.SortStableFunc(r.Accounts.Rows, func(x, y Account) int { return first(x.broke(), y.broke()) })
	for _, l := range b.admin {
		list := l.list()
		r.Admin.Rows = append(r.Admin.Rows, list.Rows...)
		r.Admin.Total += list.Total
	}
	slices.SortFunc(r.Admin.Rows, func(a, b Change) int {
		return cmp.Or(a.At.Compare(b.At), cmp.Compare(a.Action, b.Action), cmp.Compare(a.Subject, b.Subject))
	})
	r.Servers, r.Commands = b.chains.servers()
	r.Silences = b.chains.silences
	r.Losses = Losses{List: b.losses.list(), Events: b.lost}
	return r
}

// kind returns the count that the event belongs to.
func kind(e *line.Entry) (c Counts) {
	switch {
	case e.Event.Action == audit.TokenReuse:
		c.Reuses = 1
	case login(e):
		c.Logins = 1
	case e.Event.Outcome == audit.Success && e.Event.Action == audit.TokenRefreshed:
		c.Refreshes = 1
	case e.Event.Outcome == audit.Success, e.Event.Action == audit.EventsLost:
		c.Other = 1
	case guess(e) && e.Event.Reason == throttled:
		c.Throttled = 1
	case guess(e):
		c.Failed = 1
	default:
		c.Refused = 1
	}
	return c
}

func (b *Builder) reuse(e *line.Entry) Reuse {
	k := &e.Keyturn
	r := Reuse{
		At: e.Time, User: cmp.Or(e.User.Email, e.User.ID), Client: k.Client, Session: k.Session,
		By:     Side{At: e.Time, IP: e.From(), Agent: e.UserAgent.Original},
		Before: Side{At: k.Previous.At, IP: k.Previous.IP, Agent: k.Previous.UserAgent},
	}
	if k.Generation != nil && k.Presented != nil {
		r.Generation, r.Presented = *k.Generation, *k.Presented
	}
	if h := b.devices.users[e.User.ID]; h != nil && e.User.Email == "" {
		r.User = cmp.Or(h.email, r.User)
	}
	return r
}
