package keys

import (
	"context"
	"errors"
	"slices"
	"time"

	"pgregory.net/rapid"
)

// run lets things happen at random times. Without mishaps that is only time.
func (s *simulation) run(mishaps bool) {
	actions := []func(){s.sign}
	s.mishaps = mishaps
	if mishaps {
		actions = append(actions, s.sign, s.outage, s.cut, s.jump, s.join, s.leaveSome, s.reconfigure, s.restart, s.restart, s.rotate, s.revoke)
	}
	if s.lost != nil {
		actions = append(actions, s.damage, s.damage)
	}
	for range rapid.IntRange(5, 60).Draw(s.t, "steps") {
		s.advance(between(s.t, "pass", time.Millisecond, s.policy.Interval/2))
		actions[rapid.IntRange(0, len(actions)-1).Draw(s.t, "action")]()
		s.observe()
	}
}

func (s *simulation) pick(label string) *simReplica {
	return s.replicas[rapid.IntRange(0, len(s.replicas)-1).Draw(s.t, label)]
}

func (s *simulation) calm() bool { return s.now.Before(s.calmUntil) }

// sign has one replica really sign a token; a resource server really verifies it
// as long as it lives. The life is fixed a moment before the signature.
func (s *simulation) sign() {
	r := s.pick("sign on")
	ttl, at := r.ring.TokenTTL(), r.clock()
	if !r.serving || ttl <= 0 {
		return
	}
	if rapid.Bool().Draw(s.t, "slow signature") {
		s.advance(between(s.t, "signature", 0, time.Second))
	}
	alg := rapid.SampledFrom(r.policy.Algs).Draw(s.t, "sign with")
	if compact, kid, err := r.ring.SignWith(alg, "at+jwt", []byte("{}")); err == nil {
		expiry := at.Add(ttl)
		s.signed = append(s.signed[max(0, len(s.signed)-3):], signature{kid, compact, expiry})
		s.tokens[kid] = later(s.tokens[kid], expiry)
	}
}

// outage takes the store away from all, cut from one.
func (s *simulation) outage() {
	if !s.store.down && !s.calm() && !s.damaged() {
		s.store.down = true
		s.downUntil = s.now.Add(between(s.t, "outage", time.Millisecond, 2*s.policy.Lead))
	}
}

func (s *simulation) cut() {
	if r := s.pick("cut"); r.link.cut || !s.calm() && !s.damaged() {
		r.link.cut, s.changed = !r.link.cut, s.now
	}
}

// jump sets a clock, forward or back, to anything that clock_skew allows.
func (s *simulation) jump() {
	s.pick("jump").offset = between(s.t, "offset", 0, s.drift)
	s.changed = s.now
}

// join adds a replica, which serves once it has read the store.
func (s *simulation) join() {
	if len(s.replicas) < 4 {
		r := s.process(s.policy)
		s.replicas = append(s.replicas, r)
		s.changed = s.now
	}
}

func (s *simulation) leave(r *simReplica) {
	s.replicas = slices.DeleteFunc(s.replicas, func(other *simReplica) bool { return other == r })
	s.changed = s.now
}

func (s *simulation) leaveSome() {
	if len(s.replicas) > 1 && !s.calm() {
		s.leave(s.pick("leave"))
	}
}

// reconfigure changes every setting; restart puts it in force on one replica.
func (s *simulation) reconfigure() {
	if s.damaged() {
		return
	}
	s.older, s.policy = s.policy, s.drawPolicy()
	s.changed = s.now
}

func (s *simulation) restart() {
	if !s.calm() {
		s.leave(s.pick("restart"))
		s.join()
	}
}

// duringWrite lets time pass between a process's look at its clock and the
// taking effect of its write.
func (s *simulation) duringWrite() {
	if s.writing {
		return
	}
	s.writing = true
	defer func() { s.writing = false }()
	s.advance(between(s.t, "write", 0, s.writeTime))
	if rapid.IntRange(0, 15).Draw(s.t, "stall") == 0 {
		s.stall()
	}
}

// stall lets a write take up to the max-age longer, and its writer die before it
// learns that the write was done. The replicas that served meanwhile see to it that
// the key signs no sooner than it may (K1), if they come to poll once more and their
// own write does not stall: so no stall follows at once.
func (s *simulation) stall() {
	busy := slices.IndexFunc(s.replicas, func(r *simReplica) bool { return r.busy })
	if !s.mishaps || s.calm() || s.damaged() || busy < 0 || s.store.down || s.replicas[busy].link.cut || len(s.store.records) == 0 {
		return
	}
	shortest := min(s.policy.MaxAge, s.older.MaxAge)
	longest := max(s.policy.Poll, s.older.Poll)
	for _, r := range s.replicas {
		shortest, longest = min(shortest, r.policy.MaxAge), max(longest, r.policy.Poll)
		if r.link.cut {
			return
		}
	}
	pass := between(s.t, "stalled for", 0, shortest)
	s.calmUntil = s.now.Add(pass + longest + s.writeTime)
	s.advance(pass)
	if !s.store.down {
		s.store.lost, s.stalled = true, true
	}
	s.changed = s.now
}

// rotate and revoke act as an operator would, by a command that was given the
// settings as they are or as they were.
func (s *simulation) operator() *simReplica {
	if rapid.Bool().Draw(s.t, "old settings") {
		return s.process(s.older)
	}
	return s.process(s.policy)
}

func (s *simulation) rotate() {
	if len(s.store.records) == 0 {
		return
	}
	turned, err := s.operator().Rotate(context.Background(), "")
	switch {
	case err == nil:
		s.turned[turned.KID], s.changed = s.now, s.now
	case !errors.Is(err, errDown) && !errors.Is(err, errTurnScheduled):
		s.t.Fatalf("Rotate: %v", err)
	}
}

func (s *simulation) revoke() {
	n := len(s.store.records)
	// Most of the time a revocation is out of the question.
	if n == 0 || s.store.down || rapid.IntRange(0, 3).Draw(s.t, "revoke at all") > 0 {
		return
	}
	kid := s.store.records[n-1-rapid.IntRange(0, min(n-1, 3)).Draw(s.t, "which")].KID
	// From the moment of the write on, the key is nobody's promise.
	_, before := s.revoked[kid]
	s.revoked[kid] = s.now
	err := s.operator().Revoke(context.Background(), kid, "test")
	if errors.Is(err, errRevoked) || errors.Is(err, ErrNoKey) {
		if !before {
			delete(s.revoked, kid)
		}
		return
	}
	if err != nil && !errors.Is(err, errDown) {
		s.t.Fatalf("Revoke: %v", err)
	}
	s.changed = s.now
}
