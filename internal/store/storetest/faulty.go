package storetest

import (
	"context"
	"errors"
	"sync"

	"github.com/keyturn/keyturn/internal/store"
)

// Fault is how one call of a store goes wrong.
type Fault int

// The faults. What the caller of a store is told says nothing of whether the
// write was done: it must be right whichever it was.
const (
	// None lets the call through.
	None Fault = iota
	// Fails returns ErrFault; the store was not asked.
	Fails
	// Persists carries the call out and returns ErrFault all the same, as a
	// connection does that breaks before the answer.
	Persists
	// Hangs does nothing until the context of the call ends.
	Hangs
	// HangsAfter carries the call out, and then does nothing until the
	// context of the call ends.
	HangsAfter
)

// Faults are all but None.
var Faults = []Fault{Fails, Persists, Hangs, HangsAfter}

func (f Fault) String() string {
	return [...]string{"none", "failed", "failed but persisted", "hangs", "hangs but persisted"}[f]
}

// Persistent reports whether a write that goes wrong so was done.
func (f Fault) Persistent() bool { return f == Persists || f == HangsAfter }

// Answers reports whether who calls is told anything before the context ends.
func (f Fault) Answers() bool { return f != Hangs && f != HangsAfter }

// ErrFault is what a store answers that was told to fail.
var ErrFault = errors.New("the store failed, as it was told to")

// Faulty is a store that goes wrong when it is told to, method by method. It
// keeps every promise of the store behind it but to answer. Safe for
// concurrent use.
type Faulty struct {
	inner store.Store

	mu    sync.Mutex
	fault func(method string) Fault
	asked []string
}

var _ store.Store = (*Faulty)(nil)

// NewFaulty returns a store that passes everything on to inner, until Inject.
func NewFaulty(inner store.Store) *Faulty { return &Faulty{inner: inner} }

// Inject has choose decide how each call from now on goes wrong. It is told the
// name of the method and called for one call at a time; nil heals the store.
func (f *Faulty) Inject(choose func(method string) Fault) {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.fault, f.asked = choose, nil
}

// Asked returns the names of the methods called since the last Inject.
func (f *Faulty) Asked() []string {
	f.mu.Lock()
	defer f.mu.Unlock()
	return append([]string(nil), f.asked...)
}

func (f *Faulty) choose(method string) Fault {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.asked = append(f.asked, method)
	if f.fault == nil {
		return None
	}
	return f.fault(method)
}

// inject makes one call as the test wants it.
func inject[T any](ctx context.Context, f *Faulty, method string, call func() (T, error)) (T, error) {
	var none T
	fault := f.choose(method)
	if fault == None {
		return call()
	}
	if fault.Persistent() {
		// What the store says of it is lost like the answer.
		_, _ = call()
	}
	if !fault.Answers() {
		<-ctx.Done()
		return none, ctx.Err()
	}
	return none, ErrFault
}

func (f *Faulty) write(ctx context.Context, method string, call func() error) error {
	_, err := inject(ctx, f, method, func() (struct{}, error) { return struct{}{}, call() })
	return err
}

// Close closes the store behind it, without any fault.
func (f *Faulty) Close() error { return f.inner.Close() }

// Unwrap returns the store behind it, which fails on nobody's behalf.
func (f *Faulty) Unwrap() store.Store { return f.inner }
