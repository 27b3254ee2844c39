package model

import (
	"math/bits"
	"slices"
)

// The model of the session rules (F1 to F8): a user with two clients, each of which
// begins a session; a thief, who reads the first client's token whenever he
// likes and intercepts its answers; and replicas, each with one request on its way
// or one thing to remember. What the store does in one step is one step here.
const (
	clients = 2
	nobody  = int8(-1)
	thief   = int8(clients)
)

// sessions is the machine. The fields that make it a mutant are nil or false.
type sessions struct {
	replicas int
	// generations bounds the walk and has its traces name the generations as they are;
	// 0 walks all there can ever be.
	generations int
	// bound has the sessions begun with a DPoP key, which the thief has not got.
	bound  bool
	mutant mutant
}

type mutant string

const (
	faithful           mutant = ""
	checkThenAct       mutant = "the generation is checked in one step and written in another"
	revocationLoses    mutant = "whether the session has ended is checked in one step, and the session written in another"
	differentSuccessor mutant = "a retry makes a successor of its own"
	anyPredecessor     mutant = "every older token is taken for a retry"
	takebackRevives    mutant = "what is taken back is the whole record"
	reuseToldFirst     mutant = "the answer to a reuse comes before its write"
	oneClock           mutant = "a clock that jumped expires a session"
	noSecondLook       mutant = "a login does not look at the account again"
)

// world is a state of the model.
type world struct {
	session [clients]Session
	client  [clients]holder
	// stolen are the tokens of the first session that the thief has, one bit each;
	// acted says that he presented one.
	stolen uint32
	acted  bool
	// disabling the account marks it first (1), then ends one session after the other;
	// disabled then says so to the operator.
	disabling int8
	replica   [3]request
}

// actors are who takes a step.
var actors = []string{"client 0", "client 1", "the thief"}

const disabled = int8(1 + clients)

// holder is an honest client. It presents the token that it has, in as many tabs as
// it likes, and takes a successor in its place if it still has it when that comes.
type holder struct {
	token int8
	// began is set once it logged in, out once it was told that its session is over.
	began, out bool
}

// request is what a replica is about.
type request struct {
	phase         phase
	client, by    int8
	token, before int8
}

type phase int8

const (
	idle phase = iota
	passwordChecked
	sessionStored // unborn
	lookedAgain
	refreshLooked  // in mutants: the session was seen, and nothing is written
	refreshStored  // the session stands at token+1; its event and the answer are due
	refreshInDoubt // the store did not answer: the write may come yet
	refreshUnsure  // the store did not answer: the write was made
	reuseSeen
	reuseTold // in a mutant: answered, and nothing is written
)

// Tokens of a mutant that come from a retry are other tokens of the same generation.
const sibling = int8(16)

func generationOf(token int8) int32 { return int32(token % sibling) }

func (m sessions) begin() world {
	var w world
	for c := range w.client {
		w.client[c].token = nobody
	}
	if m.generations == 0 {
		w.shift()
	}
	return w
}

func (m sessions) next(w world, to func(step, world)) {
	then := func(did step, w world) {
		if m.generations == 0 {
			w.shift()
		}
		w.forget()
		to(did, w)
	}
	m.outside(w, then)
	for r := range m.replicas {
		if w.replica[r].phase == idle {
			m.arrive(w, r, then)
			break // one idle replica is like another
		}
	}
	for r := range m.replicas {
		if w.replica[r].phase != idle {
			m.goOn(w, r, then)
		}
	}
}

// outside is what happens beside the replicas, or within one step of theirs.
func (m sessions) outside(w world, to func(step, world)) {
	for c := range int8(clients) {
		if s := w.session[c]; !s.Born || s.Ended || s.Expired {
			continue
		}
		after := w
		after.session[c].Expired = true
		to(step{"the session of WHO expires", c, 0, false}, after)
		if w.client[c].token != nobody {
			after = w
			after.session[c].Ended, after.client[c].out = true, true
			to(step{"WHO logs out", c, 0, false}, after)
		}
	}
	if token := w.client[0].token; token != nobody && w.stolen&(1<<token) == 0 {
		after := w
		after.stolen |= 1 << token
		to(step{"the thief steals token WITH", 0, token, false}, after)
	}
	if w.stolen != 0 && !m.bound {
		after := w
		after.session[0].Ended, after.acted = true, true
		to(step{"the thief revokes a token", 0, 0, false}, after)
	}
	if w.disabling < disabled {
		after := w
		after.disabling++
		if c := w.disabling - 1; c >= 0 && w.stored(c) {
			after.session[c].Ended = true
		}
		to(step{[]string{"the account is marked as disabled", "its session of client 0 is ended", "its session of client 1 is ended, and the operator told"}[w.disabling], 0, 0, false}, after)
	}
}

