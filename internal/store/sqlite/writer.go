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
	// queueLength bounds the waiting writes, groupLength those in one
	// transaction.
	queueLength = 1024
	groupLength = 256
	// lockPatience is how long another process may hold the file's write lock.
	// lockPoll is how often the lock is tried: often, because a busy server frees
	// it for moments only.
	lockPatience = 10 * time.Second
	lockPoll     = time.Millisecond
	// overtime is how long the caller of a write in progress waits for its result
	// after its context ended. It ends without the result only if the disk hangs.
	overtime = time.Second
)

var (
	beginWrite  = sql(`BEGIN IMMEDIATE`)
	commitWrite = sql(`COMMIT`)
)

// write is a write in the queue or in progress.
type write struct {
	ctx context.Context
	// run does the work inside a transaction and stores its result for the caller
	// of change. If it returns an error it has changed nothing. It may be run
	// again in another transaction.
	run    func(c *conn) error
	err    error // what run returned
	answer chan error
	// state says who owns the write: see waiting.
	state atomic.Int32
	// panicked is the value of a panic of the caller's code in run.
	panicked any
}

// A write waits until a transaction takes it, or until its caller, whose context
// ended, calls it off; never both.
const (
	waiting int32 = iota
	underWay
	calledOff
)

// take reports whether the transaction owns the write or can take it now. It
// calls off a write whose context ended.
func (w *write) take() bool {
	if w.ctx.Err() != nil {
		w.state.CompareAndSwap(waiting, calledOff)
	}
	return w.state.CompareAndSwap(waiting, underWay) || w.state.Load() == underWay
}

// errPanicked is the error of run after a panic of the caller's code: the
// transaction is undone, and the panic continues in the caller.
var errPanicked = errors.New("sqlite store: panic in a write")

// change runs f in a transaction and returns its result once the transaction is
// committed. If ctx ends while the write waits, change returns ctx's error and
// the write never happens. Otherwise it waits for a write in progress (F9).
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

// transact is change for callers that need only the error.
func (s *Store) transact(ctx context.Context, f func(c *conn) (int, error)) error {
	_, err := change(ctx, s, f)
	return err
}

// exec runs one statement in a transaction and returns how many rows it changed.
func (s *Store) exec(ctx context.Context, st *statement, args ...driver.Value) (int, error) {
	return change(ctx, s, func(c *conn) (int, error) { return c.exec(st, args...) })
}

// run is exec without the number of rows.
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

// leave returns the result of a write whose context ended.
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

// commitLoop commits the writes in groups until the store closes.
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

// fill adds the waiting writes to the group, and those of callers that are about
// to write: the larger the group, the fewer the fsyncs.
func (s *Store) fill(group []*write) []*write {
	for grown := true; grown; {
		runtime.Gosched()
		grown = false
		for more := true; more && len(group) < groupLength; {
			select {
			case w := <-s.writes:
				group, grown = append(group, w), true
			default:
				more = false
			}
		}
	}
	return group
}

// writer owns the writing connection.
type writer struct {
	path *identity
	conn *conn // nil after a fault, until the next group
}

// commit runs the group in one transaction and answers all its writes after the
// commit. A refused write does not affect the others. A fault of one (for example
// a damaged page) undoes the transaction, and each write is tried separately.
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

// begin begins a transaction and waits for other processes. It returns the group
// without the writes that were called off meanwhile.
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

// drop closes the connection, which undoes its transaction. The next group gets a
// new connection, so that the store recovers from any fault once its cause is
// gone.
func (wr *writer) drop() {
	_ = wr.conn.Close() // Close reports the fault once more
	wr.conn = nil
}

func (wr *writer) close() error {
	if wr.conn == nil {
		return nil
	}
	return wr.conn.Close()
}
