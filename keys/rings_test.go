package keys

import (
	"encoding/json"
	"slices"
	"testing"
	"time"

	"github.com/keyturn/keyturn/internal/audit"
)

func algPolicy(algs ...string) Policy {
	p := testPolicy()
	p.Algs = algs
	return p
}

// signedBy is the algorithm that a replica signs with for a client of alg.
func signedBy(t *testing.T, r *replica, alg string) string {
	t.Helper()
	compact, _, err := r.ring.SignWith(alg, "at+jwt", []byte("{}"))
	if err != nil {
		t.Fatal(err)
	}
	token, err := parseToken(compact)
	if err != nil {
		t.Fatal(err)
	}
	if _, _, err := r.ring.Verify(compact, "at+jwt"); err != nil {
		t.Errorf("a token of %s is refused: %v", token.alg, err)
	}
	return token.alg
}

// On an empty store every algorithm signs at once: the keys of the others were
// written before the one without which nobody serves.
func TestK1_AllAlgorithmsSignFromTheBeginning(t *testing.T) {
	w := newWorld(t)
	r := newReplica(t, w.store, w.vault, algPolicy(ES256, EdDSA, Ed25519), &w.now)
	var order []string
	w.store.onWrite = func() {
		for _, k := range w.store.records {
			if !slices.Contains(order, k.Alg) {
				order = append(order, k.Alg)
			}
		}
	}
	r.poll(t)
	for _, alg := range []string{ES256, EdDSA, Ed25519} {
		if got := signedBy(t, r, alg); got != alg {
			t.Errorf("%s signs for %s", got, alg)
		}
	}
	if got := signedBy(t, r, PS256); got != ES256 {
		t.Errorf("%s signs for an algorithm that is not wanted", got)
	}
	if !slices.Equal(order, []string{EdDSA, Ed25519, ES256}) {
		t.Errorf("the first keys were made in the order %v", order)
	}
	first := r.ring.Published()
	if st := r.Status(); st.Standbys != 1 || st.Published != 6 || len(first.Keys) != 6 || len(st.Warnings) > 0 {
		t.Errorf("status %+v", st)
	}
}

// What is added later waits for its lead, and its clients have the default
// meanwhile (K1).
func TestK1_AddedAlgorithmWaitsForItsLead(t *testing.T) {
	w := newWorld(t)
	w.poll(t)
	r := newReplica(t, w.store, w.vault, algPolicy(ES256, EdDSA), &w.now)
	r.poll(t)
	w.now = w.now.Add(w.policy.Lead - time.Millisecond)
	if got := signedBy(t, r, EdDSA); got != ES256 {
		t.Errorf("%s signs before its lead is over", got)
	}
	w.now = w.now.Add(time.Millisecond)
	if got := signedBy(t, r, EdDSA); got != EdDSA {
		t.Errorf("%s signs after the lead of EdDSA", got)
	}
	if signedBy(t, w.replica, EdDSA) != ES256 {
		t.Error("a replica signs with an algorithm that it was not told")
	}
}

// Who makes a key of one ring may not have read the newest of the main one, and so not
// keep the longer lead that it promises: nobody relies on that yet.
func TestK1_PromiseIsReliedOnOnceAllRingsKeepIt(t *testing.T) {
	w := newWorld(t)
	w.poll(t)
	w.pass(t, time.Hour-w.policy.Lead)
	patient := testPolicy()
	patient.Lead, patient.MaxAge, patient.Poll = 40*time.Minute, 30*time.Minute, time.Minute
	other := newReplica(t, w.store, w.vault, patient, &w.now)
	r := newReplica(t, w.store, w.vault, algPolicy(ES256, EdDSA), &w.now)
	w.now = w.store.records[1].ActivateAt.Add(-patient.Poll) // time for the other's standby
	w.store.onWrite = func() {
		w.store.onWrite = nil
		other.poll(t)
	}
	r.poll(t)
	if n := len(w.store.records); n < 4 || w.store.records[2].Lead != patient.Lead {
		t.Fatalf("%d keys, not made at once", n)
	}
	first := w.store.records[3]
	if _, knows := other.ring.snapshot.Load().verifiers[first.KID]; knows || !first.Beside() {
		t.Fatal("the other replica has read the key")
	}
	if age := other.ring.Published().MaxAge; w.now.Add(age).After(first.ActivateAt) {
		t.Errorf("a copy without key %d lives for %v; the key signs in %v", first.Seq, age, first.ActivateAt.Sub(w.now))
	}
}

// Verifiers that are given the whole set and take its first key find one that signs,
// at every moment of a turn, also when the keys before it are still published.
func TestSigningKeysArePublishedFirst(t *testing.T) {
	w := newWorld(t)
	algs := []string{ES256, EdDSA}
	r := newReplica(t, w.store, w.vault, algPolicy(algs...), &w.now)
	most := 0
	for range 3 * 12 {
		r.poll(t)
		set := r.ring.Published().Keys
		most = max(most, len(set))
		var first, sign []string
		for i, alg := range algs {
			var jwk struct{ Kid string }
			if err := json.Unmarshal(set[i], &jwk); err != nil {
				t.Fatal(err)
			}
			_, kid, err := r.ring.SignWith(alg, "at+jwt", []byte("{}"))
			if err != nil {
				t.Fatal(err)
			}
			first, sign = append(first, jwk.Kid), append(sign, kid)
		}
		slices.Sort(first)
		slices.Sort(sign)
		if !slices.Equal(first, sign) {
			t.Fatalf("at %v the first keys of the set are %v; %v sign", w.now, first, sign)
		}
		w.now = w.now.Add(5 * time.Minute)
	}
	if most <= 2*len(algs) {
		t.Errorf("never more than %d keys were published: none of an earlier turn", most)
	}
}

