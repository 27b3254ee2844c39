// Package throttle slows the guessing of passwords, per account and per network,
// across all replicas.
package throttle

import (
	"context"
	"fmt"
	"time"

	"github.com/keyturn/keyturn/internal/audit"
	"github.com/keyturn/keyturn/internal/refusal"
)

// Throttle slows the guessing of passwords across all replicas (U4).
//
// It counts failures in three dimensions: the pair of account and network, the
// account from any network, and the network for any account. Each dimension has
// some free failures. After them it lets one attempt be judged per delay, and the
// delay doubles with each failure up to the dimension's cap:
//
//	dimension free failures      first delay   cap
//	pair        5 in 24 hours    1 s           15 min
//	account    50 in 24 hours    1 s           30 s
//	network   100 in an hour     1 s           60 s
//	codes       5 in 24 hours    1 s           1 h
//	letters     3 in 24 hours    5 min         1 h
//	notices     5 in 24 hours    1 h          24 h
//
// The last three are from any network: codes of an account's second factors (see
// BeginCode), because six digits are few, and letters that are asked for to one address
// (see BeginLetter) or that decisions owe (see BeginNotice), each of which counts.
//
// A network is known to an account that has logged in from it within the last 30
// days (up to 60); for it only the pair counts. So an attacker elsewhere cannot
// slow a login from a usual place. They can slow a login from a new network only
// while the attack lasts, and that login gets a turn every 30 seconds at the
// latest.
//
// An attempt is charged before its password is checked, so that parallel guesses
// count like sequential ones. A success takes the charge back and clears the
// pair. Addresses without an account count alike. A refused attempt is not
// charged, so that repeated attempts do not extend a delay. If the network is
// unknown (see gatesFor), the account alone counts.
//
// The counters hold no address: their names are SHA-256 digests. A nil *Throttle
// lets everything pass.
type Throttle struct {
	counters Counters
	now      func() time.Time
	lines    lines
}

// Counters counts failed attempts for all replicas. Every method is one atomic
// operation, durable when it returns nil, and safe for concurrent use by many
// processes.
type Counters interface {
	// AddCount adds n to the counter named key, creating it at zero, and returns
	// the new value. The counter may be removed after expireAt. It is atomic: no
	// concurrent addition is lost.
	AddCount(ctx context.Context, key string, n int64, expireAt time.Time) (int64, error)
	// Counts returns the values of the counters in the order of keys. A missing
	// counter is zero.
	Counts(ctx context.Context, keys []string) ([]int64, error)
	// ResetCounts removes the counters.
	ResetCounts(ctx context.Context, keys []string) error
}

// New returns a Throttle over counters with the clock now.
func New(counters Counters, now func() time.Time) *Throttle {
	return &Throttle{counters: counters, now: now}
}

// Attempt is a charged attempt that may be judged. After a failure nothing has to
// be done: the charge stays. A nil *Attempt does nothing.
type Attempt struct {
	throttle *Throttle
	at       time.Time
	gates    []*gate
	// known is the counter that makes the network known to the account, if it
	// still has to be incremented.
	known string
}

// Begin charges an attempt on account (its key, or the name sent for it) by the
// requester in ctx. Without an account only the network counts. The error is a
// refusal (Throttled), or from the store.
func (t *Throttle) Begin(ctx context.Context, account string) (*Attempt, error) {
	return t.begin(ctx, func(a *Attempt) ([]*gate, []string) { return a.gatesFor(account, networkOf(audit.RequestFrom(ctx).IP)) })
}

// BeginCode is Begin for a code of a second factor. No network is known, and a success
// clears nothing: whoever has the password and guesses gains nothing by what the owner
// does. Account should change with the password, so that its owner ends their turns.
func (t *Throttle) BeginCode(ctx context.Context, account string) (*Attempt, error) {
	return t.begin(ctx, func(a *Attempt) ([]*gate, []string) { return []*gate{newGate(perCodes, a.at, account)}, nil })
}

// BeginLetter is Begin for a letter to an address, or for one that an account asks for.
func (t *Throttle) BeginLetter(ctx context.Context, address string) (*Attempt, error) {
	return t.begin(ctx, func(a *Attempt) ([]*gate, []string) { return []*gate{newGate(perLetters, a.at, address)}, nil })
}

// BeginNotice is Begin for a letter of a kind that a decision on an account owes.
func (t *Throttle) BeginNotice(ctx context.Context, account, kind string) (*Attempt, error) {
	return t.begin(ctx, func(a *Attempt) ([]*gate, []string) { return []*gate{newGate(perNotices, a.at, account, kind)}, nil })
}

func (t *Throttle) begin(ctx context.Context, gatesFor func(*Attempt) (gates []*gate, known []string)) (*Attempt, error) {
	if t == nil {
		return nil, nil
	}
	a := &Attempt{throttle: t, at: t.now()}
	gates, known := gatesFor(a)
	if err := a.look(ctx, gates, known); err != nil {
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

// throttled returns the refusal of an attempt after too many failures. The
// password was not checked.
func throttled(wait time.Duration) error {
	return &refusal.Error{Code: refusal.Throttled, Reason: audit.ReasonThrottled, RetryAfter: wait}
}

// look reads the failures of each gate, and by the counters keys whether the network
// is known to the account.
func (a *Attempt) look(ctx context.Context, gates []*gate, keys []string) error {
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
// that make the network known to the account. An empty network has no gate:
// behind a proxy that names no client, all users would share it.
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

// wait returns how long the strictest gate stays closed, or zero if all are open.
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

// charge takes a turn at every gate that lets in one attempt at a time, then adds
// a failure to every gate. It returns how long to wait if another attempt was
// first.
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

// Succeed takes the charge back, clears the pair's failures and makes the network
// known to the account. It ignores errors: if the store fails, one failure too
// many stays recorded, and nothing else.
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

// Withdraw takes the charge back for an attempt that was not judged. It ignores
// errors, as Succeed does.
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
