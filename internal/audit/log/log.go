// Package log writes every decision that Keyturn makes as one line of a
// hash-chained log: into a file, a stream or to a syslog receiver. It signs the
// chain's head from time to time and has the store keep it.
package log

import (
	"context"
	"errors"
	"fmt"
	"sync"
	"sync/atomic"
	"time"

	"github.com/keyturn/keyturn/internal/audit"
	"github.com/keyturn/keyturn/internal/audit/line"
)

const (
	queueLen  = 4096                   // events that wait to be written
	maxBatch  = 1 << 20                // bytes written in one go
	lastTries = 3                      // at a signature, when the log is closed,
	lastPause = 200 * time.Millisecond // and what lies between two
	closeTime = 5 * time.Second        // how long Close waits for a sink that hangs
)

// ErrClosed means that the log was closed before the event could be written.
var ErrClosed = errors.New("audit log is closed")

// Log is one process's chain of events in an audit log. It implements
// Recorder. All methods are safe for concurrent use.
//
// Callers encode their events themselves and hand them to one goroutine, which
// takes all that wait, chains them and writes them at once: many callers share
// one write (group commit). An event is acknowledged when the kernel has it, so
// that the death of the process cannot lose it. It is not synced to the disk
// one by one: that would cost each decision a disk's latency, and what a power
// loss takes from the end of the file is no secret, because the head that was
// anchored in the store was synced before (A2).
type Log struct {
	chain   string
	node    string
	suffix  string
	now     func() time.Time
	onError func(error)
	sink    sink
	name    string

	entries sync.Pool
	queue   chan *entry
	reopens chan chan error
	closing chan struct{}
	stopped chan struct{}
	once    sync.Once
	err     error // of Close; set before stopped is closed

	mu      sync.Mutex
	signer  Signer
	anchors audit.AnchorStore

	w        writer
	backlog  backlog
	failures atomic.Uint64
	// cause is why the last write failed.
	cause atomic.Pointer[error]
	// hung is set if an event waited for the sink in vain until its caller's time was
	// over, and no write has ended since.
	hung atomic.Bool
	// owed is set while the last anchor did not reach the store.
	owed atomic.Bool
}

// entry is one event on its way to the writer.
type entry struct {
	at    time.Time
	body  []byte
	done  chan error
	state atomic.Int32
}

// An entry waits until the writer takes it or its caller, whose context ended,
// withdraws it; never both. One that the writer took is settled when its caller
// is told; an adopted one is the writer's alone, its caller has left.
const (
	waiting int32 = iota
	taken
	withdrawn
	settled
	adopted
)

func newEntry() any {
	return &entry{body: make([]byte, 0, 1024), done: make(chan error, 1)}
}

// Open opens the sink and begins a new chain. It waits for no file that hangs. If a
// file ends in an unfinished line, left by a process that died while writing, the
// first write cuts that line off; nobody was told that it was written. The caller must
// Close the log.
func Open(o Options) (*Log, error) {
	o = withDefaults(o)
	if o.Reached == nil {
		s, place, err := openSink(o)
		if err != nil {
			return nil, err
		}
		o.Reached = &Reached{s, place}
	}
	s, place := o.Reached.sink, o.Reached.place
	l := &Log{
		chain:   line.NewChainID(o.Now()),
		node:    o.Node + ":" + place,
		now:     o.Now,
		onError: o.OnError,
		sink:    s,
		name:    place,
		queue:   make(chan *entry, queueLen+o.Keep),
		reopens: make(chan chan error),
		closing: make(chan struct{}),
		stopped: make(chan struct{}),
	}
	l.entries.New = newEntry
	l.backlog.keep, l.backlog.lose = o.Keep, o.Lose
	l.suffix = line.Suffix(o.Version, l.node)
	l.w = writer{
		head:       line.Beginning(l.chain, time.Time{}),
		every:      o.CheckpointEvery,
		lines:      o.CheckpointLines,
		requested:  -1,
		seen:       newestSeen(o.Seen),
		toAnchor:   make(chan line.Head, 1),
		anchorDone: make(chan struct{}),
	}
	l.w.anchoring, l.w.anchorNoMore = context.WithCancel(context.Background())
	go l.anchorHeads()
	go l.write()
	return l, nil
}

// Node returns the name that stands in the lines and anchors of this log: the
// machine and the file (or stream) on it, so that the verifier knows which
// chains must be found together.
func (l *Log) Node() string { return l.node }

// SetSigner gives the log the keys to sign checkpoints with. Without it there
// are none.
func (l *Log) SetSigner(s Signer) {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.signer = s
}

