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

// Options are the dependencies of a Keeper. All but Elapsed, Confirmed and
// OnError are required.
type Options struct {
	Store  Store
	Vault  Vault
	Policy Policy
	Audit  audit.Recorder
	// Now is the clock.
	Now func() time.Time
	// Elapsed returns the time since some fixed moment, by a clock that never
	// jumps. If nil, the monotonic part of Now's readings is used, as time.Now
	// has it.
	Elapsed func() time.Duration
	// Confirmed returns a time that a wrong clock cannot advance: keys are not
	// erased or archived before it confirms that their time has come (T1). If
	// nil, Now is trusted.
	Confirmed func() time.Time
	// OnError is called with failures in the background: a key that cannot be
	// used (once per key), a poll that failed. The errors name keys, never their
	// content. OnError must not call the Keeper. If nil, failures are dropped.
	OnError func(error)
}

// Keeper keeps the ring of one replica up to date with the store. It also makes
// the changes to the store that are due: it creates keys, erases private halves
// and archives expired keys. Every replica does so; none is elected (K5). A
// Keeper is safe for concurrent use.
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

	// mu serializes reading and writing the keys in this process. It is held
	// during calls to the store.
	mu   sync.Mutex
	book book
	// absent holds, by kid, the last time at which the store was read without a
	// key of another replica, if that is later than the key's record claims.
	absent map[string]time.Time

	// turnMu guards two maps by ring: announced holds the kid whose activation
	// was last recorded, signedWith the kid that this replica last signed with.
	turnMu                           sync.Mutex
	announced, signedWith            map[int]string
	turns, emergencies, pollFailures atomic.Uint64
	// warned holds when each warning was last given to OnError. Only Run uses it.
	warned   map[string]time.Duration
	filled   chan struct{}
	lastRead atomic.Pointer[book]
}

// book is what was read from the store, with the keys opened. Its slices and maps
// are shared with the ring and are never changed in place.
type book struct {
	records  []Record
	material *material
	// readAt is when the read began, by the wall clock; elapsed is the same
	// moment by the clock that never jumps.
	readAt  time.Time
	elapsed time.Duration
}

// NewKeeper returns a Keeper with an empty ring; Poll fills it. The error names
// the missing option or the fault of the policy.
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

// toMilli returns t in UTC and truncated to milliseconds, as stores keep it.
func toMilli(t time.Time) time.Time { return t.UTC().Truncate(time.Millisecond) }

// Poll reads the keys once, makes the changes that are due with their events, and
// fills the ring. It writes nothing if nothing is due, and opens no key if
// nothing changed.
//
// If the store can be read but not written, Poll still fills the ring, so that a
// revocation takes effect. If there are keys but none can be opened, the master
// keys are the wrong ones: the error names a key and the missing master key, and
// Poll writes nothing. A server whose first Poll returns an error must not start.
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

// ViewAge returns how long ago the store was last read, independent of clock
// jumps. It returns false if it was never read.
func (k *Keeper) ViewAge() (time.Duration, bool) {
	if b := k.lastRead.Load(); b != nil {
		return k.elapsed() - b.elapsed, true
	}
	return 0, false
}

// Fresh reports whether the store was read at most three polls and the clock skew
// ago. A replica that is not fresh may have missed a revocation and should get no
// requests.
func (k *Keeper) Fresh() bool {
	age, ever := k.ViewAge()
	return ever && age <= 3*k.policy.Poll+k.policy.Skew
}

// read reads the records and opens the keys that it has not seen before. Keys
// that cannot be used are reported and do not sign.
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
			err = fmt.Errorf("%w: key %.64q: %w", ErrNoneUsable, r.KID, b.material.unusable[r.KID])
		}
	}
	return err
}
