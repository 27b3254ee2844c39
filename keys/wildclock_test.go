package keys

import (
	"testing"
	"time"
)

// A replica whose clock jumps by any amount takes no key from the others, and still
// publishes what it saw signing until the tokens are over; once the clock is right
// again, so is everything.
func TestK3_WildClockHarmsNobodyElse(t *testing.T) {
	for _, jump := range []time.Duration{2 * time.Hour, 90 * 24 * time.Hour, -2 * time.Hour, -90 * 24 * time.Hour} {
		w := newWorld(t)
		w.poll(t)
		wild := newReplica(t, w.store, w.vault, testPolicy(), &w.now)
		wild.poll(t)
		kid := w.active(t)
		token, _, err := w.ring.Sign("at+jwt", []byte("{}"))
		if err != nil {
			t.Fatal(err)
		}
		wild.offset = jump
		for passed := time.Duration(0); passed < w.policy.TokenTTL; passed += w.policy.Poll {
			for _, r := range []*replica{wild, w.replica} {
				r.poll(t)
				if _, _, err := r.ring.Verify(token, "at+jwt"); err != nil {
					t.Fatalf("%v after a jump by %v: %v", passed, jump, err)
				}
				if _, _, err := r.ring.Sign("at+jwt", nil); err != nil {
					t.Fatalf("%v after a jump by %v: %v", passed, jump, err)
				}
			}
			w.now = w.now.Add(w.policy.Poll)
		}
		if r := w.store.get(kid); r.Archived {
			t.Errorf("a jump by %v archived a key whose tokens were live", jump)
		}
		wild.offset = 0
		wild.poll(t)
		if wild.mustActive(t) != w.mustActive(t) {
			t.Errorf("after a jump by %v and back the replicas disagree", jump)
		}
	}
}

// One poll by a wrong clock erases and archives nothing.
func TestK4_WildClockErasesNothingAtOnce(t *testing.T) {
	w := newWorld(t)
	w.poll(t)
	kid := w.active(t)
	wild := newReplica(t, w.store, w.vault, testPolicy(), &w.now)
	wild.offset = 90 * 24 * time.Hour
	wild.poll(t)
	wild.poll(t)
	if r := w.store.get(kid); len(r.Sealed) == 0 || r.Archived {
		t.Error("a process that has just started, with a wrong clock, took the signing key from the others")
	}
}