// A ring that nobody wants gets no more keys, ends when its time is over, and its
// private halves are erased (K4).
func TestK4_DroppedAlgorithmEnds(t *testing.T) {
	w := newWorld(t)
	r := newReplica(t, w.store, w.vault, algPolicy(ES256, EdDSA), &w.now)
	r.poll(t)
	token, kid, err := r.ring.SignWith(EdDSA, "at+jwt", []byte("{}"))
	if err != nil {
		t.Fatal(err)
	}
	w.poll(t)
	if _, _, err := w.ring.Verify(token, "at+jwt"); err != nil {
		t.Errorf("the token of a dropped algorithm is refused: %v", err)
	}
	w.pass(t, 4*time.Hour)
	made := 0
	for _, k := range w.store.records {
		if k.Beside() {
			made++
			if len(k.Sealed) > 0 || k.Alg != EdDSA {
				t.Errorf("key %s of %s is not erased", k.KID, k.Alg)
			}
		}
	}
	if made != 2 || published(w.ring)[kid] {
		t.Errorf("the dropped algorithm has %d keys", made)
	}
	// It is wanted again.
	r.poll(t)
	w.now = w.now.Add(w.policy.Lead)
	r.poll(t)
	if got := signedBy(t, r, EdDSA); got != EdDSA {
		t.Errorf("%s signs after the algorithm has come back", got)
	}
}

// That a ring has ended is known for as long as a key of it is: what it gets when it is
// wanted again waits for its lead, also where the keys before the last signed for longer.
func TestK1_RingThatEndedWaitsForItsLeadWhenItIsWantedAgain(t *testing.T) {
	w := newWorld(t)
	long, short := algPolicy(ES256, EdDSA), algPolicy(ES256, EdDSA)
	long.TokenTTL, short.TokenTTL = 6*time.Hour, time.Minute
	newReplica(t, w.store, w.vault, long, &w.now).poll(t)
	both := &world{store: w.store, vault: w.vault, now: w.now}
	both.replica = newReplica(t, w.store, w.vault, short, &both.now)
	both.pass(t, time.Hour+time.Minute)
	w.now = both.now
	w.pass(t, 4*time.Hour)
	if last := w.store.records[len(w.store.records)-1]; last.EndAt.IsZero() || len(last.Sealed) > 0 {
		t.Fatalf("the ring has not ended: %+v", last)
	}
	again := newReplica(t, w.store, w.vault, short, &w.now)
	again.poll(t)
	w.poll(t) // it has seen the ring end, and archives what it may
	w.now = w.now.Add(w.policy.Lead - time.Millisecond)
	again.poll(t)
	if got := signedBy(t, again, EdDSA); got != ES256 {
		t.Errorf("%s signs before its lead is over", got)
	}
}

// Every copy of the key set holds the keys of all algorithms, so a revocation is
// answered in every ring.
func TestK6_SecondTurnInEveryRing(t *testing.T) {
	w := newWorld(t)
	r := newReplica(t, w.store, w.vault, algPolicy(ES256, EdDSA), &w.now)
	r.poll(t)
	w.now = w.now.Add(time.Minute)
	before := map[string]bool{}
	for _, k := range w.store.records {
		before[k.KID] = true
	}
	_, stolen, _ := r.ring.SignWith(EdDSA, "at+jwt", nil)
	_, other, _ := r.ring.SignWith(ES256, "at+jwt", nil)
	if err := r.Revoke(t.Context(), stolen, "stolen"); err != nil {
		t.Fatal(err)
	}
	r.poll(t)
	if _, kid, _ := r.ring.SignWith(ES256, "at+jwt", nil); kid != other {
		t.Error("the other algorithm's key was disturbed")
	}
	if _, kid, _ := r.ring.SignWith(EdDSA, "at+jwt", nil); kid == stolen || !before[kid] {
		t.Error("the standby does not sign")
	}
	w.now = w.now.Add(w.policy.Lead)
	for _, alg := range []string{ES256, EdDSA} {
		if _, kid, _ := r.ring.SignWith(alg, "at+jwt", nil); before[kid] {
			t.Errorf("no key of %s that was made after the revocation signs", alg)
		}
	}
	if n := r.log.count(audit.KeyActivated, audit.Success); n < 3 {
		t.Errorf("%d activations recorded", n)
	}
}

func TestRotateOneAlgorithm(t *testing.T) {
	w := newWorld(t)
	r := newReplica(t, w.store, w.vault, algPolicy(ES256, EdDSA), &w.now)
	r.poll(t)
	w.now = w.now.Add(30 * time.Minute)
	r.poll(t)
	_, main, _ := r.ring.Sign("at+jwt", nil)
	turned, err := r.Rotate(t.Context(), EdDSA)
	if err != nil || turned.Alg != EdDSA {
		t.Fatalf("turned %s, %v", turned.Alg, err)
	}
	r.poll(t)
	if _, kid, _ := r.ring.SignWith(EdDSA, "at+jwt", nil); kid != turned.KID {
		t.Error("the standby of EdDSA does not sign")
	}
	if _, kid, _ := r.ring.Sign("at+jwt", nil); kid != main {
		t.Error("the main ring turned")
	}
	if _, err := r.Rotate(t.Context(), PS256); err == nil {
		t.Error("an algorithm without keys was turned")
	}
}
