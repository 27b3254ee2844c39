package passwords

import (
	"context"
	"iter"
	"slices"
	"sync"
	"time"
)

const (
	// announceEvery is how long a process counts on having announced a kind.
	announceEvery = 10 * time.Minute
	// kindGrace is how long after its last announcement a kind may be without
	// an account before it is forgotten. Between an announcement and the
	// account that it was made for lie announceEvery, one write, and what the
	// clocks of two machines differ by.
	kindGrace = time.Hour
)

// KindStore keeps the kinds of password hashes that accounts may have. Every
// method is one atomic operation, durable when it returns nil.
type KindStore interface {
	// AnnounceHashKind adds a kind of password hashes to those that accounts
	// may have (see Hasher.Verify), or notes that it was announced once more,
	// at the later of the two times.
	AnnounceHashKind(ctx context.Context, kind string, at time.Time) error
	// HashKinds returns the kinds announced, in order. It sees every
	// announcement that returned nil before it was called.
	HashKinds(ctx context.Context) ([]string, error)
	// ForgetHashKind removes a kind that was last announced before a time,
	// and otherwise does nothing.
	ForgetHashKind(ctx context.Context, kind string, before time.Time) error
}

// Kinds has a store know which kinds of hashes there are. Safe for concurrent
// use.
type Kinds struct {
	store KindStore

	mu sync.Mutex
	// announced is what this process has announced, by the family of hashes.
	announced map[string]announcement
}

// NewKinds returns Kinds over store.
func NewKinds(store KindStore) *Kinds {
	return &Kinds{store: store, announced: map[string]announcement{}}
}

type announcement struct {
	cost uint64
	at   time.Time
}

// covers reports whether nothing has to be announced for a hash of a cost at now:
// refusals are levelled to the costliest of its family. Some programs choose
// each hash's number of rounds at random (passlib's vary_rounds), and every
// login reads all kinds that were announced.
func (a announcement) covers(cost uint64, now time.Time) bool {
	return a.cost >= cost && now.Sub(a.at).Abs() < announceEvery
}

// Announce has the store know the kind of a hash before an account has it. A
// server that reads the account reads the kinds after it, so that it knows what
// to level its refusals to (U1), whoever brought the kind, and when. It is to be
// called for every hash that is about to be stored; the error is Parse's or the
// store's.
func (k *Kinds) Announce(ctx context.Context, encoded string, now time.Time) error {
	hash, err := Parse(encoded)
	if err != nil {
		return err
	}
	for _, part := range hash.parts() {
		if err := k.announce(ctx, part, now); err != nil {
			return err
		}
	}
	return nil
}

func (k *Kinds) announce(ctx context.Context, part Hash, now time.Time) error {
	kind := part.kind()
	if k.last(kind.family).covers(kind.cost, now) {
		return nil
	}
	if err := k.store.AnnounceHashKind(ctx, part.blank(), now); err != nil {
		return err
	}
	k.mu.Lock()
	defer k.mu.Unlock()
	if !k.announced[kind.family].covers(kind.cost, now) {
		k.announced[kind.family] = announcement{kind.cost, now}
	}
	return nil
}

func (k *Kinds) last(family string) announcement {
	k.mu.Lock()
	defer k.mu.Unlock()
	return k.announced[family]
}

// Survey makes the store's list of kinds what it should be, given the hashes of
// all accounts: of each family the costliest that an account has is added, if an
// earlier version made it, and all others go, so that refusals no longer cost
// what they did. began is a time before the first account was read. The error is
// the store's or one of hashes', and nothing was forgotten then.
func (k *Kinds) Survey(ctx context.Context, hashes iter.Seq2[string, error], began time.Time) error {
	known, err := k.store.HashKinds(ctx)
	if err != nil {
		return err
	}
	costliest := map[string]Hash{}
	for encoded, err := range hashes {
		if err != nil {
			return err
		}
		hash, err := Parse(encoded)
		if err != nil {
			continue
		}
		hash.keepCostliest(costliest)
	}
	needed := map[string]bool{}
	for _, hash := range costliest {
		needed[hash.blank()] = true
		if slices.Contains(known, hash.blank()) {
			continue
		}
		if err := k.store.AnnounceHashKind(ctx, hash.blank(), began); err != nil {
			return err
		}
	}
	for _, kind := range known {
		if needed[kind] {
			continue
		}
		if err := k.store.ForgetHashKind(ctx, kind, began.Add(-kindGrace)); err != nil {
			return err
		}
	}
	return ctx.Err()
}
