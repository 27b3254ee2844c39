package sqlite

import (
	"context"
	"database/sql/driver"
	"errors"
	"fmt"
	"runtime"
	"slices"
	"sync/atomic"
	"time"
)

const (
	// queueLength bounds the writes that wait, groupLength those that share
	// one transaction.
	queueLength = 1024
	groupLength = 256
	// lockPatience is how long another process may hold the file's write
	// lock, lockPoll how often it is tried: often, because a busy server
	// leaves the lock free for moments only.
	lockPatience = 10 * time.Second
	lockPoll     = time.Millisecond
	// overtime is how long a write that is on its way is waited for when its
	// caller's time is over: the caller learns what became of it, unless the
	// disk hangs.
	overtime = time.Second
)

var (
	beginWrite  = sql(`BEGIN IMMEDIATE`)
	commitWrite = sql(`COMMIT`)
)

// write is one write on its way through the queue.
type write struct {
	ctx context.Context
	// run does the work inside a transaction and leaves its result where the
	// caller of change finds it. When it returns an error it has changed
	// nothing. It may be run again, in another transaction.
	run    func(c *conn) error
	err    error // what run returned
	answer chan error
	// state is whose the write is: see waiting.
	state atomic.Int32
	// panicked is what the caller's own code inside run panicked with.
	panicked any
}

// A write waits until a transaction takes it or its caller, whose context ended,
// calls it off; never both.
const (
	waiting int32 = iota
	underWay
	calledOff
)

// take reports whether the transaction has the write, or gets it now. It leaves
// alone what nobody waits for any more.
func (w *write) take() bool {
	if w.ctx.Err() != nil {
		w.state.CompareAndSwap(waiting, calledOff)
	}
	return w.state.CompareAndSwap(waiting, underWay) || w.state.Load() == underWay
}

// errPanicked is what run returns when the caller's code panicked in it: the
// transaction is undone, and the panic goes on where it belongs.
var errPanicked = errors.New("sqlite store: panic in a write")

// change runs f in a transaction and returns its result once the transaction
// is committed. If ctx ends while the write waits, the error is the context's and
// the write never happens; one that is on its way is waited for (F9).
func change[T any](ctx context.Context, s *Store, f func(c *conn) (T, error)) (T, error) {
	var result, none T
	w := &write{ctx: ctx, answer: make(chan error, 1)}
	w.run = func(c *conn) (err error) {
		defer func() {
			if p := recover(); p != nil {
				w.panicked, err = p, errPanicked
			}
		}()
		result, err = f(c)
		return err
	}
	err := s.do(w)
	if errors.Is(err, errPanicked) {
		panic(w.panicked)
	}
	if err != nil {
		return none, s.file.explain(err)
	}
	return result, nil
}

// transact is change where only the error is wanted.
func (s *Store) transact(ctx context.Context, f func(c *conn) (int, error)) error {
	_, err := change(ctx, s, f)
	return err
}

// exec runs one statement in a transaction and tells how many rows it changed.
func (s *Store) exec(ctx context.Context, st *statement, args ...driver.Value) (int, error) {
	return change(ctx, s, func(c *conn) (int, error) { return c.exec(st, args...) })
}

// run is exec where nobody asks how many.
func (s *Store) run(ctx context.Context, st *statement, args ...driver.Value) error {
	_, err := s.exec(ctx, st, args...)
	return err
}

// do puts w into the queue and waits for its answer.
func (s *Store) do(w *write) error {
	if err := w.ctx.Err(); err != nil {
		return err
	}
	select {
	case <-s.closing:
		return ErrClosed
	default:
	}
	select {
	case s.writes <- w:
	case <-w.ctx.Done():
		return w.ctx.Err()
	case <-s.closing:
		return ErrClosed
	}
	select {
	case err := <-w.answer:
		return err
	case <-w.ctx.Done():
		return w.leave()
	case <-s.stopped:
	}
	select {
	case err := <-w.answer:
		return err
	default:
		return ErrClosed // it came after the last group
	}
}

// leave is what a caller does whose context has ended.
func (w *write) leave() error {
	if w.state.CompareAndSwap(waiting, calledOff) {
		return w.ctx.Err()
	}
	late := time.NewTimer(overtime)
	defer late.Stop()
	select {
	case err := <-w.answer:
		return err
	case <-late.C:
		return fmt.Errorf("whether it was written is not known: %w", w.ctx.Err())
	}
}

// commitLoop commits the writes, group by group, until the store closes.
func (s *Store) commitLoop() {
	defer close(s.stopped)
	group := make([]*write, 0, groupLength)
	for {
		select {
		case w := <-s.writes:
			group = s.fill(append(group[:0], w))
		case <-s.closing:
			if group = s.fill(group[:0]); len(group) == 0 {
				return
			}
		}
		s.writer.commit(group)
		clear(group)
	}
}

// fill adds the writes that wait to the group, and those of callers that are
// just about to write: the larger the group, the fewer the fsyncs.
func (s *Store) fill(group []*write) []*write {
	runtime.Gosched()
	for len(group) < groupLength {
		select {
		case w := <-s.writes:
			group = append(group, w)
		default:
			return group
		}
	}
	return group
}

// writer owns the connection that writes.
type writer struct {
	path *identity
	conn *conn // nil after a fault, until the next group
}

// commit runs the group in one transaction and answers every write in it after
// the commit. A write that is refused is refused alone; a fault under one
// (a damaged page, say) undoes the transaction, and each is then tried apart.
func (wr *writer) commit(group []*write) {
	err := wr.path.check()
	if err == nil {
		group, err = wr.begin(group)
	}
	if err != nil {
		answer(group, err)
		return
	}
	for _, w := range group {
		if !w.take() {
			w.err = w.ctx.Err()
			continue
		}
		if w.err = w.run(wr.conn); broken(w.err) {
			wr.drop()
			wr.commitApart(group)
			return
		}
	}
	if _, err := wr.conn.exec(commitWrite); err != nil {
		wr.drop()
		answer(group, err)
		return
	}
	for _, w := range group {
		w.answer <- w.err
	}
}

func (wr *writer) commitApart(group []*write) {
	if len(group) == 1 {
		answer(group, group[0].err)
		return
	}
	for i := range group {
		wr.commit(group[i : i+1 : i+1])
	}
}

func answer(group []*write, err error) {
	for _, w := range group {
		w.answer <- err
	}
}

// begin begins a transaction, waiting for other processes, and returns what is
// left of the group: the writes whose callers have not gone meanwhile.
func (wr *writer) begin(group []*write) ([]*write, error) {
	for deadline := time.Now().Add(lockPatience); ; time.Sleep(lockPoll) {
		group = slices.DeleteFunc(group, func(w *write) bool { return w.state.Load() == calledOff })
		err := wr.tryBegin()
		if !busy(err) || len(group) == 0 || time.Now().After(deadline) {
			return group, err
		}
	}
}

func (wr *writer) tryBegin() error {
	if wr.conn == nil {
		c, err := wr.path.file.connect(context.Background(), forWriting)
		if err != nil {
			return err
		}
		wr.conn = c
	}
	_, err := wr.conn.exec(beginWrite)
	if err == nil {
		err = wr.conn.refreshClients()
	}
	if err != nil && !busy(err) {
		wr.drop()
	}
	return err
}

// drop closes the connection, which undoes its transaction. The next group
// gets a new one: so the store recovers from any fault once its cause is gone.
func (wr *writer) drop() {
	_ = wr.conn.Close() // it reports the fault once more
	wr.conn = nil
}

func (wr *writer) close() error {
	if wr.conn == nil {
		return nil
	}
	return wr.conn.Close()
}
