package keys

import (
	"context"
	"crypto"
	"maps"
	"reflect"
	"slices"
	"testing"
	"time"

	"pgregory.net/rapid"
)

// lossyVault cannot open the private halves of the keys in lost.
type lossyVault struct {
	Vault
	lost map[string]bool
}

func (v lossyVault) Open(ctx context.Context, sealed []byte, kid string) (crypto.Signer, error) {
	if v.lost[kid] {
		return nil, errDamaged
	}
	return v.Vault.Open(ctx, sealed, kid)
}

// damage makes a key that signs, or will, one that whoever starts from now on cannot
// open. Who has opened it goes on. Another key of its ring stays whole: with none a
// server refuses to start, and that harms no token either.
func (s *simulation) damage() {
	if s.damaged() || !s.undisturbed() {
		return
	}
	whole := map[int][]string{}
	for _, r := range s.store.records {
		if len(r.Sealed) > 0 && !r.revoked() {
			whole[r.ring()] = append(whole[r.ring()], r.KID)
		}
	}
	var choice []string
	for _, ring := range slices.Sorted(maps.Keys(whole)) {
		if kids := whole[ring]; len(kids) > 1 {
			choice = append(choice, kids...)
		}
	}
	if len(choice) > 0 {
		s.lost[rapid.SampledFrom(choice).Draw(s.t, "damaged")] = true
		s.changed = s.now
	}
}

// damaged says that there is a key which is lost to whoever starts now. What the
// schedule promises then it promises to replicas that reach the store, write to it in
// time and agree on the settings, so nothing else goes wrong meanwhile.
func (s *simulation) damaged() bool {
	return slices.ContainsFunc(s.store.records, func(r Record) bool { return s.lost[r.KID] && len(r.Sealed) > 0 && !r.revoked() })
}

// undisturbed says that nothing is going wrong.
func (s *simulation) undisturbed() bool {
	return !s.calm() && !s.store.down && !slices.ContainsFunc(s.replicas, func(r *simReplica) bool {
		return r.link.cut || !r.serving || !reflect.DeepEqual(r.policy, s.policy)
	})
}

// A key that can be opened on some replicas and not on others, or on none, costs no
// token its verification.
func TestDamagedKeyHarmsNoToken(t *testing.T) {
	vault := testMasters(t, 1).Vault()
	rapid.Check(t, func(rt *rapid.T) {
		lost := map[string]bool{}
		s := newSimulation(rt, lossyVault{vault, lost}, everyCopyVerifies)
		s.lost = lost
		s.run(true)
	})
}

// The turn of a standby that nobody can open does not come: the key before it signs
// on until the next one may, and is published for as long as its tokens live.
func TestTurnToADamagedStandby(t *testing.T) {
	w := newWorld(t)
	w.poll(t)
	first, standby := w.active(t), w.store.records[1]
	w.pass(t, standby.ActivateAt.Sub(w.now)-time.Minute)
	w.store.records[1].Sealed = []byte("damaged")
	w.replica = newReplica(t, w.store, w.vault, testPolicy(), &w.now)
	w.poll(t)
	next := w.store.records[2]
	if least := w.now.Add(w.policy.Lead); next.ActivateAt.Before(least) {
		t.Fatalf("the next signs from %v, want %v at the least", next.ActivateAt, least)
	}
	w.pass(t, next.ActivateAt.Sub(w.now)-time.Millisecond)
	if w.active(t) != first {
		t.Errorf("key %d signs before its lead is over", find(w.store.records, w.active(t)))
	}
	token, _, err := w.ring.Sign("at+jwt", []byte("{}"))
	if err != nil {
		t.Fatal(err)
	}
	w.pass(t, time.Millisecond)
	if w.active(t) != next.KID {
		t.Error("the next key does not sign when its time has come")
	}
	w.pass(t, w.policy.TokenTTL-time.Millisecond)
	if _, _, err := w.ring.Verify(token, "at+jwt"); err != nil {
		t.Errorf("a token of the key that signed on is refused: %v", err)
	}
	if len(w.store.get(first).Sealed) > 0 {
		t.Error("K4: its private half is still there")
	}
}
