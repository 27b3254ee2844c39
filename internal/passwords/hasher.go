package passwords

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"runtime"
	"sync"
	"sync/atomic"
	"time"

	"golang.org/x/sync/semaphore"

	"github.com/keyturn/keyturn/internal/audit"
	"github.com/keyturn/keyturn/internal/refusal"
)

const (
	// waitersPerSlot and patience bound the queue before the slots: past
	// either, the server says at once that it is busy instead of answering
	// everybody late (U2).
	waitersPerSlot = 64
	patience       = 2 * time.Second
	// MaxConcurrency keeps the memory of all slots within reason.
	MaxConcurrency = 1024
)

// Hasher hashes and verifies passwords, so many at a time and no more: each
// computation takes Params.MemoryKiB and a core. Safe for concurrent use. The
// zero Hasher computes nothing and is always busy.
//
// It also makes the refusals of an account look alike (U1). Every refusal runs
// the same computations in the same order, whatever hash the account has or if
// there is none: see levels. None is left out and none is waited for instead,
// so that refusals also take the same place in the queue, and the same of the
// processor.
//
// An imported hash may need more memory than Params say. Whatever computes has
// its memory counted: all together never take more than Params.MemoryKiB for
// each slot, or one such hash alone what it needs (U2).
type Hasher struct {
	params Params
	own    Hash          // of nothing, at params
	pepper string        // "" for none
	slots  chan computer // the free ones
	budget int64         // KiB, which memory gives out
	memory *semaphore.Weighted

	mu   sync.Mutex
	work map[string]uint64

	waiting  atomic.Int64
	computed atomic.Int64
	refused  atomic.Int64
}

// Stats is what a Hasher is doing and has done.
type Stats struct {
	// InFlight computations hold a slot, Waiting callers wait for one.
	InFlight, Waiting int64
	// Computed counts hash computations, decoys included; Refused the
	// callers that were refused (Busy).
	Computed, Refused int64
	// Work is what was spent in each family of hashes, in rounds or, where
	// each cost is a family for itself, in computations.
	Work map[string]uint64
}

// NewHasher returns a Hasher that makes hashes at p and runs at most
// concurrency computations at once; zero means one for each core in use. It
// computes in this process: a server has it start workers.
func NewHasher(p Params, concurrency int) (*Hasher, error) {
	if err := p.Check(); err != nil {
		return nil, err
	}
	if concurrency == 0 {
		concurrency = runtime.GOMAXPROCS(0)
	}
	if concurrency < 1 || concurrency > MaxConcurrency {
		return nil, fmt.Errorf("hash concurrency of %d: 1 to %d are accepted, or 0 for one per core", concurrency, MaxConcurrency)
	}
	budget := int64(p.MemoryKiB) * int64(concurrency)
	slots := make(chan computer, concurrency)
	for range concurrency {
		slots <- here{}
	}
	return &Hasher{
		params: p,
		own:    Hash{argon2Hash{params: p, salt: make([]byte, ownSaltBytes), digest: make([]byte, ownHashBytes)}},
		slots:  slots,
		budget: budget,
		memory: semaphore.NewWeighted(budget),
		work:   map[string]uint64{},
	}, nil
}

// StartWorkers has the Hasher compute in processes of their own, one for each slot
// (see Work). onEnd is told of each that ends or cannot be started again; until
// then the slot's computations are refused (Busy). To be called before any other
// method. The error says why not all could be started.
func (h *Hasher) StartWorkers(onEnd func(error)) error {
	for range cap(h.slots) {
		w := &worker{lanes: h.params.Threads, onEnd: onEnd}
		if err := w.start(); err != nil {
			return fmt.Errorf("hash passwords in a process of its own: %w", err)
		}
		<-h.slots
		h.slots <- w
	}
	return nil
}

// Hash returns the PHC string of password, normalised, under a fresh salt.
// The error is Normalize's, a refusal (Busy) or ctx's.
func (h *Hasher) Hash(ctx context.Context, password string) (string, error) {
	normal, err := Normalize(password)
	if err != nil {
		return "", err
	}
	return h.make(ctx, normal)
}

func (h *Hasher) make(ctx context.Context, text string) (string, error) {
	slot, err := h.acquire(ctx)
	if err != nil {
		return "", err
	}
	defer h.release(slot)
	r, err := h.compute(slot, h.own, h.own.kind(), job{Password: []byte(text), Make: h.params})
	return r.Made, err
}

