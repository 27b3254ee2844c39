// Package audit is the vocabulary of the audit log: what can be decided, why,
// and how a decision is recorded. It is all that a package that decides sees of
// the log, and says nothing of how or where events are written.
//
// Writing the event is part of making the decision: a caller that cannot write
// the event must not let the decision stand (invariant A3).
package audit

import (
	"context"
	"errors"
	"time"
)

// Outcome says how a decision ended, in the words of ECS event.outcome.
type Outcome string

// The outcomes. The zero Outcome is written as a failure: what forgot to say
// that it succeeded did not.
const (
	Failure Outcome = "failure"
	Success Outcome = "success"
)

// Event is one decision: who asked for what, from where, how it ended and why.
// It never carries a secret, a password or a token; tokens are named by their
// jti or by the session (refresh-token family) that they belong to.
type Event struct {
	// ID names a decision that changes a record, a UUID, so that what is told
	// of it twice is known to be one decision; empty for all others.
	ID string
	// Retold is set where the log may hold the event already, under the same
	// ID: who wrote it first died, or was not told that it was written.
	Retold bool
	// Action names the decision; see the Action constants.
	Action Action
	// Outcome is how it ended.
	Outcome Outcome
	// Reason says why; it is zero where a success needs no explanation.
	Reason Reason

	// UserID is the uid of the user concerned, UserEmail the address that
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
	// Generation is the family's live generation and Presented the one that
	// was presented. Both are written only where HasGeneration is set.
	HasGeneration bool
	Generation    int64
	Presented     int64
	// Previous is the last use of the session that was granted, where the
	// decision is about a token that two parties may hold: the other side.
	Previous Use
	// Count is how many things the decision touched (sessions ended, users
	// imported). Zero is not written.
	Count int
	// Detail is free text for people: an operator's reason, an error's text.
	Detail string
}

// Use is one use of a session: when it was, and from where. The zero Use is not
// written.
type Use struct {
	At        time.Time
	IP        string
	UserAgent string
}

// Request says from where a decision was asked for. The server's middleware
// puts it into the context; events written under that context carry it.
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
	// Operator is who ran the command that asked, in the place of a request.
	Operator Operator
}

// Operator is who ran a command, as the operating system has it.
type Operator struct {
	// User is the name of the account that the process ran as, Real that of
	// who became it (sudo); empty where nobody did.
	User, Real string
	// Command is the command line, without what is secret in it.
	Command string
	PID     int
}

type requestKey struct{}

// WithRequest returns a context whose events carry r.
func WithRequest(ctx context.Context, r Request) context.Context {
	return context.WithValue(ctx, requestKey{}, r)
}

// RequestFrom returns the Request in ctx, or the zero Request.
func RequestFrom(ctx context.Context) Request {
	r, _ := ctx.Value(requestKey{}).(Request)
	return r
}

// Recorder writes events. The Log of package log is the real one.
type Recorder interface {
	// Record writes e durably enough that a crash of this process cannot
	// lose it, and only then returns nil. When it returns an error the
	// decision that e records must not stand (A3). Safe for concurrent use.
	Record(ctx context.Context, e Event) error
}

// ErrNotRecorded is what every error of Record is: the decision must not
// stand.
var ErrNotRecorded = errors.New("the audit event is not recorded")

// Anchor is the head of one chain as last written down in the store, where a
// thief of the log file cannot reach it.
type Anchor struct {
	// Chain is the chain's id, Seq the number of its last line and Hash the
	// SHA-256 of that line, hex. Seq -1, with a Hash of zeros, announces a
	// chain that has no line yet.
	Chain string `json:"chain"`
	Seq   int64  `json:"seq"`
	Hash  string `json:"hash"`
	// Node is the machine and the file that the chain is written to; see
	// (*log.Log).Node.
	Node string `json:"node"`
	// At is when the line was written, or the chain announced.
	At time.Time `json:"at"`
}

// AnchorStore keeps the heads of the chains.
type AnchorStore interface {
	// SetAnchor stores a as the head of its chain. It never moves a head
	// back: an anchor with a Seq not above the stored one changes nothing
	// and is no error.
	SetAnchor(ctx context.Context, a Anchor) error
	// Anchors returns the head of every chain, oldest first. Heads are never
	// swept: without its head, an old chain looks like one put there.
	Anchors(ctx context.Context) ([]Anchor, error)
}
