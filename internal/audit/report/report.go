// Package report summarizes an audit log for the investigation of an incident,
// as one page for people or as data. It reads the log as a stream and holds no
// more of it than it shows.
package report

import (
	"time"

	"github.com/keyturn/keyturn/internal/audit"
	"github.com/keyturn/keyturn/internal/audit/verify"
)

// Report summarizes one period of a log. Times are in UTC. Its strings are
// strangers' input; WriteHTML makes them harmless.
type Report struct {
	// Made is when the report was made, Files what it was made of.
	Made  time.Time `json:"made"`
	Files []string  `json:"files"`
	// Since and Until are the requested bounds, or zero.
	Since time.Time `json:"since,omitzero"`
	Until time.Time `json:"until,omitzero"`

	Integrity Integrity `json:"integrity"`

	// First and Last are the times of the first and last event in the period.
	First time.Time `json:"first,omitzero"`
	Last  time.Time `json:"last,omitzero"`
	// Events counts the events in the report, Outside those before and after
	// the period, and Unread the lines that are not events.
	Events  int64 `json:"events"`
	Outside int64 `json:"outside"`
	Unread  int64 `json:"unread"`

	Findings []Finding `json:"findings"`
	Totals   Counts    `json:"totals"`
	Timeline Timeline  `json:"timeline"`

	Reuses   List[Reuse]  `json:"reuses"`
	Unproven List[Reuse]  `json:"unproven"`
	Sources  Top[Source]  `json:"sources"`
	Accounts Top[Account] `json:"accounts"`
	Clients  Top[Client]  `json:"clients"`
	Devices  Devices      `json:"devices"`
	Keys     List[Change] `json:"keys"`
	Admin    List[Change] `json:"administration"`
	Refusals Top[Refusal] `json:"refusals"`
	Servers  Servers      `json:"servers"`
	Silences []Silence    `json:"silences"`
	Losses   Losses       `json:"losses"`
	Commands int64        `json:"commands"` // chains that no server wrote
}

// Integrity says whether the log is unchanged.
type Integrity struct {
	// Checked says whether the check was requested.
	Checked bool `json:"checked"`
	// Bad is the first sign of tampering, or nil.
	Bad *verify.BadLine `json:"bad,omitempty"`
	// Report counts what was checked, and notes what could not be.
	verify.Report
}

// Intact reports whether the chains were checked and found whole.
func (i *Integrity) Intact() bool { return i.Checked && i.Bad == nil }

// Vouched reports whether anything outside the log, a signature or a head in
// the store, vouches for a part of it. Otherwise the chains are consistent, but
// so would be those of a log forged as a whole.
func (i *Integrity) Vouched() bool { return i.Checkpoints > 0 || i.Anchored > 0 }

// Counts are the events of some time.
type Counts struct {
	Logins    int64 `json:"logins"`    // by users, with a password
	Failed    int64 `json:"failed"`    // wrong passwords, or passwords for unknown accounts
	Throttled int64 `json:"throttled"` // attempts that were not judged
	Refreshes int64 `json:"refreshes"`
	Reuses    int64 `json:"reuses"`
	Refused   int64 `json:"refused"` // every other failure
	Other     int64 `json:"other"`   // everything else
}

func (c *Counts) add(d Counts) {
	c.Logins += d.Logins
	c.Failed += d.Failed
	c.Throttled += d.Throttled
	c.Refreshes += d.Refreshes
	c.Reuses += d.Reuses
	c.Refused += d.Refused
	c.Other += d.Other
}

// List is the latest of many rows, oldest first. Total is the number of all
// rows.
type List[T any] struct {
	Rows  []T   `json:"rows"`
	Total int64 `json:"total"`
}

// Top is the largest of many rows. More is set if there are others. Inexact is
// by how much a row's count may be too high because there were more keys than
// can be counted (the row's other figures are then too low).
type Top[T any] struct {
	Rows    []T   `json:"rows"`
	More    bool  `json:"more"`
	Inexact int64 `json:"inexact,omitempty"`
}

// Reuse is a refresh token that came back after it was spent, or that came without
// the key it is bound to. The log cannot tell which of the two sides is the thief.
type Reuse struct {
	At         time.Time `json:"at"`
	User       string    `json:"user"`
	Client     string    `json:"client"`
	Session    string    `json:"session"`
	Generation int64     `json:"generation"`
	Presented  int64     `json:"presented"`
	// By presented the token. Before is the last use of the session
	// before that.
	By     Side `json:"by"`
	Before Side `json:"before"`
}