// stored says whether the store has the session, born or not.
func (w *world) stored(c int8) bool {
	return w.session[c].Born || slices.ContainsFunc(w.replica[:], func(q request) bool {
		return q.client == c && (q.phase == sessionStored || q.phase == lookedAgain)
	})
}

// arrive has a request come to an idle replica.
func (m sessions) arrive(w world, r int, to func(step, world)) {
	for c := range int8(clients) {
		if !w.client[c].began && w.disabling == 0 {
			after := w
			after.client[c].began = true
			after.replica[r] = request{phase: passwordChecked, client: c, by: c}
			to(step{"WHO logs in, and its password is right", c, 0, false}, after)
		}
		if w.client[c].token != nobody {
			by := request{client: c, by: c, token: w.client[c].token}
			m.present(w, r, by, Showing{Proved: true}, to)
			m.present(w, r, by, Showing{Proved: true, Doubted: true}, to)
		}
	}
	after := w
	after.acted = true
	for left := w.stolen; left != 0; left &= left - 1 {
		by := request{client: 0, by: thief, token: int8(bits.TrailingZeros32(left))}
		m.present(after, r, by, Showing{}, to)
		m.present(after, r, by, Showing{Foreign: true}, to)
	}
}

func (m sessions) judge(s Session, t Showing) Verdict {
	v := Present(s, t)
	switch {
	case m.mutant == anyPredecessor && v == Reused && !t.Foreign:
		return Repeats
	case m.mutant == oneClock && t.Doubted:
		return Refused
	}
	return v
}

// present shows the store a token: one step, in which it decides and writes.
func (m sessions) present(w world, r int, q request, t Showing, to func(step, world)) {
	t.Generation = generationOf(q.token)
	verdict := m.judge(w.session[q.client], t)
	did := func(what string) step {
		return step{presents[verdict] + what, q.by, q.token, verdict == Advances || verdict == Repeats}
	}
	switch verdict {
	case Refused:
		if q.by != thief {
			w.client[q.client].out = true
		}
		to(did(""), w)
	case PutOff, Unproved:
		to(did(""), w)
	case Repeats:
		if m.mutant == differentSuccessor {
			to(did(""), w.deliver(q, q.token+1+sibling))
			return
		}
		to(did(""), w.deliver(q, q.token+1))
	case Reused:
		q.phase = reuseSeen
		w.replica[r] = q
		to(did(""), w)
	case Advances:
		if m.generations > 0 && int(t.Generation)+1 >= m.generations {
			return // farther than this walk goes
		}
		q.before = int8(w.session[q.client].Generation)
		if m.mutant == checkThenAct || m.mutant == revocationLoses {
			q.phase = refreshLooked
			w.replica[r] = q
			to(did(" and is looked at"), w)
			return
		}
		q.phase = refreshInDoubt
		w.replica[r] = q
		to(did("; the store fails over before the write"), w)
		w.session[q.client] = verdict.After(w.session[q.client], t)
		q.phase, q.before = refreshUnsure, 0
		w.replica[r] = q
		to(did("; the store fails over after the write"), w)
		q.phase = refreshStored
		w.replica[r] = q
		to(did(""), w)
	}
}

var presents = map[Verdict]string{
	Refused: "WHO presents token WITH, and is refused", Unproved: "WHO presents token WITH without the key, and is refused",
	PutOff: "WHO presents token WITH, and is put off", Advances: "WHO presents token WITH, and the session moves on",
	Repeats: "WHO presents token WITH, and gets its successor again", Reused: "WHO presents token WITH, a reuse",
}