// SetAnchors gives the log the store to keep the chain's head in. Call it
// before the first event is recorded, so that the chain is announced there
// before it is in the file.
func (l *Log) SetAnchors(s audit.AnchorStore) {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.anchors = s
}

// Record writes e with the Request in ctx and returns when the kernel has it.
// If ctx ends first, Record returns an error that wraps ctx.Err(); the event
// may then have been written or not. A sink that is known to hang is given a
// second. A caller whose decision can no longer be taken back passes
// context.WithoutCancel(ctx).
func (l *Log) Record(ctx context.Context, e audit.Event) error {
	err := l.record(ctx, &e)
	if err != nil {
		l.failures.Add(1)
		if errors.Is(err, context.DeadlineExceeded) && !l.backlog.on() {
			l.cause.Store(&err) // it hangs; what is written in the end, or a probe, takes that back
			l.hung.Store(true)
		}
		return notRecorded{err}
	}
	return nil
}

// notRecorded says why, and that it is an ErrNotRecorded.
type notRecorded struct{ error }

func (e notRecorded) Unwrap() []error { return []error{audit.ErrNotRecorded, e.error} }

func (l *Log) record(ctx context.Context, e *audit.Event) error {
	if err := ctx.Err(); err != nil {
		return fmt.Errorf("audit event was not written: %w", err)
	}
	r := audit.RequestFrom(ctx)
	en := l.entries.Get().(*entry)
	en.state.Store(waiting)
	if en.at = l.now(); !en.at.After(e.After) {
		en.at = e.After.Add(time.Millisecond) // some readers know no shorter time
	}
	en.body = line.AppendBody(en.body[:0], e, &r, "", en.at, l.suffix)

	select {
	case <-l.closing:
		return ErrClosed
	default:
	}
	if l.backlog.gone() {
		return l.recordAway(ctx, en)
	}
	if err := l.enqueue(ctx, en); err != nil {
		return err
	}
	return l.await(ctx, en)
}

// enqueue hands en to the writer.
func (l *Log) enqueue(ctx context.Context, en *entry) error {
	select {
	case l.queue <- en:
		return nil
	default: // it is full
	}
	select {
	case l.queue <- en:
		return nil
	case <-ctx.Done():
		return fmt.Errorf("audit event was not written: %w", ctx.Err())
	case <-l.closing:
		return ErrClosed
	}
}

// await waits until the writer answers.
func (l *Log) await(ctx context.Context, en *entry) error {
	var stalled <-chan time.Time
	if l.backlog.on() || l.hung.Load() {
		t := time.NewTimer(stallTime)
		defer t.Stop()
		stalled = t.C
	}
	for {
		select {
		case err := <-en.done:
			l.entries.Put(en)
			return err
		case <-stalled:
			if !l.backlog.on() {
				return en.leave(errStalled)
			}
			l.fell(errStalled)
			if l.setAside(en) {
				return nil
			}
		case <-ctx.Done():
			if l.backlog.on() && l.setAside(en) {
				return nil
			}
			return en.leave(ctx.Err())
		case <-l.stopped:
			return en.leave(ErrClosed)
		}
	}
}

// errStalled is why a log counts as away that answers nothing.
var errStalled = fmt.Errorf("a write has not ended within %v", stallTime)

// leave gives up waiting because of cause.
func (en *entry) leave(cause error) error {
	if en.state.CompareAndSwap(waiting, withdrawn) {
		return fmt.Errorf("audit event was not written: %w", cause)
	}
	select {
	case err := <-en.done:
		return err
	default:
		return fmt.Errorf("%w: %w", audit.ErrInDoubt, cause)
	}
}

// Reopen opens the file anew by its name, after a rotation by renaming. The old
// file is synced and closed. If the new one cannot be opened, the log goes on
// in the old one. A stream has nothing to reopen.
func (l *Log) Reopen() error {
	reply := make(chan error, 1)
	select {
	case l.reopens <- reply:
		return <-reply
	case <-l.stopped:
		return ErrClosed
	}
}

// Close writes what waits, signs and anchors the head, syncs and closes the
// file. Events recorded later get ErrClosed. A sink that hangs is given up after
// five seconds, or one if it is known to hang. A second Close returns what the
// first returned.
func (l *Log) Close() error {
	l.once.Do(func() { close(l.closing) })
	wait := closeTime
	if l.hung.Load() {
		wait = stallTime
	}
	late := time.NewTimer(wait)
	defer late.Stop()
	select {
	case <-l.stopped:
		return l.err
	case <-late.C:
		return fmt.Errorf("audit log %s: it hangs, and was given up after %v", l.name, wait)
	}
}
