package decision

import (
	"context"
	"errors"

	"github.com/keyturn/keyturn/internal/audit"
	"github.com/keyturn/keyturn/internal/refusal"
)

// Recorder concludes decisions about requests.
type Recorder struct {
	// Audit receives the events.
	Audit audit.Recorder
	// OnError receives internal failures, which callers must not see.
	OnError func(context.Context, error)
}

// Conclude writes the one event of a decision (A1), a success if e is nil, even
// if the caller hung up or its time is over. It returns the answer for the
// caller: e, or an Unavailable refusal if the event cannot be written. In the
// latter case the caller of Conclude must undo what the decision wrote (A3).
//
// Conclude writes nothing for an event with an ID, which a Maker has written
// already, nor for a refusal whose cause is Concluded.
func (r Recorder) Conclude(ctx context.Context, event audit.Event, e *refusal.Error) *refusal.Error {
	event.Outcome = audit.Success
	if e != nil {
		event.Outcome, event.Reason = audit.Failure, e.Reason
		if HungUp(ctx, e.Cause) {
			event.Reason = audit.ReasonHungUp
		} else if !Concluded(e.Cause) || failedInside(e) {
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

// Told returns the answer for a caller to a call that has recorded its own event and
// ended with err. It reports what could not answer.
func (r Recorder) Told(ctx context.Context, err error) *refusal.Error {
	e := Refusal(err)
	if e != nil && failedInside(e) && !HungUp(ctx, err) {
		r.OnError(ctx, err)
	}
	return e
}

// failedInside reports whether something could not answer, which operators are to know.
func failedInside(e *refusal.Error) bool {
	return e.Code == refusal.Unavailable || e.Code == refusal.Unfinished
}

// report passes the cause of a refusal to OnError.
func (r Recorder) report(ctx context.Context, e *refusal.Error) {
	if e.Cause != nil {
		r.OnError(ctx, e)
	}
}

// HungUp reports whether cause is that the caller of a request hung up before it
// was decided, which is no internal failure.
func HungUp(ctx context.Context, cause error) bool {
	return errors.Is(cause, context.Canceled) && errors.Is(ctx.Err(), context.Canceled)
}

// Refusal converts err to a refusal. ErrOwed becomes one that says that
// everything but the event is done, ErrToFollow one that says that
// everything but the consequences is, and ErrUnfinished one that it may yet be done. What is Concluded stays so. Any other error that is not a refusal
// means that something could not answer.
func Refusal(err error) *refusal.Error {
	e := refusal.Of(err)
	switch {
	case errors.Is(err, ErrToFollow) && e.Code != refusal.Unfinished:
		e = &refusal.Error{Code: refusal.Unfinished, Reason: e.Reason, Cause: err}
	case errors.Is(err, ErrUnfinished) && e.Code == refusal.Unavailable:
		e = &refusal.Error{Reason: e.Reason, Cause: err, Text: "The service did not answer to the end, and this may yet take effect: look before you send it again."}
	case errors.Is(err, ErrOwed):
		e = &refusal.Error{Reason: e.Reason, Cause: err, Text: "It is done; the audit log, which could not be written, will be told later."}
	case Concluded(err) && !Concluded(e):
		late := *e
		late.Cause = err
		e = &late
	}
	return e
}
