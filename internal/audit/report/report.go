// Package report makes of an audit log what somebody looks for who
// investigates an incident: one page for people, or the same as data. It reads
// the log as a stream and holds no more of it than it shows.
package report

import (
	"time"

	"github.com/keyturn/keyturn/internal/audit"
	"github.com/keyturn/keyturn/internal/audit/verify"
)

// Report is what a log says about one period. Times are in UTC. Its strings
// stand as strangers sent them; WriteHTML makes them harmless.
type Report struct {
	// Made is when the report was made, Files of what.
	Made  time.Time `json:"made"`
	Files []string  `json:"files"`
	// Since and Until are the bounds asked for; zero if none was.
	Since time.Time `json:"since,omitzero"`
	Until time.Time `json:"until,omitzero"`

	Integrity Integrity `json:"integrity"`

	// First and Last are the times of the first and last event in the period.
	First time.Time `json:"first,omitzero"`
	Last  time.Time `json:"last,omitzero"`
	// Events counts what the report is about, Outside the events before and
	// after the period, Unread the lines that are no events.
	Events  int64 `json:"events"`
	Outside int64 `json:"outside"`
	Unread  int64 `json:"unread"`

	Findings []Finding `json:"findings"`
	Totals   Counts    `json:"totals"`
	Timeline Timeline  `json:"timeline"`

	Reuses   List[Reuse]  `json:"reuses"`
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

// Integrity says whether the log is as it was written.
type Integrity struct {
	// Checked is false where nobody asked for the check.
	Checked bool `json:"checked"`
	// Bad is the first sign of tampering, nil if there is none.
	Bad *verify.BadLine `json:"bad,omitempty"`
	// Report counts what was checked, and notes what could not be.
	verify.Report
}

// Intact reports whether the chains were checked and found whole.
func (i *Integrity) Intact() bool { return i.Checked && i.Bad == nil }

// Vouched reports whether anything from outside the log, a signature or a head
// in the store, vouches for any of it. Without that the chains only fit
// together, as those of a log made up from end to end would.
func (i *Integrity) Vouched() bool { return i.Checkpoints > 0 || i.Anchored > 0 }

// Counts are what happened in some time.
type Counts struct {
	Logins    int64 `json:"logins"`    // by users, with a password
	Failed    int64 `json:"failed"`    // passwords that were wrong or for nobody
	Throttled int64 `json:"throttled"` // attempts that were not even judged
	Refreshes int64 `json:"refreshes"`
	Reuses    int64 `json:"reuses"`
	Refused   int64 `json:"refused"` // every other failure
	Other     int64 `json:"other"`   // all else
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

// List is the latest of many rows, oldest first; Total is how many there were.
type List[T any] struct {
	Rows  []T   `json:"rows"`
	Total int64 `json:"total"`
}

// Top is the largest of many rows. More is set where there are others, and
// Inexact is by how much a row's count may be too high because there were more
// than can be counted apart (each row's other figures are then too low).
type Top[T any] struct {
	Rows    []T   `json:"rows"`
	More    bool  `json:"more"`
	Inexact int64 `json:"inexact,omitempty"`
}

// Reuse is a refresh token that came back after it was spent. Which of the two
// sides is the thief, the log cannot tell.
type Reuse struct {
	At         time.Time `json:"at"`
	User       string    `json:"user"`
	Client     string    `json:"client"`
	Session    string    `json:"session"`
	Generation int64     `json:"generation"`
	Presented  int64     `json:"presented"`
	// By presented the spent token, Before used the session last before.
	By     Side `json:"by"`
	Before Side `json:"before"`
}

// Side is one of the two who held a session's tokens.
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
	// Accounts counts the different accounts tried, up to maxDistinct.
	Accounts int `json:"accounts"`
	// Logins counts the logins from the address after its first failure.
	Logins int64 `json:"logins"`
	// Account and Session are of the latest of these.
	Account string    `json:"account,omitempty"`
	Session string    `json:"session,omitempty"`
	First   time.Time `json:"first"`
	Last    time.Time `json:"last"`
	Agent   string    `json:"user_agent"` // the latest

	tried distinct
}

// Account is one at which passwords failed.
type Account struct {
	Name      string `json:"name"` // as it was sent, in lower case
	Failed    int64  `json:"failed"`
	Throttled int64  `json:"throttled"`
	// Exists is set once a refusal showed that there is such an account.
	Exists bool `json:"exists"`
	// Sources counts the different addresses, up to maxDistinct.
	Sources int       `json:"sources"`
	Logins  int64     `json:"logins"` // after the first failure
	First   time.Time `json:"first"`
	Last    time.Time `json:"last"`

	from distinct
}

// Client is one that could not show that it is who it says.
type Client struct {
	ID      string    `json:"id"`
	Failed  int64     `json:"failed"`
	Reason  string    `json:"reason"` // the latest
	Sources int       `json:"sources"`
	First   time.Time `json:"first"`
	Last    time.Time `json:"last"`

	from distinct
}

// Devices are logins with a user agent that the log had not shown for the user,
// who had logged in with another one before.
type Devices struct {
	List[Device]
	// Unwatched counts the logins of users whom there was no room to watch.
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

// Change is what became of a key, or what an operator did.
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

// Servers are the processes that served.
type Servers struct {
	List[Server]
	// Beyond counts the lines of chains that there was no room to follow;
	// they are part of all else.
	Beyond int64 `json:"lines_beyond,omitempty"`
}

// Server is a process that served, which wrote one chain.
type Server struct {
	Chain string    `json:"chain"`
	Node  string    `json:"node"`
	First time.Time `json:"first"`
	Last  time.Time `json:"last"`
	Lines int64     `json:"lines"`
	// Stopped is set if the log has its end. Without it the server runs
	// still, was killed, or stopped after the period.
	Stopped bool `json:"stopped"`
	// Back counts the lines whose time is more than a second before that of
	// the line before: the clock was set back.
	Back int64 `json:"clock_back,omitempty"`
}

// Silence is a time without any line.
type Silence struct {
	From time.Time `json:"from"`
	To   time.Time `json:"to"`
}

// Losses are what the log itself says is missing from it: events that were
// neither written nor kept while it could not be written to. Their decisions
// stand.
type Losses struct {
	List[Loss]
	// Events is how many there were in all.
	Events int64 `json:"events"`
}

// Loss is one stretch of time whose events were lost.
type Loss struct {
	At     time.Time `json:"at"` // when the log could be written to again
	Events int64     `json:"events"`
	Detail string    `json:"detail"` // from when to when, and why
	Node   string    `json:"node"`
}

// Finding is what should be looked at first.
type Finding struct {
	// Alarm is set for what has happened, not for what was only tried.
	Alarm bool   `json:"alarm"`
	Text  string `json:"text"`
	// Section is the id of the section of the page that has the details.
	Section string `json:"section"`
}
