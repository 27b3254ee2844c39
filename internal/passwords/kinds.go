package passwords

import (
	"context"
	"iter"
	"slices"
	"sync"
	"time"
)

const (
	// announceEvery is how long an announcement of this process counts.
	announceEvery = 10 * time.Minute
	// kindGrace is how long a kind without an account is kept after its last
	// announcement. It covers announceEvery, the write of the account, and the
	// clock difference of two machines.
	kindGrace = time.Hour
)

// KindStore keeps the kinds of password hashes that accounts may have. Every
// method is one atomic operation, durable when it returns nil.
type KindStore interface {
	// AnnounceHashKind adds a kind of password hashes that accounts may have (see
	// Hasher.Verify). If the kind is there, it records at, if later, as the time
	// of its last announcement.
	AnnounceHashKind(ctx context.Context, kind string, at time.Time) error
	// HashKinds returns the announced kinds, sorted. It sees every announcement
	// that returned nil before the call.
	HashKinds(ctx context.Context) ([]string, error)
	// ForgetHashKind removes the kind if it was last announced before a time, and
	// otherwise does nothing.
	ForgetHashKind(ctx context.Context, kind string, before time.Time) error
}

// Kinds keeps the store's list of the kinds of hashes. It is safe for concurrent
// use.
type Kinds struct {
	store KindStore

	mu sync.Mutex
	// announced holds the announcements of this process by family of hashes.
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

// covers reports whether a hash of a cost needs no announcement at now, because
// refusals are levelled to the costliest hash of its family. Some programs choose
// each hash's number of rounds at random (passlib's vary_rounds), and every login
// reads all announced kinds.
func (a announcement) covers(cost uint64, now time.Time) bool {
	return a.cost >= cost && now.Sub(a.at).Abs() < announceEvery
}

// Announce adds the kind of a hash to the store before an account gets the hash.
// A server reads the kinds after the account, so that it knows what to level its
// refusals to (U1), whichever replica added the kind. Call Announce for every
// hash before storing it. The error is from Parse or the store.
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

// Survey corrects the store's list of kinds, given the hashes of all accounts. It
// adds the costliest kind of each family if it is missing, as an earlier version
// may have left it, and removes all others, so that refusals do not cost more
// than needed. began must be before the first account was read. The error is from
// the store or from hashes; an error of hashes means that nothing was removed.
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
