// Package sqlite is the embedded store, one SQLite file without server or cgo,
// which is one idea because the same writer keeps all data of the domain in the
// same transactions.
//
// Reads run on a small pool of read-only connections. Writes go through one
// goroutine that commits all waiting writes in one transaction (group commit), so
// that many clients share one fsync. A write is answered after its commit is on
// disk (F5), and a read that begins later sees it.
//
// Several processes may have the file open at once: the command line works on it
// while the server runs. The file must be on a local disk.
package sqlite

import (
	"context"
	"database/sql/driver"
	"errors"
	"fmt"
	"path/filepath"
	"runtime"
	"sync"

	"github.com/keyturn/keyturn/internal/store"
)

// ErrClosed is the error of a closed store.
var ErrClosed = errors.New("store is closed")

// Store keeps everything in one file. It is safe for concurrent use.
type Store struct {
	file    file
	path    *identity
	readers chan *conn // the idle ones
	writer  *writer    // used only by commitLoop until stopped
	writes  chan *write

	closing chan struct{} // closed when Close begins
	stopped chan struct{} // closed after the last write was answered
	close   func() error
}

var _ store.Store = (*Store)(nil)

// minReaders is the least number of reading connections.
const minReaders = 4

// Open opens the store in the file of that name, creates it (mode 0600) if it does
// not exist, and updates its schema. It refuses a file that is not a Keyturn
// store, is damaged, or was written by a later version, with an error that says
// so, and does not change it. ctx bounds only the opening.
func Open(ctx context.Context, name string) (*Store, error) {
	if name == "" {
		return nil, errors.New("the sqlite store needs the path of its file, as in sqlite:keyturn.db")
	}
	absolute, err := filepath.Abs(name)
	if err != nil {
		return nil, fmt.Errorf("sqlite store: %w", err)
	}
	tuneEngine()
	f := file(absolute)
	if err := f.create(); err != nil {
		return nil, err
	}
	if err := f.examine(ctx); err != nil {
		return nil, err
	}
	c, err := f.migrate(ctx)
	if err != nil {
		return nil, err
	}
	path, err := f.identify()
	if err != nil {
		return nil, errors.Join(err, c.Close())
	}
	s := &Store{
		file:    f,
		path:    path,
		writer:  &writer{path: path, conn: c},
		readers: make(chan *conn, max(minReaders, runtime.GOMAXPROCS(0))),
		writes:  make(chan *write, queueLength),
		closing: make(chan struct{}),
		stopped: make(chan struct{}),
	}
	for range cap(s.readers) {
		c, err := f.connect(ctx, forReading)
		if err != nil {
			return nil, errors.Join(err, s.closeReaders(len(s.readers)), s.writer.close(), path.reader.Close())
		}
		s.readers <- c
	}
	s.close = sync.OnceValue(s.closeAll)
	go s.commitLoop()
	return s, nil
}

// Close waits for reads and writes in progress, moves the write-ahead log into the
// file and closes it. Further calls return the result of the first.
func (s *Store) Close() error { return s.close() }

func (s *Store) closeAll() error {
	close(s.closing)
	<-s.stopped
	if s.path.overwritten.Load() {
		return s.path.err() // closing would move the log into a file that it does not belong to
	}
	// The last connection moves the log into the file, if it is certain to be the
	// last. So the connections are closed one after the other, the writer at the
	// end.
	return errors.Join(s.closeReaders(cap(s.readers)), s.writer.close(), s.path.reader.Close())
}

// closeReaders closes n connections, and waits for those in use.
func (s *Store) closeReaders(n int) error {
	var errs []error
	for range n {
		errs = append(errs, (<-s.readers).Close())
	}
	return errors.Join(errs...)
}

// read runs f on a connection that sees everything committed so far.
func read[T any](ctx context.Context, s *Store, f func(c *conn) (T, error)) (T, error) {
	var none T
	if err := s.path.err(); err != nil {
		return none, err
	}
	c, err := s.reader(ctx)
	if err != nil {
		return none, err
	}
	// Even after a panic the connection returns to the pool, for which Close
	// waits.
	defer func() { s.readers <- c }()
	v, err := f(c)
	if err != nil {
		return none, s.file.explain(err)
	}
	return v, nil
}

// found reads the one row that a statement returns. Without a row its error is
// missing.
func found[T any](ctx context.Context, s *Store, st *statement, scan func(r *row) T, missing error, args ...driver.Value) (T, error) {
	return read(ctx, s, func(c *conn) (T, error) { return one(c, st, scan, missing, args...) })
}

// listed reads the rows that a statement returns.
func listed[T any](ctx context.Context, s *Store, st *statement, scan func(r *row) T, args ...driver.Value) ([]T, error) {
	return read(ctx, s, func(c *conn) ([]T, error) { return list(c, st, scan, args...) })
}

func (s *Store) reader(ctx context.Context) (*conn, error) {
	if err := ctx.Err(); err != nil {
		return nil, err
	}
	select {
	case <-s.closing:
		return nil, ErrClosed
	default:
	}
	select {
	case c := <-s.readers:
		return c, nil
	case <-ctx.Done():
		return nil, ctx.Err()
	case <-s.closing:
		return nil, ErrClosed
	}
}
