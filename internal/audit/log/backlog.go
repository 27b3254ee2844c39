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
	// before a log that may keep events counts it as away, retryTime how long
	// such a log waits between two attempts.
	stallTime = time.Second
	retryTime = 250 * time.Millisecond
)

// errBacklog is why an event is refused that could be neither written nor kept.
var errBacklog = errors.New("the log cannot be written to, and what may be kept or lost meanwhile is used up")

// backlog counts the events whose decisions stand though they are not written:
// those that are kept in memory, and those that are lost. Both are bounded.
type backlog struct {
	keep, lose int // the bounds

	mu    sync.Mutex
	away  bool  // the sink failed, or hangs
	cause error // why it was away last
	held  int
	// lost is what no line of the chain was made for yet, telling what one
	// is being written for, or could not be.
	lost, telling loss
	total         uint64
}

// loss is what is missing from a chain.
type loss struct {
	count    int
	from, to time.Time
}

// add takes other in.
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

// verdict is what becomes of an event that cannot be written.
type verdict int

const (
	refuse  verdict = iota // the decision must not stand
	kept                   // it is held in memory
	dropped                // it is lost, and counted
)

// on reports whether any event may be kept or lost.
func (b *backlog) on() bool { return b.keep+b.lose > 0 }

// admit decides about an event of that time, and counts it if claim, called
// with what would become of it, agrees. While a loss is still to be told,
// nothing later is kept, so that a loss is one stretch of time.
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

// anyway is a claim on an event that nobody else can claim.
func anyway(verdict) bool { return true }

// untold counts what was lost and is not in the chain.
func (b *backlog) untold() int { return b.lost.count + b.telling.count }

// release counts out an event that was kept.
func (b *backlog) release() {
	b.mu.Lock()
	defer b.mu.Unlock()
	b.held--
}

// fell notes that the sink is away, and reports whether that is news.
func (b *backlog) fell(cause error) bool {
	b.mu.Lock()
	defer b.mu.Unlock()
	news := !b.away
	b.away, b.cause = true, cause
	return news
}

// means says what becomes of events while the sink is away.
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

// owes returns the loss that is still to be told, and its cause. Until told is
// called it comes again, with what was lost since.
func (b *backlog) owes() (loss, error) {
	b.mu.Lock()
	defer b.mu.Unlock()
	b.telling.add(b.lost)
	b.lost = loss{}
	return b.telling, b.cause
}

// told notes that what owes returned last is in the chain.
func (b *backlog) told() {
	b.mu.Lock()
	defer b.mu.Unlock()
	b.telling = loss{}
}

// back notes that the sink takes events again.
func (b *backlog) back() {
	b.mu.Lock()
	defer b.mu.Unlock()
	b.away = false
}

// Backlog is what a Log has not written though the decisions stand.
type Backlog struct {
	// Held are the events that are kept in memory now, Lost all that were
	// ever dropped.
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
// decisions did not stand.
func (l *Log) Failures() uint64 { return l.failures.Load() }

// fell reports once that the sink has failed.
func (l *Log) fell(cause error) {
	if l.backlog.fell(cause) {
		l.onError(fmt.Errorf("audit log %s cannot be written to; %s: %w", l.name, l.backlog.means(), cause))
	}
}

// setAside lets a decision stand whose event is waiting for a sink that is away
// or hangs. It returns false if that may not be, or the event is being written.
func (l *Log) setAside(en *entry) bool {
	return l.backlog.admit(en.at, func(v verdict) bool {
		if v == kept {
			return en.state.CompareAndSwap(waiting, adopted) || en.state.CompareAndSwap(taken, adopted)
		}
		return en.state.CompareAndSwap(waiting, withdrawn)
	}) != refuse
}

// recordAway records an event while the sink is known to be away, without
// waiting for it.
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
		// It is full of events that came before it was known that the sink is
		// away; they wait for their callers' time to end.
		l.backlog.release()
		return fmt.Errorf("audit event was not written: %w", ctx.Err())
	case <-l.closing:
		l.backlog.release()
		return ErrClosed
	}
}

// retain keeps an event of a batch that failed. It returns false if the caller
// is to be told of the failure. The writer keeps a copy where the caller is
// still there, who uses the entry again.
func (l *Log) retain(en *entry) (*entry, bool) {
	if !en.state.CompareAndSwap(taken, settled) {
		return en, true // adopted: its caller has left
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

// recover tells the chain what was lost, now that the sink takes lines again.
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
