package main

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
	"net/http"
	"net/url"
	"path/filepath"
	"sync/atomic"
	"time"

	"github.com/google/uuid"
	_ "modernc.org/sqlite" // the driver named "sqlite"
)

// maxBatch bounds the updates of one transaction.
const maxBatch = 1024

// families is the least that a durable refresh needs: a table of rows with a
// counter in each, and one writer that commits all waiting updates in one
// transaction. Safe for concurrent use.
type families struct {
	db      *sql.DB
	conn    *sql.Conn
	begin   *sql.Stmt
	update  *sql.Stmt
	commit  *sql.Stmt
	ids     []string
	next    atomic.Uint64
	waiting chan waiter
	stopped chan struct{}
}

// waiter is one update that waits for its commit.
type waiter struct {
	id        string
	committed chan error
}

// openFamilies makes a database of n families in dir, as durable as the
// server's: write-ahead log, every commit synchronised with the disk.
func openFamilies(dir string, n int) (*families, error) {
	dsn := (&url.URL{Scheme: "file", Path: filepath.Join(dir, "floor.db"),
		RawQuery: "_pragma=journal_mode(WAL)&_pragma=synchronous(FULL)"}).String()
	db, err := sql.Open("sqlite", dsn)
	if err != nil {
		return nil, err
	}
	f := &families{db: db, waiting: make(chan waiter, maxBatch), stopped: make(chan struct{})}
	if err := f.prepare(n); err != nil {
		db.Close()
		return nil, fmt.Errorf("open the floor's database: %w", err)
	}
	go f.write()
	return f, nil
}

func (f *families) prepare(n int) error {
	ctx := context.Background()
	var err error
	if f.conn, err = f.db.Conn(ctx); err != nil {
		return err
	}
	if _, err := f.conn.ExecContext(ctx, `CREATE TABLE families (
		id TEXT PRIMARY KEY, generation INTEGER NOT NULL, rotated_at INTEGER NOT NULL) WITHOUT ROWID`); err != nil {
		return err
	}
	for range n {
		id := uuid.NewString()
		if _, err := f.conn.ExecContext(ctx, `INSERT INTO families VALUES (?, 0, 0)`, id); err != nil {
			return err
		}
		f.ids = append(f.ids, id)
	}
	for _, s := range []struct {
		stmt **sql.Stmt
		text string
	}{
		{&f.begin, `BEGIN IMMEDIATE`},
		{&f.update, `UPDATE families SET generation = generation + 1, rotated_at = ? WHERE id = ?`},
		{&f.commit, `COMMIT`},
	} {
		if *s.stmt, err = f.conn.PrepareContext(ctx, s.text); err != nil {
			return err
		}
	}
	return nil
}

// rotate moves the next family on by one generation and returns when that is
// durable.
func (f *families) rotate() error {
	w := waiter{id: f.ids[f.next.Add(1)%uint64(len(f.ids))], committed: make(chan error, 1)}
	f.waiting <- w
	return <-w.committed
}

// write is the one writer: group commit.
func (f *families) write() {
	defer close(f.stopped)
	batch := make([]waiter, 0, maxBatch)
	for first := range f.waiting {
		batch = f.gather(append(batch[:0], first))
		err := f.commitBatch(batch)
		for _, w := range batch {
			w.committed <- err
		}
	}
}

// gather adds what waits already to the batch.
func (f *families) gather(batch []waiter) []waiter {
	for len(batch) < maxBatch {
		select {
		case w, ok := <-f.waiting:
			if !ok {
				return batch
			}
			batch = append(batch, w)
		default:
			return batch
		}
	}
	return batch
}

func (f *families) commitBatch(batch []waiter) error {
	if _, err := f.begin.Exec(); err != nil {
		return err
	}
	now := time.Now().UnixMilli()
	for _, w := range batch {
		if _, err := f.update.Exec(now, w.id); err != nil {
			_, rollback := f.conn.ExecContext(context.Background(), `ROLLBACK`)
			return errors.Join(err, rollback)
		}
	}
	_, err := f.commit.Exec()
	return err
}

// close waits for the writer and closes the database. No rotate may follow or
// be under way.
func (f *families) close() error {
	close(f.waiting)
	<-f.stopped
	return errors.Join(f.conn.Close(), f.db.Close())
}

// refreshHandler answers every request with a new token, after one durable
// update.
func refreshHandler(s *plainSigner, f *families) http.Handler {
	refresh := sampleToken()
	return http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
		token, err := s.sign()
		if err == nil {
			err = f.rotate()
		}
		if err != nil {
			http.Error(w, err.Error(), http.StatusInternalServerError)
			return
		}
		writeTokens(w, token, refresh)
	})
}
