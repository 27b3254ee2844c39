package keys

import (
	"fmt"
	"maps"
	"slices"
	"time"
)

// Warning is a condition of the keys that does no harm yet, but that an operator
// should look into before it does.
type Warning struct {
	// Code names the kind of warning. Text describes it for people. Neither is
	// secret.
	Code string
	Text string
}

// The codes of warnings. Alert rules and docs/operating.md name them.
const (
	// standbyMissing: no published key could sign next (K2).
	standbyMissing = "standby_missing"
	// turnOverdue: the active key has signed for longer than the policy's
	// Interval.
	turnOverdue = "turn_overdue"
	// turnFarOff: the next turn is farther away than the policy explains: the
	// Interval was shortened, or a replica's clock was far ahead when it created
	// the standby.
	turnFarOff = "turn_far_off"
	// keyUnusable: a key that will sign, or whose tokens may still be valid, is
	// damaged, or its master secret is missing.
	keyUnusable = "key_unusable"
)

// Status is the state of the keys on this replica.
type Status struct {
	// Active is the signing key of the default algorithm; its KID is empty if
	// there is none.
	Active Info
	// Standbys counts the published keys that can sign next, for the algorithm
	// with the fewest. Published counts all keys in the JWKS. Unusable counts
	// those that this replica cannot use.
	Standbys, Published, Unusable int
	Warnings                      []Warning
}

// Status returns the state of the keys now, as last read.
func (k *Keeper) Status() Status {
	s := k.ring.current()
	if s == nil {
		return Status{}
	}
	st := Status{Published: len(s.published.Keys), Unusable: len(s.book.material.unusable)}
	if s.signer != nil {
		st.Active = s.active
	}
	warn := func(code, format string, args ...any) {
		st.Warnings = append(st.Warnings, Warning{code, fmt.Sprintf(format, args...)})
	}
	for i, ring := range s.view.rings {
		if !ring.wanted {
			continue
		}
		standbys := s.standbys(ring.number)
		if i == 0 || standbys < st.Standbys {
			st.Standbys = standbys
		}
		if standbys == 0 {
			warn(standbyMissing, "no standby %sis published; one is made as soon as the store can be written to", k.policy.naming(ring.number))
		}
		if active, ok := s.view.signingKey(ring.number); ok {
			k.warnOfTurn(active, warn)
		}
	}
	for _, kid := range slices.Sorted(maps.Keys(s.book.material.unusable)) {
		warn(keyUnusable, "key %.64q: %v", kid, s.book.material.unusable[kid])
	}
	return st
}

// naming names the algorithm of a ring if the policy has several.
func (p Policy) naming(ring int) string {
	if len(p.Algs) == 1 {
		return ""
	}
	return forAlg(p.ringAlg(ring))
}

// standbys counts the published keys of a ring that can sign next.
func (s *snapshot) standbys(ring int) int {
	n := 0
	for _, key := range s.view.Keys {
		if key.ring() == ring && key.State == Standby && key.Published && s.book.material.signers[key.KID] != nil {
			n++
		}
	}
	return n
}

// warnOfTurn warns of a turn that is overdue or too far off.
func (k *Keeper) warnOfTurn(active keyView, warn func(code, format string, args ...any)) {
	p, now := k.policy, k.clock()
	// The next standby is created two polls and the skew before it is needed.
	late := now.Sub(active.ActivateAt.Add(p.Interval))
	if late > 2*p.Poll+p.Skew {
		warn(turnOverdue, "key %s should have retired %v ago", active.KID, late.Round(time.Second))
	}
	if ahead := active.RetireAt.Sub(now); !active.RetireAt.IsZero() && ahead > p.Interval+p.Lead {
		warn(turnFarOff, "the next turn is %v away, and key_rotation_interval is %v; keyturn keys rotate makes it now", ahead.Round(time.Second), p.Interval)
	}
}

// warnEvery is how often a lasting warning is repeated.
const warnEvery = time.Hour

// warn passes new and lasting warnings to OnError.
func (k *Keeper) warn() {
	warned := make(map[string]time.Duration)
	for _, w := range k.Status().Warnings {
		at, before := k.warned[w.Code]
		if !before || k.elapsed() >= at+warnEvery {
			at = k.elapsed()
			k.onError(fmt.Errorf("%s: %s", w.Code, w.Text))
		}
		warned[w.Code] = at
	}
	k.warned = warned
}

// Counts are event counts of this replica since it started.
type Counts struct {
	// Turns counts changes of the signing key on schedule or by an operator.
	// Emergencies counts those because a key was revoked or could not be used.
	Turns, Emergencies uint64
	// PollFailures counts polls that failed, SignFailures signatures that failed.
	PollFailures, SignFailures uint64
}

// Counts returns the counts of this replica.
func (k *Keeper) Counts() Counts {
	return Counts{
		Turns: k.turns.Load(), Emergencies: k.emergencies.Load(),
		PollFailures: k.pollFailures.Load(), SignFailures: k.ring.signFailures.Load(),
	}
}

// count counts a turn of a ring, once.
func (k *Keeper) count(ring ringView, kid string) {
	if before := k.signedWith[ring.number]; before != "" && before != kid {
		if ring.emergency {
			k.emergencies.Add(1)
		} else {
			k.turns.Add(1)
		}
	}
	k.signedWith[ring.number] = kid
}
