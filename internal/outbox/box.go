package outbox

import (
	"context"
	"errors"
	"maps"
	"slices"
	"sync"
	"sync/atomic"
	"time"

	"github.com/google/uuid"

	"github.com/keyturn/keyturn/internal/audit"
)

const (
	// lease is how long a message is left to who took it up, patience how long one try
	// may take.
	lease    = time.Minute
	patience = 45 * time.Second
	// The wait after a try that failed doubles from firstWait to longestWait. A message
	// is given up when a try fails after maxAge, or after maxTries, which take as long
	// and need no clock.
	firstWait   = 5 * time.Second
	longestWait = time.Hour
	maxAge      = 24 * time.Hour
	maxTries    = 36
	// never is further ahead than any message is ever due.
	never = longestWait + 2*lease
	// A destination whose try failed rests for a while, which doubles from every to
	// longestRest.
	longestRest = time.Minute
	// downFor is how long a destination takes nothing before that is told.
	downFor = 2 * time.Minute
	// every is how often a Box looks for what is due, glance how often for what is left.
	every  = time.Second
	glance = 10 * time.Second
	// mostDestinations are read at once.
	mostDestinations = 1000
	// maxDestinations are served at once, with maxAtOnce messages to each; batch are read
	// at once.
	maxDestinations = 16
	maxAtOnce       = 4
	batch           = 100
)

// What an error of Send may wrap. Any other error says that the destination is down, and
// messages to it wait.
var (
	// ErrFinal means that no other try would succeed.
	ErrFinal = errors.New("it is not to be tried again")
	// ErrDeferred means that the destination takes other messages, and this one later.
	ErrDeferred = errors.New("it is to be tried again later")
)

// Kind is how messages of one kind are sent.
type Kind struct {
	// Send sends m, or returns nil if there is nothing to send any more. It may be called
	// again for one that was sent, if the process dies before it notes that. The payload
	// that it leaves in m is that of the next try.
	Send func(ctx context.Context, m *Message) error
	// GiveUp tells that m is not sent, for that cause. If it fails, m is kept.
	GiveUp func(ctx context.Context, m Message, cause error) error
}

// Box sends the messages of a Store. Several replicas may have one on the same data.
// It is safe for concurrent use; the fields are not to be changed once it runs.
type Box struct {
	Store Store
	// Kinds has every kind by its name.
	Kinds map[string]Kind
	// Now is the time that no wrong clock moves (T1).
	Now func() time.Time
	// OnError is told of a store that does not answer, and OnDown, once until one takes
	// something, of a destination that has taken nothing for some minutes. Both may be nil.
	OnError func(error)
	OnDown  func(to string, cause error)

	mu    sync.Mutex
	rests map[string]rest
}

// rest is how a destination is left alone. It goes by elapsed time.
type rest struct {
	busy  bool
	until time.Time
	last  time.Duration
	// since is when it began to take nothing, told that OnDown has been told.
	since time.Time
	told  bool
}

// Down returns how many destinations, for which there are messages, took nothing when
// this Box last tried.
func (b *Box) Down() int {
	b.mu.Lock()
	defer b.mu.Unlock()
	n := 0
	for _, r := range b.rests {
		if !r.since.IsZero() {
			n++
		}
	}
	return n
}

// Add adds a message, due at once, unless it is there, if agreed then says so. agreed
// takes away the reason for the message, and returns the payload that it is to have, or nil
// if the reason was not there: of several replicas that found the reason one has the
// message. Send is to take it away too, for a process that dies between the two steps; it
// finds the payload of m. Add reports whether it added the message. The error is ErrChanged
// if agreed took so long that another goes on with it. What agreed says is noted even if
// ctx is done.
func (b *Box) Add(ctx context.Context, m Message, most int, agreed func(context.Context) ([]byte, error)) (bool, error) {
	m.CreatedAt = b.Now().UTC().Truncate(time.Millisecond)
	m.DueAt, m.Holder = m.CreatedAt.Add(lease), uuid.NewString()
	err := b.Store.AddMessage(ctx, m, most)
	if err != nil {
		return false, unless(err, ErrQueued) // whoever added it goes on with it
	}
	payload, err := agreed(ctx)
	if err != nil {
		return false, err
	}
	ctx, cancel := audit.Outlast(ctx)
	defer cancel()
	if payload == nil {
		return false, b.Store.RemoveMessage(ctx, m)
	}
	due := m
	due.Payload, due.DueAt = payload, m.CreatedAt
	return true, b.Store.ReplaceMessage(ctx, m, due)
}

// Run sends what is due until ctx ends, and returns when nothing is under way.
func (b *Box) Run(ctx context.Context) {
	var all sync.WaitGroup
	gate := make(chan struct{}, maxDestinations)
	glanced := time.Now()
	for t := time.NewTicker(every); ; {
		b.look(ctx, gate, &all)
		if time.Since(glanced) >= glance {
			b.failed(ctx, b.forget(ctx))
			glanced = time.Now()
		}
		select {
		case <-ctx.Done():
			t.Stop()
			all.Wait()
			return
		case <-t.C:
		}
	}
}

// look begins to serve the destinations that have messages due.
func (b *Box) look(ctx context.Context, gate chan struct{}, all *sync.WaitGroup) {
	found, err := b.Store.DueDestinations(ctx, b.due(), mostDestinations)
	b.failed(ctx, err)
	for _, to := range found {
		select {
		case gate <- struct{}{}:
		default:
			return // as many are served as may be
		}
		if !b.begin(to) {
			<-gate
			continue
		}
		all.Go(func() {
			defer func() { <-gate }()
			down, taken := b.serve(ctx, to)
			b.end(ctx, to, down, taken)
		})
	}
}

