package mongodb

import (
	"context"
	"sync"
	"time"
)

// jointReads lets concurrent callers that ask for one record share a read that
// begins after all of them asked, so that it shows what their own reads would.
// A record that every request needs is then read no more often than one read
// after the other, however many requests there are. This matters for
// linearizable reads, for each of which the primary writes to its log and waits
// for a majority.
type jointReads[V any] struct {
	read func(ctx context.Context, id string) (V, error)

	mu   sync.Mutex
	next map[string]*jointRead[V] // not begun: new callers may join
	busy map[string]bool          // whether a read of the record is in progress
}

// jointRead is one read for several callers.
type jointRead[V any] struct {
	until time.Time // the latest deadline of its callers
	ever  bool      // whether a caller has no deadline
	done  chan struct{}
	value V
	err   error
}

func newJointReads[V any](read func(ctx context.Context, id string) (V, error)) *jointReads[V] {
	return &jointReads[V]{read: read, next: map[string]*jointRead[V]{}, busy: map[string]bool{}}
}

// get returns the record as it was at some time after the call.
func (j *jointReads[V]) get(ctx context.Context, id string) (V, error) {
	var none V
	if err := ctx.Err(); err != nil {
		return none, err
	}
	r := j.join(ctx, id)
	select {
	case <-r.done:
		return r.value, r.err
	case <-ctx.Done():
		return none, ctx.Err()
	}
}

func (j *jointReads[V]) join(ctx context.Context, id string) *jointRead[V] {
	j.mu.Lock()
	defer j.mu.Unlock()
	r := j.next[id]
	if r == nil {
		r = &jointRead[V]{done: make(chan struct{})}
		j.next[id] = r
	}
	until, bounded := ctx.Deadline()
	if !bounded {
		r.ever = true
	} else if until.After(r.until) {
		r.until = until
	}
	if !j.busy[id] {
		j.busy[id] = true
		// The read does not use a caller's context, because it goes on for the
		// others.
		go j.serve(context.WithoutCancel(ctx), id)
	}
	return r
}

// serve reads the record until no caller waits for it.
func (j *jointReads[V]) serve(ctx context.Context, id string) {
	for {
		j.mu.Lock()
		r := j.next[id]
		delete(j.next, id)
		if r == nil {
			delete(j.busy, id)
		}
		j.mu.Unlock()
		if r == nil {
			return
		}
		j.carryOut(ctx, id, r)
	}
}

func (j *jointReads[V]) carryOut(ctx context.Context, id string, r *jointRead[V]) {
	if !r.ever {
		var cancel context.CancelFunc
		ctx, cancel = context.WithDeadline(ctx, r.until)
		defer cancel()
	}
	r.value, r.err = j.read(ctx, id)
	close(r.done)
}