// Verdict is what a verification found. The zero Verdict is no match.
type Verdict struct {
	Match bool
	// Renew says that the hash should be replaced by one that Hash makes of the
	// same password: it is not of the current parameters, or it is that of the
	// password as it was typed and not as Normalize makes it.
	Renew bool
}

// Verify finds out whether password has the hash encoded. live says whether a
// match would be let in; a match that would not (a disabled account) takes as
// long as a mismatch. kinds are those of all hashes that there are, as
// KindStore.HashKinds returned them after the account was read. An encoded hash that
// cannot be read matches nothing. The error is a refusal (Busy) or ctx's, and then nothing
// was decided.
func (h *Hasher) Verify(ctx context.Context, encoded, password string, live bool, kinds []string) (Verdict, error) {
	slot, err := h.acquire(ctx)
	if err != nil {
		return Verdict{}, err
	}
	defer h.release(slot)
	return h.judge(slot, encoded, password, live, h.levels(kinds))
}

// Dummy spends what refusing a password costs, for an account that does not
// exist (U1). The errors are Verify's.
func (h *Hasher) Dummy(ctx context.Context, password string, kinds []string) error {
	_, err := h.Verify(ctx, "", password, false, kinds)
	return err
}

// isOwn reports whether hash is one that Hash makes.
func (h *Hasher) isOwn(hash Hash) bool {
	_, plain := hash.scheme.(argon2Hash)
	return plain && hash.kind() == h.own.kind()
}

// Stats returns what the Hasher is doing now and has done so far.
func (h *Hasher) Stats() Stats {
	h.mu.Lock()
	work := maps.Clone(h.work)
	h.mu.Unlock()
	return Stats{
		InFlight: int64(cap(h.slots) - len(h.slots)),
		Waiting:  h.waiting.Load(),
		Computed: h.computed.Load(),
		Refused:  h.refused.Load(),
		Work:     work,
	}
}

// compute has a job done that is like verifying a hash; main is what it costs in
// the hash's own family. The error is a refusal (Busy): whatever computed in the
// slot has failed, and failed again.
func (h *Hasher) compute(slot computer, like Hash, main kind, j job) (r result, err error) {
	h.computed.Add(1)
	h.mu.Lock()
	h.work[main.family] += main.cost
	for _, part := range like.parts()[1:] {
		k := part.kind()
		h.work[k.family] += k.cost
	}
	h.mu.Unlock()
	j.Large = like.memoryKiB() > h.params.MemoryKiB
	h.withMemory(like, func() { r, err = slot.do(j) })
	if err != nil {
		return result{}, h.busy()
	}
	return r, nil
}

// withMemory does something that needs as much memory as like, once there is as
// much.
func (h *Hasher) withMemory(like Hash, do func()) {
	needed := like.memoryKiB()
	if needed == 0 {
		do()
		return
	}
	share := min(int64(needed), h.budget)
	// It is given sooner or later, and nothing else ends the wait.
	_ = h.memory.Acquire(context.Background(), share)
	defer h.memory.Release(share)
	do()
}

func (h *Hasher) acquire(ctx context.Context) (computer, error) {
	select {
	case slot := <-h.slots:
		return slot, nil
	default:
	}
	if h.waiting.Add(1) > h.queue() {
		h.waiting.Add(-1)
		return nil, h.busy()
	}
	defer h.waiting.Add(-1)
	ctx, cancel := context.WithTimeoutCause(ctx, patience, errImpatient)
	defer cancel()
	select {
	case slot := <-h.slots:
		return slot, nil
	case <-ctx.Done():
		if errors.Is(context.Cause(ctx), errImpatient) {
			return nil, h.busy()
		}
		return nil, fmt.Errorf("wait for a turn to hash a password: %w", context.Cause(ctx))
	}
}

// queue is how many callers may wait.
func (h *Hasher) queue() int64 { return int64(waitersPerSlot * cap(h.slots)) }

// Crowded returns the refusal (Busy) that a computation begun now would be refused with,
// or nil if it might be let in. Who asks first spares a busy server what comes
// before the computation.
func (h *Hasher) Crowded() error {
	if h.waiting.Load() < h.queue() {
		return nil
	}
	return h.busy()
}

var errImpatient = errors.New("waited long enough")

// busy refuses a computation: as many are under way as may be, and as many wait
// as may wait (U2). Nothing was decided.
func (h *Hasher) busy() error {
	h.refused.Add(1)
	return &refusal.Error{Code: refusal.Busy, Reason: audit.ReasonBusy, RetryAfter: patience}
}

func (h *Hasher) release(slot computer) { h.slots <- slot }
