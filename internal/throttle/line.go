package throttle

import (
	"context"
	"sync"
	"time"

	"github.com/keyturn/keyturn/internal/audit"
	"github.com/keyturn/keyturn/internal/refusal"
)

const (
	// abreast is how many attempts on one account from one network are judged
	// at once: one less than the pair's free failures, so that right passwords
	// that come together are not taken for guesses.
	abreast = 4
	// maxInLine bounds the attempts that wait or are judged.
	maxInLine = 128
)

// lines makes concurrent attempts on one account from one network wait for each
// other in this process. The throttle charges an attempt before it is judged,
// so without the line a few devices that log in at the same moment would look
// like guessing. The zero lines is ready for use.
type lines struct {
	mu sync.Mutex
	by map[string]*line
}

type line struct {
	places chan struct{}
	inside int // in the line or being judged
}

// Enter waits until an attempt on account by the requester in ctx may be
// judged. It returns a function to call afterwards. The error is a refusal
// (Busy) if too many wait already, or from ctx.
func (t *Throttle) Enter(ctx context.Context, account string) (leave func(), err error) {
	if t == nil {
		return func() {}, nil
	}
	return t.lines.enter(ctx, account)
}

// enter waits for a place and returns the function that frees it.
func (l *lines) enter(ctx context.Context, account string) (leave func(), err error) {
	key := networkOf(audit.RequestFrom(ctx).IP) + " " + account
	ln, err := l.join(key)
	if err != nil {
		return nil, err
	}
	select {
	case ln.places <- struct{}{}:
		return func() { <-ln.places; l.quit(key, ln) }, nil
	case <-ctx.Done():
		l.quit(key, ln)
		return nil, ctx.Err()
	}
}

func (l *lines) join(key string) (*line, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	ln := l.by[key]
	if ln == nil {
		if l.by == nil {
			l.by = map[string]*line{}
		}
		ln = &line{places: make(chan struct{}, abreast)}
		l.by[key] = ln
	}
	if ln.inside >= maxInLine {
		return nil, &refusal.Error{Code: refusal.Busy, Reason: audit.ReasonBusy, RetryAfter: time.Second}
	}
	ln.inside++
	return ln, nil
}

func (l *lines) quit(key string, ln *line) {
	l.mu.Lock()
	defer l.mu.Unlock()
	if ln.inside--; ln.inside == 0 {
		delete(l.by, key)
	}
}
