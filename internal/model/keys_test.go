package model

import "slices"

// The model of the key rules (K1 to K6): three replicas, whose clocks differ, poll a
// store and sign; two resource servers verify, one of which keeps its copy of the key
// set for exactly as long as it was told, the other until it meets a kid that it does
// not know; an operator turns keys by hand and revokes a stolen one; and a replica is
// cut off from the store. Time goes in ticks, in which everybody who reaches the store
// polls once, at any moment of it.
const (
	poll, skew, maxAge, tokenTTL = 1, 1, 1, 1
	lead                         = maxAge + poll + skew
	interval                     = lead + 2
	margin                       = poll + 3*skew
	keyCount                     = 4
)

// keyRules is the machine.
type keyRules struct {
	// ahead is by how much the clock of each replica is.
	ahead [3]int8
	// ticks is for how long it is walked.
	ticks  int8
	mutant mutant
}

const (
	noSecondTurn    mutant = "an emergency has no second turn"
	signsAtOnce     mutant = "a key signs as soon as it is made"
	leavesAtOnce    mutant = "a key leaves the set when it retires"
	servesOnRegards mutant = "a replica that is cut off promises what it always does"
)

// ring is the keys as the store has them, or as a replica has read them. Times are
// ticks from 1 on; 0 is never.
type ring [keyCount]signingKey

type signingKey struct {
	made, signs, revoked int8
	// answers is the latest revocation that whoever made the key had read.
	answers int8
	erased  bool
}

// keyWorld is a state of the model.
type keyWorld struct {
	now     int8
	store   ring
	replica [3]keyReplica
	// copied is the key set that the resource server with a copy has, one bit a key,
	// and until when; kept is what the other has.
	copied, kept uint8
	until        int8
	// live is when the last token of each key expires that any replica may have signed;
	// early are the keys that an emergency let sign before their time.
	live  [keyCount]int8
	early uint8
	// wasCut says that a replica has been cut off, turned that an operator has turned.
	wasCut, turned bool
}

type keyReplica struct {
	view ring
	read int8
	cut  bool
}

func (r *ring) count() int {
	return slices.IndexFunc(append(r[:], signingKey{}), func(k signingKey) bool { return k.made == 0 })
}

func (r *ring) usable(i int) bool { return r[i].made > 0 && r[i].revoked == 0 && !r[i].erased }

// current is the last key whose turn has come.
func (r *ring) current(clock int8) int {
	for i := keyCount - 1; i > 0; i-- {
		if k := r[i]; k.made > 0 && k.signs <= clock && (k.revoked == 0 || k.revoked > k.signs) {
			return i
		}
	}
	return 0
}

// signing is that key, or the next where it was revoked (K6), or the one before.
func (r *ring) signing(clock int8) int {
	now := r.current(clock)
	for i := now; i < keyCount; i++ {
		if r.usable(i) {
			return i
		}
	}
	for i := now - 1; i >= 0; i-- {
		if r.usable(i) {
			return i
		}
	}
	return -1
}

// retires is when a key stops signing; 0 if nothing follows it.
func (r *ring) retires(i int) int8 {
	if r[i].revoked > 0 {
		return r[i].revoked
	}
	at := int8(0)
	for _, next := range r[i+1:] {
		if next.made > 0 && (next.revoked == 0 || next.revoked > next.signs) && (at == 0 || next.signs < at) {
			at = next.signs
		}
	}
	return at
}

// published are the keys that belong in the key set (K3): until no token of theirs can
// be valid, and until a read confirms that their time is over, by its own clock.
func (m keyRules) published(r keyReplica, now, ahead int8) (set uint8) {
	clock, read := now+ahead, r.read+ahead
	for i, k := range r.view {
		retires := r.view.retires(i)
		over := retires + tokenTTL + margin
		if m.mutant == leavesAtOnce {
			over = retires
		}
		stays := retires == 0 || clock < over || read < retires+skew && m.mutant != leavesAtOnce
		if k.made > 0 && k.revoked == 0 && (stays || r.view.signing(clock) == i) {
			set |= 1 << i
		}
	}
	return set
}

