package decision

import (
	"context"
	"errors"

	"github.com/keyturn/keyturn/internal/audit"
	"github.com/keyturn/keyturn/internal/refusal"
)

// Recorder concludes decisions about requests.
type Recorder struct {
	// Audit takes the events.
	Audit audit.Recorder
	// OnError takes what went wrong inside and is not for the caller's eyes.
	OnError func(context.Context, error)
}

// Conclude writes the one event of a decision (A1), a success where e is nil,
// also for a caller that hung up or whose time is over, and returns what the
// caller is to be told: e, or, if the event cannot be written, that nothing was
// decided. What the decision wrote has to be taken back then (A3).
//
// An event with an ID was written when a Maker carried the decision out, and so
// was that of a refusal whose cause is Concluded.
func (r Recorder) Conclude(ctx context.Context, event audit.Event, e *refusal.Error) *refusal.Error {
	event.Outcome = audit.Success
	if e != nil {
		event.Outcome, event.Reason = audit.Failure, e.Reason
		if HungUp(ctx, e.Cause) {
			event.Reason = audit.ReasonHungUp
		} else {
			r.report(ctx, e)
		}
		if e.UserID != "" {
			event.UserID = e.UserID
		}
	}
	if event.ID != "" || e != nil && Concluded(e.Cause) {
		return e
	}
	if e != nil {
		event.ID = IDOf(e.Cause)
	}
	ctx, cancel := audit.Outlast(ctx)
	defer cancel()
	if err := r.Audit.Record(ctx, event); err != nil {
		failure := refusal.Undecided(audit.ReasonUnavailable, err)
		r.report(ctx, failure)
		return failure
	}
	return e
}

// report hands what callers may not see to the operational log.
func (r Recorder) report(ctx context.Context, e *refusal.Error) {
	if e.Cause != nil {
		r.OnError(ctx, e)
	}
}

// HungUp reports whether cause is that the caller of a request hung up before it
// was decided: nothing went wrong inside.
func HungUp(ctx context.Context, cause error) bool {
	return errors.Is(cause, context.Canceled) && errors.Is(ctx.Err(), context.Canceled)
}

// Refusal returns the refusal that err is. Any other error means that something
// could not answer, or, if it is ErrOwed, that all is done but its event, or, if
// it is ErrToFollow, that all is done but what follows from it.
func Refusal(err error) *refusal.Error {
	e := refusal.Of(err)
	switch {
	case errors.Is(err, ErrToFollow) && e.Code != refusal.Unfinished:
		e = &refusal.Error{Code: refusal.Unfinished, Reason: e.Reason, Cause: err}
	case errors.Is(err, ErrOwed):
		e = &refusal.Error{Reason: e.Reason, Cause: err, Text: "It is done; the audit log, which could not be written, will be told later."}
	}
	return e
}