// Side is one of the two holders of a session's tokens.
type Side struct {
	At    time.Time `json:"at,omitzero"`
	IP    string    `json:"ip"`
	Agent string    `json:"user_agent"`
}

// Source is an address from which passwords failed.
type Source struct {
	IP        string `json:"ip"`
	Failed    int64  `json:"failed"`
	Throttled int64  `json:"throttled"`
	// Accounts counts the distinct accounts tried, up to maxDistinct.
	Accounts int `json:"accounts"`
	// Logins counts the logins from the address after its first failure.
	Logins int64 `json:"logins"`
	// Account and Session are those of the latest login.
	Account string    `json:"account,omitempty"`
	Session string    `json:"session,omitempty"`
	First   time.Time `json:"first"`
	Last    time.Time `json:"last"`
	Agent   string    `json:"user_agent"` // the latest

	tried distinct
}

// Account is an account for which passwords failed.
type Account struct {
	Name      string `json:"name"` // as it was sent, in lower case
	Failed    int64  `json:"failed"`
	Throttled int64  `json:"throttled"`
	// Exists is set once a refusal showed that the account exists.
	Exists bool `json:"exists"`
	// Sources counts the distinct addresses, up to maxDistinct.
	Sources int       `json:"sources"`
	Logins  int64     `json:"logins"` // after the first failure
	First   time.Time `json:"first"`
	Last    time.Time `json:"last"`

	from distinct
}

// Client is a client that failed to authenticate.
type Client struct {
	ID      string    `json:"id"`
	Failed  int64     `json:"failed"`
	Reason  string    `json:"reason"` // the latest
	Sources int       `json:"sources"`
	First   time.Time `json:"first"`
	Last    time.Time `json:"last"`

	from distinct
}

// Devices are logins with a user agent that is new in the log for a user who
// logged in with another one before.
type Devices struct {
	List[Device]
	// Unwatched counts the logins of users beyond maxUsers.
	Unwatched int64 `json:"unwatched,omitempty"`
}

// Device is one such login.
type Device struct {
	At     time.Time `json:"at"`
	User   string    `json:"user"`
	Client string    `json:"client"`
	IP     string    `json:"ip"`
	Agent  string    `json:"user_agent"`
	// Elsewhere is set if the network (/24, /48) was new for the user too.
	Elsewhere bool `json:"elsewhere"`
}

// Change is an event about a key, or an operator's action.
type Change struct {
	At      time.Time    `json:"at"`
	Action  audit.Action `json:"action"`
	Failed  bool         `json:"failed"`
	Reason  string       `json:"reason,omitempty"`
	Subject string       `json:"subject"` // user, client or key
	Count   int          `json:"count,omitempty"`
	Detail  string       `json:"detail,omitempty"`
	Node    string       `json:"node"` // the machine and log of the process
}

// Refusal is a kind of failure.
type Refusal struct {
	Action audit.Action `json:"action"`
	Reason string       `json:"reason"`
	Count  int64        `json:"count"`
	Last   time.Time    `json:"last"`
}

// Servers are the processes that served requests.
type Servers struct {
	List[Server]
	// Beyond counts the lines of chains beyond maxChains. They are included in
	// the rest of the report.
	Beyond int64 `json:"lines_beyond,omitempty"`
}

// Server is a process that served requests. It wrote one chain.
type Server struct {
	Chain string    `json:"chain"`
	Node  string    `json:"node"`
	First time.Time `json:"first"`
	Last  time.Time `json:"last"`
	Lines int64     `json:"lines"`
	// Stopped is set if the log contains the server's end. Otherwise the server
	// still runs, was killed, or stopped after the period.
	Stopped bool `json:"stopped"`
	// Back counts the lines whose time is more than a second before that of the
	// line before: the clock was set back.
	Back int64 `json:"clock_back,omitempty"`
}

// Silence is a time without any line.
type Silence struct {
	From time.Time `json:"from"`
	To   time.Time `json:"to"`
}

// Losses are the events that the log itself says are missing: they were neither
// written nor kept while it could not be written to. Their decisions took
// effect.
type Losses struct {
	List[Loss]
	// Events is the number of lost events.
	Events int64 `json:"events"`
}

// Loss is one stretch of time whose events were lost.
type Loss struct {
	At     time.Time `json:"at"` // when the log could be written to again
	Events int64     `json:"events"`
	Detail string    `json:"detail"` // from when to when, and why
	Node   string    `json:"node"`
}

// Finding is something that needs attention first.
type Finding struct {
	// Alarm is set for what happened, as opposed to what was only tried.
	Alarm bool   `json:"alarm"`
	Text  string `json:"text"`
	// Section is the id of the section of the page that has the details.
	Section string `json:"section"`
}
