package log

import (
	"context"
	"errors"
	"fmt"
	"sync"
	"time"

	"github.com/keyturn/keyturn/internal/audit"
	"github.com/keyturn/keyturn/internal/audit/line"
)

const (
	// stallTime is how long an event waits for a sink that does not answer
	// before a log that may keep events takes the sink to be away, and how long
	// it waits for one that is known to hang. retryTime is how long a log that
	// may keep events waits between two attempts.
	stallTime = time.Second
	retryTime = 250 * time.Millisecond
)

// errBacklog is the error of an event that could be neither written nor kept.
var errBacklog = errors.New("the log cannot be written to, and what may be kept or lost meanwhile is used up")

// backlog counts the events that are not written although their decisions took
// effect: those kept in memory and those lost. Both are bounded.
type backlog struct {
	keep, lose int // the bounds

	mu    sync.Mutex
	away  bool  // the sink failed or hangs
	cause error // why it was last away
	held  int
	// lost are the events without a line about their loss. telling are those
	// whose line is being written or failed.
	lost, telling loss
	total         uint64
}

// loss describes the events missing from a chain.
type loss struct {
	count    int
	from, to time.Time
}

// add adds other to l.
func (l *loss) add(other loss) {
	switch {
	case other.count == 0:
		return
	case l.count == 0:
		*l = other
		return
	}
	l.count += other.count
	if other.from.Before(l.from) {
		l.from = other.from
	}
	if other.to.After(l.to) {
		l.to = other.to
	}
}

// verdict says what happens to an event that cannot be written.
type verdict int

const (
	refuse  verdict = iota // the decision must not take effect
	kept                   // the event is held in memory
	dropped                // the event is lost, and counted
)

// on reports whether events may be kept or lost.
func (b *backlog) on() bool { return b.keep+b.lose > 0 }

// admit decides about an event at the time at, and counts it if claim agrees
// with the verdict. While a loss is not in the chain yet, no later event is
// kept, so that a loss is one stretch of time.
func (b *backlog) admit(at time.Time, claim func(verdict) bool) verdict {
	b.mu.Lock()
	defer b.mu.Unlock()
	switch {
	case b.held < b.keep && b.untold() == 0:
		if claim(kept) {
			b.held++
			return kept
		}
	case b.untold() < b.lose:
		if claim(dropped) {
			b.lost.add(loss{1, at, at})
			b.total++
			return dropped
		}
	}
	return refuse
}

// anyway claims an event that nobody else can claim.
func anyway(verdict) bool { return true }

// untold counts the lost events that no line in the chain tells of.
func (b *backlog) untold() int { return b.lost.count + b.telling.count }

// release uncounts a kept event.
func (b *backlog) release() {
	b.mu.Lock()
	defer b.mu.Unlock()
	b.held--
}

// fell records that the sink is away, and reports whether that is new.
func (b *backlog) fell(cause error) bool {
	b.mu.Lock()
	defer b.mu.Unlock()
	news := !b.away
	b.away, b.cause = true, cause
	return news
}

// means describes what happens to events while the sink is away.
func (b *backlog) means() string {
	switch {
	case b.lose == 0:
		return fmt.Sprintf("%d events are kept in memory, then decisions stop", b.keep)
	case b.keep == 0:
		return fmt.Sprintf("%d events are lost, then decisions stop", b.lose)
	}
	return fmt.Sprintf("%d events are kept in memory, %d more are lost, then decisions stop", b.keep, b.lose)
}

// gone reports whether the sink is away.
func (b *backlog) gone() bool {
	if !b.on() {
		return false
	}
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.away
}

// owes returns the loss that has to be told, and its cause. Until told is
// called, it returns that loss again, together with later losses.
func (b *backlog) owes() (loss, error) {
	b.mu.Lock()
	defer b.mu.Unlock()
	b.telling.add(b.lost)
	b.lost = loss{}
	return b.telling, b.cause
}

// told records that the last result of owes is in the chain.
func (b *backlog) told() {
	b.mu.Lock()
	defer b.mu.Unlock()
	b.telling = loss{}
}

// back records that the sink takes events again.
func (b *backlog) back() {
	b.mu.Lock()
	defer b.mu.Unlock()
	b.away = false
}

// Backlog counts the events that a Log has not written although their decisions
// took effect.
type Backlog struct {
	// Held counts the events in memory now, Lost all that were ever dropped.
	Held int
	Lost uint64
}

// Backlog returns how many events are held, and how many were lost.
func (l *Log) Backlog() Backlog {
	l.backlog.mu.Lock()
	defer l.backlog.mu.Unlock()
	return Backlog{Held: l.backlog.held, Lost: l.backlog.total}
}

// Failures returns how many events could not be recorded, so that their
// decisions did not take effect.
func (l *Log) Failures() uint64 { return l.failures.Load() }

// fell reports once that the sink failed.
func (l *Log) fell(cause error) {
	if l.backlog.fell(cause) {
		l.onError(fmt.Errorf("audit log %s cannot be written to; %s: %w", l.name, l.backlog.means(), cause))
	}
}

// setAside lets a decision take effect whose event waits for a sink that is
// away or hangs. It returns false if that is not allowed, or if the event is
// being written.
func (l *Log) setAside(en *entry) bool {
	return l.backlog.admit(en.at, func(v verdict) bool {
		if v == kept {
			return en.state.CompareAndSwap(waiting, adopted) || en.state.CompareAndSwap(taken, adopted)
		}
		return en.state.CompareAndSwap(waiting, withdrawn)
	}) != refuse
}

// recordAway records an event without waiting while the sink is known to be
// away.
func (l *Log) recordAway(ctx context.Context, en *entry) error {
	switch l.backlog.admit(en.at, anyway) {
	case dropped:
		return nil
	case refuse:
		return errBacklog
	}
	en.state.Store(adopted)
	select {
	case l.queue <- en:
		return nil
	case <-ctx.Done():
		// The queue is full of events from before the sink was known to be
		// away. They wait until their callers' deadlines pass.
		l.backlog.release()
		return fmt.Errorf("audit event was not written: %w", ctx.Err())
	case <-l.closing:
		l.backlog.release()
		return ErrClosed
	}
}

// retain keeps an event of a failed batch. It returns false if the caller has
// to be told of the failure. It copies the event if the caller is still there,
// because the caller uses the entry again.
func (l *Log) retain(en *entry) (*entry, bool) {
	if !en.state.CompareAndSwap(taken, settled) {
		return en, true // adopted: the caller has left
	}
	switch l.backlog.admit(en.at, anyway) {
	case kept:
		mine := &entry{at: en.at, body: append([]byte(nil), en.body...), done: make(chan error, 1)}
		mine.state.Store(adopted)
		en.done <- nil
		return mine, true
	case dropped:
		en.done <- nil
		return nil, true
	}
	return nil, false
}

// recover writes a line about what was lost, now that the sink takes lines
// again.
func (l *Log) recover() {
	if !l.backlog.gone() {
		return
	}
	l.leaveUnsure()
	if lost, cause := l.backlog.owes(); lost.count > 0 {
		e := audit.Event{
			Action: audit.EventsLost, Outcome: audit.Failure, Count: lost.count,
			Detail: fmt.Sprintf("from %s to %s: %v", lost.from.UTC().Format(line.TimeLayout), lost.to.UTC().Format(line.TimeLayout), cause),
		}
		if written, err := l.tell(e); !written {
			l.backlog.fell(err)
			return
		}
		l.backlog.told()
		l.onError(fmt.Errorf("audit log %s: %d events were lost %s", l.name, lost.count, e.Detail))
	}
	l.backlog.back()
}
