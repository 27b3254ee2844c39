package users

import (
	"context"
	"errors"
	"fmt"
	"runtime"
	"sync/atomic"
	"time"
)

const (
	// waitersPerSlot and patience bound the queue before the slots: past
	// either, the server says at once that it is busy instead of answering
	// everybody late (U2).
	waitersPerSlot = 64
	patience       = 2 * time.Second
	// maxConcurrency keeps the memory of all slots within reason.
	maxConcurrency = 1024
)

// Hasher hashes and verifies passwords, so many at a time and no more: each
// computation takes Params.MemoryKiB and a core. Safe for concurrent use.
//
// It also makes the refusals of an account look alike (U1). Every refusal
// costs one argon2id computation at the current parameters: of the stored hash
// if that is what it is, otherwise of a decoy, on top of whatever an imported
// or outdated hash costs. Since that extra cannot be taken away, it is given to
// everybody: see pace.
type Hasher struct {
	params  Params
	current string
	decoy   argon2Hash
	slots   chan struct{}
	full    chan struct{}
	pace    pace

	waiting  atomic.Int64
	computed atomic.Int64
	refused  atomic.Int64
}

// HasherStats is what a Hasher is doing and has done.
type HasherStats struct {
	// InFlight computations hold a slot, Waiting callers wait for one.
	InFlight, Waiting int64
	// Computed counts hash computations, decoys included; Refused the
	// callers that were told Busy.
	Computed, Refused int64
	// Floor is how long a refusal takes at least, so that all take equally
	// long; zero while no imported or outdated hash is known.
	Floor time.Duration
}

// NewHasher returns a Hasher that makes hashes at p and runs at most
// concurrency computations at once; zero means one for each core in use.
func NewHasher(p Params, concurrency int) (*Hasher, error) {
	if err := p.Check(); err != nil {
		return nil, err
	}
	if concurrency == 0 {
		concurrency = runtime.GOMAXPROCS(0)
	}
	if concurrency < 1 || concurrency > maxConcurrency {
		return nil, fmt.Errorf("hash concurrency of %d: 1 to %d are accepted, or 0 for one per core", concurrency, maxConcurrency)
	}
	decoy := argon2Hash{params: p, salt: make([]byte, ownSaltBytes), digest: make([]byte, ownHashBytes)}
	return &Hasher{
		params:  p,
		current: decoy.class(),
		decoy:   decoy,
		slots:   make(chan struct{}, concurrency),
		full:    make(chan struct{}, 1),
	}, nil
}

// Hash returns the PHC string of password, normalised, under a fresh salt.
// The error is a *PolicyError, *Busy or ctx's.
func (h *Hasher) Hash(ctx context.Context, password string) (string, error) {
	normal, err := Normalize(password)
	if err != nil {
		return "", err
	}
	if err := h.acquire(ctx); err != nil {
		return "", err
	}
	defer h.release()
	h.computed.Add(1)
	return hashArgon2id(h.params, normal).encode(), nil
}

// Verify reports whether password has the hash encoded. live says whether a
// match would be let in; a match that would not (a disabled account) takes as
// long as a mismatch. An encoded hash that cannot be read matches nothing. The
// error is *Busy or ctx's, and then nothing was decided.
func (h *Hasher) Verify(ctx context.Context, encoded, password string, live bool) (bool, error) {
	if err := h.acquire(ctx); err != nil {
		return false, err
	}
	begin := time.Now()
	matched := h.judge(encoded, password, live)
	h.release()
	if matched && live {
		return true, nil
	}
	h.pace.hold(ctx, begin)
	return matched, nil
}

// Dummy spends what refusing a password costs, for an account that does not
// exist (U1). The errors are Verify's.
func (h *Hasher) Dummy(ctx context.Context, password string) error {
	_, err := h.Verify(ctx, "", password, false)
	return err
}

// Outdated reports whether encoded should be replaced by a hash of the same
// password at the current parameters.
func (h *Hasher) Outdated(encoded string) bool {
	hash, err := ParseHash(encoded)
	return err == nil && hash.class() != h.current
}

// measure learns what a refusal under the hash encoded costs, if it is not of
// the current parameters. It waits for its turn as a login does, and passes
// over one that nobody could wait for.
func (h *Hasher) measure(ctx context.Context, encoded string) {
	if h.acquire(ctx) != nil {
		return
	}
	defer h.release()
	h.judge(encoded, "a password that nobody has", false)
}

// Full receives when a computation takes the last slot, and again while that
// goes on. Signs that nobody waits for are one.
func (h *Hasher) Full() <-chan struct{} { return h.full }

// Stats returns what the Hasher is doing now and has done so far.
func (h *Hasher) Stats() HasherStats {
	return HasherStats{
		InFlight: int64(len(h.slots)),
		Waiting:  h.waiting.Load(),
		Computed: h.computed.Load(),
		Refused:  h.refused.Load(),
		Floor:    h.pace.floor(),
	}
}

// judge runs the computations of one verification, holding a slot.
func (h *Hasher) judge(encoded, password string, live bool) bool {
	begin := time.Now()
	normal, notAPassword := Normalize(password)
	hash, err := ParseHash(encoded)
	matched := false
	if err == nil {
		matched = h.compute(hash, normal) && notAPassword == nil
	}
	if err == nil && hash.class() == h.current || matched && live {
		return matched
	}
	h.compute(h.decoy, normal)
	if err == nil {
		h.pace.learn(hash.class(), time.Since(begin))
	}
	return matched
}

func (h *Hasher) compute(s scheme, password string) bool {
	h.computed.Add(1)
	return s.matches(password)
}

func (h *Hasher) acquire(ctx context.Context) error {
	select {
	case h.slots <- struct{}{}:
		h.notice()
		return nil
	default:
	}
	if h.waiting.Add(1) > int64(waitersPerSlot*cap(h.slots)) {
		h.waiting.Add(-1)
		return h.busy()
	}
	defer h.waiting.Add(-1)
	ctx, cancel := context.WithTimeoutCause(ctx, patience, errImpatient)
	defer cancel()
	select {
	case h.slots <- struct{}{}:
		h.notice()
		return nil
	case <-ctx.Done():
		if errors.Is(context.Cause(ctx), errImpatient) {
			return h.busy()
		}
		return fmt.Errorf("wait for a turn to hash a password: %w", context.Cause(ctx))
	}
}

// notice tells Full if the slot just taken was the last one.
func (h *Hasher) notice() {
	if len(h.slots) < cap(h.slots) {
		return
	}
	select {
	case h.full <- struct{}{}:
	default:
	}
}

var errImpatient = errors.New("waited long enough")

func (h *Hasher) busy() error {
	h.refused.Add(1)
	return &Busy{RetryAfter: patience}
}

func (h *Hasher) release() { <-h.slots }
