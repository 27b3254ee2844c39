// Package audit is the vocabulary of the audit log: which decisions there are,
// their reasons, and how a decision is recorded. It is all that a deciding
// package sees of the log; it does not say how or where events are written.
//
// Writing the event is part of making the decision: a decision must not take
// effect if its event cannot be written (invariant A3).
package audit

import (
	"context"
	"errors"
	"time"
)

// Outcome says how a decision ended, in the words of ECS event.outcome.
type Outcome string

// The outcomes. The zero Outcome is written as a failure, so that a missing
// outcome does not pass for success.
const (
	Failure Outcome = "failure"
	Success Outcome = "success"
)

// Event is one decision: who asked for what, from where, how it ended and why.
// It never contains a secret, a password or a token. Tokens are named by their
// jti or by their session (refresh-token family).
type Event struct {
	// ID is the UUID of a decision that changes a record, so that two events
	// about it are known to be one decision. It is empty for all other
	// decisions.
	ID string
	// Retold says that the log may hold the event already, under the same ID,
	// because its first writer died or did not learn that it was written.
	Retold bool
	// After, unless it is zero, is what the line's time must be later than: a line under
	// the same ID, of a process with another clock, does not count.
	After time.Time `json:",omitzero"`
	// Action names the decision; see the Action constants.
	Action Action
	// Outcome is how it ended.
	Outcome Outcome
	// Reason says why; it is zero for a success that needs no explanation.
	Reason Reason

	// UserID is the uid of the user concerned. UserEmail is the address that
	// was presented or is on record.
	UserID    string
	UserEmail string
	// ClientID is the OAuth client that asked.
	ClientID string
	// SessionID is the refresh-token family concerned.
	SessionID string
	// TokenID is the jti of the access token issued or judged.
	TokenID string
	// KeyID is the kid of the signing key concerned.
	KeyID string
	// Grant is the OAuth grant_type asked for.
	Grant string
	// Scope is the scope granted.
	Scope string
	// Generation is the family's live generation, Presented the presented one.
	// Both are only written if HasGeneration is set.
	HasGeneration bool
	Generation    int64
	Presented     int64
	// Previous is the last granted use of the session, by the other party, if
	// the decision is about a token that two parties may hold.
	Previous Use
	// Count is the number of things that the decision touched (sessions ended,
	// users imported). Zero is not written.
	Count int
	// Detail is free text for people: an operator's reason, an error's text.
	Detail string
}

// Use is one use of a session: when and from where. The zero Use is not
// written.
type Use struct {
	At        time.Time
	IP        string
	UserAgent string
}

// Request says from where a decision was asked for. The server's middleware
// puts it into the context, and events recorded under that context contain it.
type Request struct {
	// ID is the request id, also answered in X-Request-Id.
	ID string
	// IP is the client's address as seen through the trusted proxies.
	IP string
	// UserAgent is the User-Agent header as sent.
	UserAgent string
	// TraceID is the trace-id of a traceparent header (W3C Trace Context
	// §3.2.2.3), 32 hex digits, empty if there is none.
	TraceID string
	// Operator says who ran the command, for a decision that no HTTP request
	// asked for.
	Operator Operator
}

// Operator says who ran a command, according to the operating system.
type Operator struct {
	// User is the name of the account of the process. Real is the account that
	// became it through sudo, or empty.
	User, Real string
	// Command is the command line without secrets.
	Command string
	PID     int
}

type requestKey struct{}

// WithRequest returns a context under which events contain r.
func WithRequest(ctx context.Context, r Request) context.Context {
	return context.WithValue(ctx, requestKey{}, r)
}

// RequestFrom returns the Request in ctx, or the zero Request.
func RequestFrom(ctx context.Context) Request {
	r, _ := ctx.Value(requestKey{}).(Request)
	return r
}

// Recorder writes events. Log in package log implements it.
type Recorder interface {
	// Record returns nil only after e is so durable that a crash of this
	// process cannot lose it. If it returns an error the decision that e
	// records must not take effect (A3). It is safe for concurrent use.
	Record(ctx context.Context, e Event) error
}

// ErrNotRecorded is wrapped by every error of Record: the decision must not
// take effect.
var ErrNotRecorded = errors.New("the audit event is not recorded")

// Anchor is the head of one chain as last stored in the store, out of reach of
// a thief of the log file.
type Anchor struct {
	// Chain is the chain's id, Seq the number of its last line and Hash the
	// SHA-256 of that line in hex. Seq -1 with a Hash of zeros announces a
	// chain that has no line yet.
	Chain string `json:"chain"`
	Seq   int64  `json:"seq"`
	Hash  string `json:"hash"`
	// Node names the machine and the file of the chain; see (*log.Log).Node.
	Node string `json:"node"`
	// At is when the line was written or the chain announced.
	At time.Time `json:"at"`
}

// AnchorStore keeps the heads of the chains.
type AnchorStore interface {
	// SetAnchor stores a as the head of its chain. It never moves a head back:
	// if the Seq of a is not above the stored one, it changes nothing and
	// returns nil.
	SetAnchor(ctx context.Context, a Anchor) error
	// Anchors returns the head of every chain, oldest first. Heads are never
	// deleted, because an old chain without its head would look forged.
	Anchors(ctx context.Context) ([]Anchor, error)
}