func (b *Box) due() Due {
	now := b.Now()
	return Due{At: now, Never: now.Add(never)}
}

func (b *Box) failed(ctx context.Context, err error) {
	if err != nil && ctx.Err() == nil && b.OnError != nil {
		b.OnError(err)
	}
}

// begin reports whether the destination neither is served nor rests, and from then on is
// served.
func (b *Box) begin(to string) bool {
	b.mu.Lock()
	defer b.mu.Unlock()
	r := b.rests[to]
	if r.busy || time.Now().Before(r.until) {
		return false
	}
	if b.rests == nil {
		b.rests = map[string]rest{}
	}
	r.busy = true
	b.rests[to] = r
	return true
}

// end ends the serving of a destination, which rests if a try failed: the longer, the more
// often none succeeded.
func (b *Box) end(ctx context.Context, to string, down error, taken bool) {
	b.mu.Lock()
	defer b.mu.Unlock()
	if down == nil {
		delete(b.rests, to)
		return
	}
	now, r := time.Now(), rest{last: every}
	if before := b.rests[to]; !taken {
		r.last, r.since, r.told = min(max(every, 2*before.last), longestRest), before.since, before.told
		if r.since.IsZero() {
			r.since = now
		}
		if !r.told && now.Sub(r.since) >= downFor && ctx.Err() == nil && b.OnDown != nil {
			r.told = true
			b.OnDown(to, down)
		}
	}
	r.until = now.Add(r.last)
	b.rests[to] = r
}

// forget forgets how destinations were for which nothing is left: another replica may have
// had it taken.
func (b *Box) forget(ctx context.Context) error {
	b.mu.Lock()
	none := len(b.rests) == 0
	b.mu.Unlock()
	if none {
		return nil
	}
	all := b.due()
	all.At = all.Never
	left, err := b.Store.DueDestinations(ctx, all, mostDestinations)
	if err != nil || len(left) == mostDestinations {
		return err
	}
	b.mu.Lock()
	defer b.mu.Unlock()
	maps.DeleteFunc(b.rests, func(to string, r rest) bool { return !r.busy && !slices.Contains(left, to) })
	return nil
}

// serve sends what is due to a destination, and returns why a try failed, if one did, and
// whether the destination took any.
func (b *Box) serve(ctx context.Context, to string) (error, bool) {
	var s service
	for ctx.Err() == nil && s.failure() == nil {
		found, err := b.Store.DueMessages(ctx, to, b.due(), batch)
		if b.failed(ctx, err); err != nil {
			return err, s.taken.Load()
		}
		var all sync.WaitGroup
		gate := make(chan struct{}, maxAtOnce)
		for _, m := range found {
			gate <- struct{}{}
			all.Go(func() {
				defer func() { <-gate }()
				b.failed(ctx, b.try(ctx, m, &s))
			})
		}
		if all.Wait(); len(found) < batch {
			break
		}
	}
	return s.failure(), s.taken.Load()
}

// service is what came of the tries while a destination is served.
type service struct {
	down  atomic.Pointer[error]
	taken atomic.Bool
}

// failure returns why the destination is down, or nil.
func (s *service) failure() error {
	if err := s.down.Load(); err != nil {
		return *err
	}
	return nil
}

// try takes up one message and sends it. Once the destination is down it only gives up
// what is too old.
func (b *Box) try(ctx context.Context, m Message, s *service) error {
	if ctx.Err() != nil || s.failure() != nil && !b.old(m) {
		return nil
	}
	held := m
	held.Tries, held.Holder, held.DueAt = m.Tries+1, uuid.NewString(), b.Now().Add(lease)
	if err := b.Store.ReplaceMessage(ctx, m, held); err != nil {
		return unless(err, ErrChanged)
	}
	kind, known := b.Kinds[m.Kind]
	if !known {
		return nil // of a newer version, which runs beside this one
	}
	cause := errors.New("its destination does not answer")
	if s.failure() == nil {
		cause = b.send(ctx, kind, &held)
	}
	final := errors.Is(cause, ErrFinal)
	switch {
	case cause == nil:
		s.taken.Store(true)
	case !final && !errors.Is(cause, ErrDeferred):
		down := cause
		s.down.CompareAndSwap(nil, &down)
	}
	// What became of it is noted even if the server is to stop.
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), patience)
	defer cancel()
	if cause != nil && (final || b.old(held)) {
		cause = kind.GiveUp(ctx, held, cause)
	}
	if cause == nil {
		return unless(b.Store.RemoveMessage(ctx, held), ErrChanged)
	}
	next := held
	next.DueAt = b.Now().Add(waitAfter(held.Tries))
	return unless(b.Store.ReplaceMessage(ctx, held, next), ErrChanged)
}

func (b *Box) send(ctx context.Context, kind Kind, m *Message) error {
	ctx, cancel := context.WithTimeout(ctx, patience)
	defer cancel()
	return kind.Send(ctx, m)
}

// old reports whether m is given up if it cannot be sent now.
func (b *Box) old(m Message) bool { return m.Tries >= maxTries || b.Now().Sub(m.CreatedAt) > maxAge }

// waitAfter is how long a message waits after so many tries.
func waitAfter(tries int64) time.Duration {
	if tries > 10 {
		return longestWait
	}
	return min(firstWait<<max(tries-1, 0), longestWait)
}

func unless(err, expected error) error {
	if errors.Is(err, expected) {
		return nil
	}
	return err
}