// promise is for how long a set may be kept that is handed out now.
func (m keyRules) promise(r keyReplica, now int8) int8 {
	if m.mutant == servesOnRegards {
		return maxAge
	}
	return max(0, min(maxAge, lead-skew-(now-r.read)))
}

// ttl is for how long a token lives that is signed now.
func (m keyRules) ttl(r keyReplica, now int8) int8 {
	return max(0, tokenTTL-max(0, now-r.read-poll-skew))
}

func (m keyRules) begin() keyWorld {
	w := keyWorld{now: 1}
	w.store[0], w.store[1] = signingKey{made: 1, signs: 1}, signingKey{made: 1, signs: 1 + interval}
	for r := range w.replica {
		w.replica[r] = keyReplica{view: w.store, read: 1}
	}
	w.kept = 3
	return m.observed(w)
}

// observed has every replica sign what it can.
func (m keyRules) observed(w keyWorld) keyWorld {
	for r, replica := range w.replica {
		clock := w.now + m.ahead[r]
		k := replica.view.signing(clock)
		ttl := m.ttl(replica, w.now)
		if k < 0 || ttl == 0 {
			continue
		}
		w.live[k] = max(w.live[k], clock+ttl)
		if lastRevocation(w.store) > 0 && clock-replica.view[k].made < lead {
			w.early |= 1 << k
		}
	}
	for k := range w.live {
		if w.live[k] <= w.now {
			w.live[k] = 0
		}
	}
	if w.until <= w.now {
		w.copied, w.until = 0, 0
	}
	return w
}

func lastRevocation(r ring) (last int8) {
	for _, k := range r {
		last = max(last, k.revoked)
	}
	return last
}

func (m keyRules) next(w keyWorld, to func(step, keyWorld)) {
	then := func(what string, who int8, with int, w keyWorld) {
		to(step{what, who, int8(with), false}, m.observed(w))
	}
	for r := range int8(3) {
		replica := w.replica[r]
		if replica.read < w.now && !replica.cut {
			after := w
			m.poll(&after, r)
			then("replica WHO polls", r, 0, after)
		}
		if age := m.promise(replica, w.now); age > 0 && w.until == 0 {
			after := w
			after.copied, after.until = m.published(replica, w.now, m.ahead[r]), w.now+age
			then("the resource server with a copy fetches from replica WHO", r, 0, after)
		}
		if !w.wasCut && !replica.cut {
			after := w
			after.wasCut, after.replica[r].cut = true, true
			then("replica WHO is cut off", r, 0, after)
		}
		if replica.cut {
			after := w
			after.replica[r].cut = false
			then("replica WHO reaches the store again", r, 0, after)
		}
	}
	m.operate(w, then)
	m.tick(w, then)
}

// poll has a replica read the store and do what is due.
func (m keyRules) poll(w *keyWorld, r int8) {
	clock := w.now + m.ahead[r]
	s := &w.store
	if current, signs := s.current(clock), s.signing(clock); signs > current && s[current].revoked > s[current].signs {
		s[signs].signs = min(s[signs].signs, max(s[current].revoked, s[signs].made))
	}
	if last := lastRevocation(*s); last > 0 && m.mutant != noSecondTurn && !slices.ContainsFunc(s[:], func(k signingKey) bool { return k.answers >= last }) {
		m.make(s, clock, clock+lead)
	}
	if last := s.count() - 1; last == s.signing(clock) || clock >= s[last].signs-2*poll-skew {
		m.make(s, clock, max(s[last].signs+interval, clock+lead))
	}
	for i := range s {
		if retires := s.retires(i); s[i].made > 0 && i != s.signing(clock) && retires > 0 && (s[i].revoked > 0 || clock >= retires+poll+skew) {
			s[i].erased = true
		}
	}
	w.replica[r].view, w.replica[r].read = *s, w.now
}

