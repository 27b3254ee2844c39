package keys

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"sync"
	"sync/atomic"
	"time"

	"github.com/keyturn/keyturn/internal/audit"
)

// Options are what a Keeper works with. All but Elapsed, Confirmed and
// OnError are needed.
type Options struct {
	Store  Store
	Vault  Vault
	Policy Policy
	Audit  audit.Recorder
	// Now is the clock.
	Now func() time.Time
	// Elapsed is how much time has passed since some moment, by a clock that
	// never jumps. Nil means that Now's readings tell that by their monotonic
	// part, as those of time.Now do.
	Elapsed func() time.Duration
	// Confirmed is the time that no wrong clock can tell: what it does not
	// confirm is not erased or archived (T1). Nil means that Now is right.
	Confirmed func() time.Time
	// OnError is told of what went wrong in the background: a key that
	// cannot be used (once per key), a poll that failed. The errors name
	// keys, never their content. It must not call the Keeper. Nil means that
	// nobody wants to know.
	OnError func(error)
}

// Keeper keeps the ring of one replica in step with the store, and does for the
// store what time makes due: it makes keys, erases private halves and archives
// what has expired. Every replica does so; none is elected (K5). Safe for
// concurrent use.
type Keeper struct {
	store   Store
	vault   Vault
	policy  Policy
	audit   audit.Recorder
	now     func() time.Time
	elapsed func() time.Duration
	onError func(error)
	// confirmed is Options.Confirmed.
	confirmed func() time.Time
	ring      *Ring

	// mu lets one read-and-write of the keys at a time happen in this
	// process; it is held during calls to the store.
	mu   sync.Mutex
	book book
	// absent holds, for keys that other replicas wrote, when the store was
	// last read without them, where that was later than they say.
	absent map[string]time.Time

	// turnMu guards, by ring, announced, the kid whose activation was last
	// recorded, and signedWith, the one that this replica last signed with.
	turnMu                           sync.Mutex
	announced, signedWith            map[int]string
	turns, emergencies, pollFailures atomic.Uint64
	// warned holds when each warning was last given to OnError; Run's alone.
	warned   map[string]time.Duration
	filled   chan struct{}
	lastRead atomic.Pointer[book]
}

// book is what was read from the store, with the keys opened. Its slices and
// maps are shared with the ring and never changed in place.
type book struct {
	records  []Record
	material *material
	// readAt is when the reading began, by the clock; elapsed is the same by
	// the clock that never jumps.
	readAt  time.Time
	elapsed time.Duration
}

// NewKeeper returns a Keeper with an empty ring; Poll fills it. The error says
// which option is missing or why the policy cannot be kept.
func NewKeeper(o Options) (*Keeper, error) {
	if o.Store == nil || o.Vault == nil || o.Audit == nil || o.Now == nil {
		return nil, errors.New("keys: a keeper needs a store, a vault, an audit recorder and a clock")
	}
	if err := o.Policy.Validate(); err != nil {
		return nil, err
	}
	if o.OnError == nil {
		o.OnError = func(error) {}
	}
	if o.Elapsed == nil {
		origin := o.Now()
		o.Elapsed = func() time.Duration { return o.Now().Sub(origin) }
	}
	if o.Confirmed == nil {
		o.Confirmed = o.Now
	}
	return &Keeper{
		confirmed: o.Confirmed,
		store:     o.Store, vault: o.Vault, policy: o.Policy, audit: o.Audit, now: o.Now, elapsed: o.Elapsed, onError: o.OnError,
		ring:   &Ring{now: o.Now, elapsed: o.Elapsed, policy: o.Policy, vault: o.Vault},
		absent: make(map[string]time.Time), announced: make(map[int]string), signedWith: make(map[int]string),
		book:   book{material: &material{}},
		filled: make(chan struct{}, 1),
	}, nil
}

// Ring returns the ring that the Keeper fills. It is always the same one.
func (k *Keeper) Ring() *Ring { return k.ring }

func (k *Keeper) clock() time.Time { return toMilli(k.now()) }

// toMilli is t as stores keep it: UTC, in whole milliseconds.
func toMilli(t time.Time) time.Time { return t.UTC().Truncate(time.Millisecond) }

// Poll reads the keys once, does what is due, records it and fills the ring. If
// nothing is due it writes nothing; if nothing changed it opens nothing.
//
// A store that can be read but not written to still fills the ring: a
// revocation arrives whatever else fails. If there are keys but none can be
// opened, the master keys are the wrong ones: the error names a key and the
// master key that is missing, and the store is left alone. A server that gets
// any error from its first Poll must not start.
func (k *Keeper) Poll(ctx context.Context) error {
	k.mu.Lock()
	defer k.mu.Unlock()
	b, err := k.read(ctx)
	if err != nil {
		return err
	}
	unusable := b.check()
	var owed, performed error
	if unusable == nil {
		owed = k.settle(ctx, b)
		b, performed = k.perform(ctx, b)
		k.book = b
	}
	k.ring.fill(b, k.clock())
	k.lastRead.Store(&b)
	select {
	case k.filled <- struct{}{}:
	default:
	}
	if unusable != nil {
		return unusable
	}
	return errors.Join(owed, performed, k.announce(ctx))
}

// ViewAge returns how long ago the store was last read, whatever the clock has
// done since; false if it never was.
func (k *Keeper) ViewAge() (time.Duration, bool) {
	if b := k.lastRead.Load(); b != nil {
		return k.elapsed() - b.elapsed, true
	}
	return 0, false
}

// Fresh reports whether the ring is as young as it should be: read at most three
// polls and the clock skew ago. A replica that is not fresh may not have heard of
// a revocation and should get no requests.
func (k *Keeper) Fresh() bool {
	age, ever := k.ViewAge()
	return ever && age <= 3*k.policy.Poll+k.policy.Skew
}

// read reads the records and opens what it has not seen before. Keys that
// cannot be used are reported and left out of what can sign.
func (k *Keeper) read(ctx context.Context) (book, error) {
	b := book{readAt: k.clock(), elapsed: k.elapsed()}
	records, err := k.store.Keys(ctx)
	if err != nil {
		return book{}, fmt.Errorf("reading the signing keys: %w", err)
	}
	if len(k.book.records) > 0 && slices.EqualFunc(records, k.book.records, sameRecord) {
		k.book.readAt, k.book.elapsed = b.readAt, b.elapsed
		return k.book, nil
	}
	b.records = records
	b.material = k.open(ctx, records, k.book.material)
	k.noteAbsence(k.book, b)
	k.book = b
	return b, nil
}

func sameRecord(a, b Record) bool { return a.KID == b.KID && a.Version == b.Version }

// check returns an error if the main ring has keys that should sign but none that
// can.
func (b book) check() error {
	var err error
	for i := range b.records {
		r := &b.records[i]
		switch {
		case r.Beside():
		case b.material.signers[r.KID] != nil:
			return nil
		case err == nil && len(r.Sealed) > 0 && !r.revoked():
			err = fmt.Errorf("no signing key can be used: key %.64q: %w", r.KID, b.material.unusable[r.KID])
		}
	}
	return err
}