// deliver hands a successor to who asked for it.
func (w world) deliver(q request, successor int8) world {
	switch {
	case q.by == thief:
		w.stolen |= 1 << successor
	case w.client[q.by].token == q.token:
		w.client[q.by].token = successor
	}
	return w
}

// goOn takes a replica one step further, or lets it crash.
func (m sessions) goOn(w world, r int, to func(step, world)) {
	q := w.replica[r]
	done := w
	done.replica[r] = request{}
	at := func(p phase) world {
		after := w
		after.replica[r].phase = p
		return after
	}
	s := w.session[q.client]
	write := func(s Session) world {
		after := done
		after.session[q.client] = s
		return after
	}
	switch q.phase {
	case passwordChecked:
		to(step{"the session of WHO is stored, unborn", q.client, 0, false}, at(sessionStored))
	case sessionStored:
		if w.disabling == 0 || m.mutant == noSecondLook {
			to(step{"the login of WHO looks at the account again", q.client, 0, false}, at(lookedAgain))
		}
	case lookedAgain:
		if !s.Ended {
			s.Born, s.Bound = true, m.bound
			born := write(s)
			to(step{"the session of WHO is born, and the answer lost", q.client, 0, false}, born)
			born.client[q.client].token = int8(s.Generation)
			to(step{"the session of WHO is born", q.client, 0, false}, born)
		}
	case refreshLooked:
		if m.mutant == checkThenAct && s.Ended || m.mutant == revocationLoses && s.Generation != int32(q.before) {
			to(step{"the write of token WITH fails", 0, q.token, false}, done)
			return
		}
		s.Generation, s.Ended = generationOf(q.token)+1, false
		after := write(s)
		q.phase, q.before = refreshStored, 0
		after.replica[r] = q
		to(step{writesLate, q.by, q.token, true}, after)
	case refreshInDoubt:
		if s.Generation == int32(q.before) && !s.Ended {
			s.Generation = generationOf(q.token) + 1
			late := write(s)
			q.phase, q.before = refreshUnsure, 0
			late.replica[r] = q
			to(step{writesLate, q.by, q.token, true}, late)
		}
	case refreshStored, refreshUnsure:
		if q.phase == refreshStored {
			to(step{"WHO is answered with the successor of token WITH", q.by, q.token, false}, done.deliver(q, q.token+1))
			if q.client == 0 && q.by == 0 {
				q.by = thief
				to(step{"the thief intercepts the successor of token WITH", 0, q.token, false}, done.deliver(q, q.token+1))
			}
		}
		if s.Generation == generationOf(q.token)+1 && (!s.Ended || m.mutant == takebackRevives) {
			s.Generation, s.Ended = generationOf(q.token), false
			after := write(s)
			to(step{"the event of token WITH cannot be written, and its refresh is taken back", 0, q.token, false}, after)
		}
	case reuseSeen:
		if m.mutant == reuseToldFirst {
			to(step{"WHO is told of the reuse of token WITH", q.by, q.token, false}, at(reuseTold))
			return
		}
		s.Ended = true
		to(step{"the session ends for the reuse of token WITH", 0, q.token, false}, write(s))
	case reuseTold:
		s.Ended = true
		to(step{"the session ends for the reuse of token WITH", 0, q.token, false}, write(s))
	}
	to(step{"the replica with token WITH crashes, or the answer is lost", 0, q.token, false}, done)
}

const writesLate = "WHO presented token WITH, and only now it is written"

// newest is the latest generation of a session that anybody has a token of.
func (w *world) newest(c int8) int32 {
	newest := int32(-1)
	if t := w.client[c].token; t != nobody {
		newest = generationOf(t)
	}
	for t := range int8(32) {
		if c == 0 && w.stolen&(1<<t) != 0 {
			newest = max(newest, generationOf(t))
		}
	}
	return newest
}