func (m keyRules) make(s *ring, clock, signs int8) {
	if n := s.count(); n < keyCount {
		if m.mutant == signsAtOnce {
			signs = clock
		}
		s[n] = signingKey{made: clock, signs: signs, answers: lastRevocation(*s)}
	}
}

// operate is what an operator does, who may die between two writes.
func (m keyRules) operate(w keyWorld, to func(string, int8, int, keyWorld)) {
	n, signs := w.store.count(), w.store.signing(w.now)
	standby := signs + 1
	if n == standby || lastRevocation(w.store) > 0 {
		return
	}
	if n == standby+1 && n < keyCount {
		after := w
		m.make(&after.store, w.now, max(after.store[n-1].signs+interval, w.now+lead))
		to("the operator makes key WITH ahead", 0, n, after)
		return
	}
	if at := max(w.now, w.store[standby].made+lead); !w.turned && at < w.store[standby].signs {
		after := w
		after.turned, after.store[standby].signs = true, at
		to("the operator turns to key WITH", 0, standby, after)
	}
	if n < keyCount { // there is room for the second turn
		after := w
		after.store[signs].revoked = w.now
		to("the operator revokes key WITH", 0, signs, after)
	}
}

// tick lets time pass. Whoever meets a kid that it does not know fetches.
func (m keyRules) tick(w keyWorld, to func(string, int8, int, keyWorld)) {
	unknown := false
	for r, replica := range w.replica {
		if !replica.cut && replica.read < w.now {
			return
		}
		k := replica.view.signing(w.now + m.ahead[r])
		unknown = unknown || k >= 0 && w.kept&(1<<k) == 0
	}
	if w.now == m.ticks {
		return
	}
	after := w
	after.now++
	if !unknown {
		to("a tick passes", 0, 0, after)
		return
	}
	for r := range int8(3) {
		after.kept = m.published(w.replica[r], w.now, m.ahead[r])
		to("the other resource server meets an unknown kid and fetches from replica WHO; a tick passes", r, 0, after)
	}
}

// wrong is the list of the invariants.
func (m keyRules) wrong(_ keyWorld, _ step, w keyWorld) string {
	for k, until := range w.live {
		bit := uint8(1) << k
		if until == 0 || w.store[k].revoked > 0 || w.early&bit != 0 {
			continue
		}
		if w.until > 0 && w.copied&bit == 0 {
			return "K1: a token lives, and its key is not in a copy that counts"
		}
		for r, replica := range w.replica {
			if m.promise(replica, w.now) > 0 && m.published(replica, w.now, m.ahead[r])&bit == 0 {
				if replica.view[k].made == 0 {
					return "K1: a token lives, and a replica has not published its key"
				}
				return "K3: a token lives, and its key is no longer published"
			}
		}
	}
	revoked := lastRevocation(w.store)
	for r, replica := range w.replica {
		clock := w.now + m.ahead[r]
		signs, set := replica.view.signing(clock), m.published(replica, w.now, m.ahead[r])
		switch {
		case set == 0 || signs < 0:
			return "K3: the key set is empty"
		case replica.view[signs].revoked > 0 || replica.view[signs].erased:
			return "K4: a key signs that was erased or revoked"
		case !replica.cut && replica.read == w.now && w.store.count() < keyCount && set>>(signs+1) == 0:
			return "K2: no standby is published"
		case revoked > 0 && replica.read > revoked && set&w.revokedKeys() != 0:
			return "K6: a replica that has read the store since publishes a revoked key"
		}
	}
	if revoked == 0 || w.wasCut {
		return ""
	}
	if w.now > revoked+poll+maxAge && w.copied&w.revokedKeys() != 0 {
		return "K6: a copy holds a revoked key"
	}
	if w.now > revoked+lead+poll+skew && w.kept&w.revokedKeys() != 0 {
		return "K6: who fetches for an unknown kid alone trusts a revoked key"
	}
	return ""
}

func (w *keyWorld) revokedKeys() (set uint8) {
	for i, k := range w.store {
		if k.revoked > 0 {
			set |= 1 << i
		}
	}
	return set
}
