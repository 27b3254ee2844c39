// Package throttle slows the guessing of passwords, per account and per network,
// on all replicas together.
package throttle

import (
	"context"
	"fmt"
	"time"

	"github.com/keyturn/keyturn/internal/audit"
	"github.com/keyturn/keyturn/internal/refusal"
)

// Throttle slows the guessing of passwords, on all replicas together (U4).
//
// Failures are counted in three dimensions: the pair of account and network, the
// account from wherever, and the network for whatever account. Each dimension has
// some failures free; after that, one attempt is judged per delay, and the
// delay doubles with every further failure up to the dimension's cap:
//
//	dimension free failures      first delay   cap
//	pair        5 in 24 hours    1 s           15 min
//	account    50 in 24 hours    1 s           30 s
//	network   100 in an hour     1 s           60 s
//
// A network from which the account has logged in within the last 30 days (up
// to 60) is known to it, and only the pair counts there. So an attacker
// elsewhere can slow nobody down who logs in from where they usually do, and
// somebody on a new network only for as long as the attack lasts, with a turn
// every 30 seconds at the latest.
//
// An attempt is charged before its password is looked at, so that guesses sent
// at once are counted like guesses sent one by one; a success takes the charge
// back and clears the pair. Addresses without an account are counted alike. An
// attempt that is refused is not charged: knocking on a closed door does not
// keep it closed. Where the network cannot be told (see gatesFor) the account
// counts alone.
//
// The counters hold no address: their names are SHA-256 digests. A nil
// *Throttle lets everything pass.
type Throttle struct {
	counters Counters
	now      func() time.Time
	lines    lines
}

// Counters counts failed attempts, shared by all replicas. Every method is one
// atomic operation, durable when it returns nil, safe for concurrent use by many
// processes.
type Counters interface {
	// AddCount adds n to the counter named key, creating it at zero, and
	// returns the new value. The counter may be forgotten after expireAt.
	// Atomic: no concurrent addition is lost.
	AddCount(ctx context.Context, key string, n int64, expireAt time.Time) (int64, error)
	// Counts returns the values of the counters, in the order of keys; one
	// that does not exist is zero.
	Counts(ctx context.Context, keys []string) ([]int64, error)
	// ResetCounts removes the counters.
	ResetCounts(ctx context.Context, keys []string) error
}

// New returns a Throttle over counters, by the clock now.
func New(counters Counters, now func() time.Time) *Throttle {
	return &Throttle{counters: counters, now: now}
}

// Attempt is one attempt that was charged and may be judged. After a failure
// there is nothing to do: the charge stays. A nil *Attempt does nothing.
type Attempt struct {
	throttle *Throttle
	at       time.Time
	gates    []*gate
	// known is the counter that makes the network known to the account, if
	// it still has to be set.
	known string
}

// Begin charges an attempt on account (its key, or what was sent for one)
// by the requester in ctx. Without an account only the network counts. The
// error is a refusal (Throttled), or the store's.
func (t *Throttle) Begin(ctx context.Context, account string) (*Attempt, error) {
	if t == nil {
		return nil, nil
	}
	a := &Attempt{throttle: t, at: t.now()}
	if err := a.look(ctx, account, networkOf(audit.RequestFrom(ctx).IP)); err != nil {
		return nil, fmt.Errorf("read the throttle: %w", err)
	}
	wait, err := a.wait(ctx)
	if err != nil {
		return nil, fmt.Errorf("read the throttle: %w", err)
	}
	if wait > 0 {
		return nil, throttled(wait)
	}
	wait, err = a.charge(ctx)
	if err != nil {
		a.Withdraw(ctx)
		return nil, fmt.Errorf("charge the throttle: %w", err)
	}
	if wait > 0 {
		a.Withdraw(ctx)
		return nil, throttled(wait)
	}
	return a, nil
}

// throttled refuses an attempt after too many failed ones; the password was not
// looked at.
func throttled(wait time.Duration) error {
	return &refusal.Error{Code: refusal.Throttled, Reason: audit.ReasonThrottled, RetryAfter: wait}
}

