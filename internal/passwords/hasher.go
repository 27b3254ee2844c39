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
	// waitersPerSlot and patience bound the queue for the slots. Beyond either bound
	// the server refuses at once as busy, instead of answering everybody late (U2).
	waitersPerSlot = 64
	patience       = 2 * time.Second
	// MaxConcurrency bounds the memory of all slots together.
	MaxConcurrency = 1024
)

// Hasher hashes and verifies passwords, a bounded number at a time: each computation
// takes Params.MemoryKiB and a core. It is safe for concurrent use. The zero Hasher
// refuses everything as busy.
//
// A Hasher makes all refusals alike (U1). Every refusal runs the same computations in
// the same order, whatever hash the account has, or if it has none (see levels). It
// skips none and replaces none by a wait, so that all refusals take the same place in
// the queue and the same processor time.
//
// An imported hash may need more memory than Params say. The Hasher counts the memory
// of every computation: all together never take more than Params.MemoryKiB for each
// slot, or a single larger hash what it needs alone (U2).
type Hasher struct {
	params Params
	own    Hash          // a blank hash at params
	pepper string        // "" for none
	slots  chan computer // the free ones
	budget int64         // KiB that memory hands out
	memory *semaphore.Weighted

	mu   sync.Mutex
	work map[string]uint64

	waiting  atomic.Int64
	computed atomic.Int64
	refused  atomic.Int64
}

// Stats are the present and past computations of a Hasher.
type Stats struct {
	// InFlight counts the computations that hold a slot, Waiting the callers that wait
	// for one.
	InFlight, Waiting int64
	// Computed counts hash computations, decoys included. Refused counts the callers
	// refused as Busy.
	Computed, Refused int64
	// Work is the work done by family of hashes, in rounds, or in computations if each
	// cost is a family of its own.
	Work map[string]uint64
}

// NewHasher returns a Hasher that makes hashes at p and runs at most concurrency
// computations at once; zero means runtime.GOMAXPROCS. It computes in this process;
// servers call StartWorkers.
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

// StartWorkers makes the Hasher compute in separate processes, one for each slot (see
// Work). It calls onEnd for each worker that ends or cannot be restarted; computations
// in its slot are refused as Busy while it cannot be. StartWorkers must be called
// before any other method. It returns an error if not all workers could be started.
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

// Hash returns the PHC string of password, normalised, with a new salt. The error is
// from Normalize or ctx, or a refusal (Busy).
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

// Verdict is the result of a verification. The zero Verdict is no match.
type Verdict struct {
	Match bool
	// Renew says that the hash should be replaced by a new Hash of the same password:
	// it has other parameters than the current ones, or it is of the password as typed
	// and not as Normalize returns it.
	Renew bool
}

// Verify checks whether password has the hash encoded. live says whether a match would
// be accepted; otherwise (a disabled account) a match takes as long as a mismatch.
// kinds are the kinds of all hashes, as KindStore.HashKinds returned them after the
// account was read. An unreadable encoded hash matches nothing. The error is a refusal
// (Busy) or from ctx; then nothing was decided.
func (h *Hasher) Verify(ctx context.Context, encoded, password string, live bool, kinds []string) (Verdict, error) {
	slot, err := h.acquire(ctx)
	if err != nil {
		return Verdict{}, err
	}
	defer h.release(slot)
	return h.judge(slot, encoded, password, live, h.levels(kinds))
}

// Dummy does the work of refusing a password, for an account that does not exist (U1).
// Its errors are those of Verify.
func (h *Hasher) Dummy(ctx context.Context, password string, kinds []string) error {
	_, err := h.Verify(ctx, "", password, false, kinds)
	return err
}

// isOwn reports whether Hash makes such hashes now.
func (h *Hasher) isOwn(hash Hash) bool {
	_, plain := hash.scheme.(argon2Hash)
	return plain && hash.kind() == h.own.kind()
}

// Stats returns the present and past computations of the Hasher.
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

// compute runs a job that costs as much as verifying the hash like; main is its cost in
// that hash's own family. The error is a refusal (Busy): the computer of the slot
// failed twice.
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

// withMemory calls do once the memory that like needs is free.
func (h *Hasher) withMemory(like Hash, do func()) {
	needed := like.memoryKiB()
	if needed == 0 {
		do()
		return
	}
	share := min(int64(needed), h.budget)
	// Memory becomes free eventually, so the wait needs no other end.
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

// queue returns how many callers may wait.
func (h *Hasher) queue() int64 { return int64(waitersPerSlot * cap(h.slots)) }

// Crowded returns the refusal (Busy) of a computation that began now, or nil if it
// might be accepted. A busy server asks first to save the work before the computation.
func (h *Hasher) Crowded() error {
	if h.waiting.Load() < h.queue() {
		return nil
	}
	return h.busy()
}

var errImpatient = errors.New("waited long enough")

// busy returns a refusal because all slots are taken and the queue is full (U2).
// Nothing was decided.
func (h *Hasher) busy() error {
	h.refused.Add(1)
	return &refusal.Error{Code: refusal.Busy, Reason: audit.ReasonBusy, RetryAfter: patience}
}

func (h *Hasher) release(slot computer) { h.slots <- slot }