// forget drops what makes no difference: which replica is which, and what somebody
// has of a session that is over.
func (w *world) forget() {
	for c := range w.session {
		if s := &w.session[c]; s.Ended || s.Expired {
			w.client[c] = holder{token: nobody, began: true, out: true}
			if c == 0 {
				w.stolen, w.acted = 0, true
			}
		}
	}
	slices.SortFunc(w.replica[:], func(a, b request) int { return int(a.rank() - b.rank()) })
}

// live is the generation that every session is shifted to.
const live = 6

// shift makes those states one which differ in nothing that matters: nothing depends
// on a generation but by how far it is from the live one, and what can be taken back
// is a chain of refreshes that are on their way. So what is older than all that the
// session can be set back to is alike.
func (w *world) shift() {
	for c := range w.session {
		by := live - int8(w.session[c].Generation)
		w.session[c].Generation = live
		lowest := int8(live)
		for range w.replica {
			for r := range w.replica {
				if q := &w.replica[r]; int(q.client) == c && q.undoes() && q.token+by+1 == lowest {
					lowest--
				}
			}
		}
		old := lowest - 2
		for r := range w.replica {
			q := &w.replica[r]
			if int(q.client) != c || q.phase < refreshLooked {
				continue
			}
			q.token += by
			q.token = max(old-1, q.token)
			if q.phase == refreshInDoubt {
				q.before += by
			}
			if q.phase == refreshUnsure && q.token+1 < lowest || q.phase == refreshInDoubt && q.before < lowest {
				*q = request{}
			}
			if q.phase == reuseSeen {
				q.token = 0
			}
		}
		if w.client[c].token != nobody {
			w.client[c].token = max(old, w.client[c].token+by)
		}
		if c > 0 {
			continue
		}
		var stolen uint32
		for token := range int8(32) {
			if w.stolen&(1<<token) != 0 {
				stolen |= 1 << max(old, token+by)
			}
		}
		w.stolen = stolen
	}
}

// undoes says whether the request may yet take a refresh back.
func (q *request) undoes() bool { return q.phase == refreshStored || q.phase == refreshUnsure }

func (q request) rank() int32 {
	return -(int32(q.phase)<<20 + int32(q.client)<<16 + int32(q.by)<<12 + int32(q.token)<<6 + int32(q.before))
}

// wrong is the list of the invariants.
func (m sessions) wrong(before world, did step, after world) string {
	for c := range int8(clients) {
		was, is := before.session[c], after.session[c]
		alive, honest := is.Born && !is.Ended && !is.Expired, c != 0 || !after.acted || m.bound
		holds, verdict := after.client[c].token, Advances
		if holds != nobody {
			verdict = m.judge(is, Showing{Generation: generationOf(holds), Proved: true})
		}
		switch {
		case was.Ended && !is.Ended:
			return "F6: a session that had ended lives"
		case alive && after.disabling == disabled:
			return "F7: a session lives, and its account was disabled"
		case alive && honest && verdict != Advances && verdict != Repeats:
			return "F2: a client is logged out, and no thief has done anything"
		case alive && after.client[c].out:
			return "F2: a client is told that its session is over, and it is not"
		case after.siblings(c):
			return "F2: one token has two successors"
		}
	}
	for _, q := range after.replica {
		switch {
		case q.phase == reuseSeen && q.by != thief && (q.client != 0 || !after.acted || m.bound):
			return "F2: a client is taken for a thief, and no thief has done anything"
		case q.phase == reuseTold && !after.session[q.client].Ended:
			return "F3: a reuse is answered, and the session goes on"
		}
	}
	if c := did.who % thief; did.takes && before.newest(c) <= before.session[c].Generation && before.newest(c) > generationOf(did.with)+1 {
		return "F3: a token is taken whose successor was used"
	}
	if did.takes && did.who == thief && m.bound {
		return "F8: a token is taken without its key"
	}
	return ""
}

// siblings says whether two tokens of one generation are about.
func (w *world) siblings(c int8) bool {
	tokens := w.stolen
	if c != 0 {
		tokens = 0
	}
	if t := w.client[c].token; t != nobody {
		tokens |= 1 << t
	}
	for _, q := range w.replica {
		if q.phase == refreshStored && q.client == c {
			tokens |= 1 << (q.token + 1)
		}
	}
	return tokens&(tokens>>sibling) != 0
}