// look finds out how many failures each gate has seen, and whether the network
// is known to the account.
func (a *Attempt) look(ctx context.Context, account, network string) error {
	gates, keys := a.gatesFor(account, network)
	known := len(keys) > 0
	for _, g := range gates {
		keys = append(keys, g.count, g.before)
	}
	if len(keys) == 0 {
		return nil
	}
	counts, err := a.throttle.counters.Counts(ctx, keys)
	if err != nil {
		return err
	}
	if known {
		if counts[0] <= 0 {
			a.known = keys[0]
		}
		if counts[0] > 0 || counts[1] > 0 {
			gates, counts = gates[2:], counts[4:]
		}
		counts = counts[2:]
	}
	for i, g := range gates {
		g.read(counts[2*i], counts[2*i+1])
	}
	a.gates = gates
	return nil
}

// gatesFor returns the gates of an attempt, the pair's last, and the counters
// that tell whether the network is known to the account. A network that is not
// known itself has no gate: behind a proxy that names none, all the people would
// share it.
func (a *Attempt) gatesFor(account, network string) (gates []*gate, known []string) {
	if network != "" {
		gates = append(gates, newGate(perNetwork, a.at, network))
	}
	if account != "" {
		gates = append(gates, newGate(perAccount, a.at, account))
	}
	if len(gates) == 2 {
		month, earlier := knownKeys(a.at, account, network)
		gates, known = append(gates, newGate(perPair, a.at, account, network)), []string{month, earlier}
	}
	return gates, known
}

// wait returns how long the strictest gate stays closed; zero if all are open.
func (a *Attempt) wait(ctx context.Context) (time.Duration, error) {
	var turns []turn
	for _, g := range a.gates {
		turns = append(turns, g.turns()...)
	}
	if len(turns) == 0 {
		return 0, nil
	}
	keys := make([]string, len(turns))
	for i, turn := range turns {
		keys[i] = turn.key
	}
	taken, err := a.throttle.counters.Counts(ctx, keys)
	if err != nil {
		return 0, err
	}
	var longest time.Duration
	for i, turn := range turns {
		if taken[i] > 0 {
			longest = max(longest, turn.until.Sub(a.at))
		}
	}
	return longest, nil
}

// charge takes a turn at every gate that grants them one by one, then adds a
// failure to every gate. It returns how long to wait if another attempt was
// faster.
func (a *Attempt) charge(ctx context.Context) (time.Duration, error) {
	c := a.throttle.counters
	for _, g := range a.gates {
		if g.seen+1 < g.free {
			continue
		}
		if first, err := g.takeTurn(ctx, c, g.seen+1); err != nil || !first {
			return g.delay(g.seen + 1), err
		}
	}
	waits := make([]time.Duration, len(a.gates))
	err := inParallel(len(a.gates), func(i int) (err error) {
		waits[i], err = a.gates[i].add(ctx, c)
		return err
	})
	var longest time.Duration
	for _, wait := range waits {
		longest = max(longest, wait)
	}
	return longest, err
}

// Succeed takes the charge back, forgets the pair's failures and makes the
// network known to the account. It does what it can: a store that fails here
// leaves one failure too many on record, and nothing else.
func (a *Attempt) Succeed(ctx context.Context) {
	if a == nil {
		return
	}
	ctx, cancel := audit.Outlast(ctx)
	defer cancel()
	c := a.throttle.counters
	steps := []func() error{}
	for _, g := range a.gates {
		if g.dimension == perPair {
			forget := append([]string{g.count, g.before}, g.ownTurns...)
			steps = append(steps, func() error { return c.ResetCounts(ctx, forget) })
			continue
		}
		steps = append(steps, func() error { return g.withdraw(ctx, c) })
	}
	if a.known != "" {
		steps = append(steps, func() error {
			_, err := c.AddCount(ctx, a.known, 1, a.at.Add(2*knownPeriod))
			return err
		})
	}
	_ = inParallel(len(steps), func(i int) error { return steps[i]() })
}

// Withdraw takes the charge back for an attempt that was not judged. Like
// Succeed it does what it can.
func (a *Attempt) Withdraw(ctx context.Context) {
	if a == nil {
		return
	}
	ctx, cancel := audit.Outlast(ctx)
	defer cancel()
	_ = inParallel(len(a.gates), func(i int) error {
		return a.gates[i].withdraw(ctx, a.throttle.counters)
	})
}
