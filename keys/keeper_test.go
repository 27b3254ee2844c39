package keys

import (
	"context"
	"errors"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/keyturn/keyturn/internal/audit"
	"github.com/keyturn/keyturn/internal/decision"
)

func TestFirstPollMakesTwoKeys(t *testing.T) {
	w := newWorld(t)
	w.poll(t)
	list, err := w.List(t.Context())
	if err != nil || len(list) != 2 {
		t.Fatalf("List = %v, %v", list, err)
	}
	first, standby := list[0], list[1]
	if first.State != Active || !first.ActivateAt.Equal(start) || first.MasterID == "" {
		t.Errorf("first key: %+v", first)
	}
	if standby.State != Standby || !standby.ActivateAt.Equal(start.Add(time.Hour)) {
		t.Errorf("standby: %+v", standby)
	}
	if !first.RetireAt.Equal(standby.ActivateAt) || !standby.RetireAt.IsZero() {
		t.Errorf("RetireAt %v and %v", first.RetireAt, standby.RetireAt)
	}
	if w.log.count(audit.KeyCreated, audit.Success) != 2 || w.log.count(audit.KeyActivated, audit.Success) != 1 {
		t.Errorf("events: %v", w.log.events)
	}
	writes := w.store.writes
	w.poll(t)
	if w.store.writes != writes || len(w.log.events) != 3 {
		t.Error("a poll with nothing due wrote something")
	}
}

func TestReplicasAgreeOnTheFirstKeys(t *testing.T) {
	w := newWorld(t)
	b := newReplica(t, w.store, w.vault, testPolicy(), &w.now)
	// The other replica is faster between reading and writing.
	w.store.onWrite = func() {
		w.store.onWrite = nil
		b.poll(t)
	}
	w.poll(t)
	if len(w.store.records) != 2 || w.active(t) != b.mustActive(t) {
		t.Fatalf("%d keys, signing %s and %s", len(w.store.records), w.active(t), b.mustActive(t))
	}
	if n := w.log.count(audit.KeyCreated, audit.Success); n != 0 {
		t.Errorf("the loser recorded %d creations", n)
	}
}

func (r *replica) mustActive(t testing.TB) string {
	t.Helper()
	info, err := r.ring.Active()
	if err != nil {
		t.Fatal(err)
	}
	return info.KID
}

func TestWrongMasterKeysTouchNothing(t *testing.T) {
	w := newWorld(t)
	w.poll(t)
	id, _ := w.vault.SealedUnder(w.store.records[0].Sealed)
	w.now = w.now.Add(48 * time.Hour)
	stranger := newReplica(t, w.store, testMasters(t, 1).Vault(), testPolicy(), &w.now)
	writes := w.store.writes
	err := stranger.Poll(t.Context())
	var missing *MissingMasterError
	if !errors.As(err, &missing) || missing.ID != id || !strings.Contains(err.Error(), w.store.records[0].KID) {
		t.Fatalf("Poll: %v", err)
	}
	if _, err := stranger.Rotate(t.Context(), ""); !errors.As(err, &missing) {
		t.Errorf("Rotate: %v", err)
	}
	if err := stranger.Revoke(t.Context(), w.store.records[0].KID, "test"); !errors.As(err, &missing) {
		t.Errorf("Revoke: %v", err)
	}
	if w.store.writes != writes {
		t.Error("a replica with the wrong master keys wrote to the store")
	}
	if _, _, err := stranger.ring.Sign("at+jwt", nil); !errors.Is(err, ErrNoSigningKey) {
		t.Errorf("Sign: %v", err)
	}
	if list, err := stranger.List(t.Context()); err != nil || len(list) != 2 {
		t.Errorf("List = %v, %v", list, err)
	}
}

func TestDamagedKeyIsReportedAndSkipped(t *testing.T) {
	for name, damage := range map[string]func(*Record){
		"sealed":      func(r *Record) { r.Sealed = slices.Clone(r.Sealed); r.Sealed[60] ^= 1 },
		"cut off":     func(r *Record) { r.Sealed = r.Sealed[:10] },
		"public":      func(r *Record) { r.Public = []byte("{}") },
		"unknown alg": func(r *Record) { r.Alg = "ML-DSA-65" },
	} {
		w := newWorld(t)
		w.poll(t)
		damage(&w.store.records[0])
		kid := w.store.records[0].KID
		b := newReplica(t, w.store, w.vault, testPolicy(), &w.now)
		b.poll(t)
		b.poll(t)
		if b.mustActive(t) != w.store.records[1].KID || len(w.store.records) != 3 {
			t.Errorf("%s: signs with %s of %d keys", name, b.mustActive(t), len(w.store.records))
		}
		if len(b.errs) != 1 || !strings.Contains(b.errs[0].Error(), kid) {
			t.Errorf("%s: reported %v", name, b.errs)
		}
	}
}

// What the schedule does while the log is full is recorded by another process, and once.
func TestA3_KeysOweTheirEvents(t *testing.T) {
	w := newWorld(t)
	full := errors.New("disk is full")
	w.log.err = full
	if err := w.Poll(t.Context()); !errors.Is(err, full) {
		t.Fatalf("Poll: %v", err)
	}
	if err := w.Revoke(t.Context(), w.active(t), "stolen"); !errors.Is(err, full) {
		t.Fatalf("Revoke: %v", err)
	}
	for w.now.Before(start.Add(3 * time.Hour)) {
		w.now = w.now.Add(w.policy.Poll)
		_ = w.Poll(t.Context()) // full
	}
	if slices.ContainsFunc(w.store.records, func(r Record) bool { return r.Archived }) {
		t.Error("a key is archived without its event")
	}
	next := newReplica(t, w.store, w.vault, testPolicy(), &w.now)
	for range 2 {
		next.poll(t)
		w.now = w.now.Add(w.policy.Poll)
	}
	made, erased := map[string]int{}, map[string]int{}
	for _, e := range next.log.events {
		switch e.Action {
		case audit.KeyCreated:
			made[e.KeyID]++
		case audit.KeyErased:
			erased[e.KeyID]++
		}
	}
	for _, r := range w.store.records {
		gone := 0
		if len(r.Sealed) == 0 {
			gone = 1
		}
		if made[r.KID] != 1 || erased[r.KID] != gone {
			t.Errorf("key %d: %d creations and %d of %d erasures recorded", r.Seq, made[r.KID], erased[r.KID], gone)
		}
	}
	if n := next.log.count(audit.KeyRevoked, audit.Success); n != 1 || len(made) < 4 || len(erased) < 2 {
		t.Errorf("%d revocations, %d keys, %d erased", n, len(made), len(erased))
	}
}

// A process that dies when it has made a key leaves the event to whoever polls next.
func TestA3_KeyWhoseMakerDiedIsRecorded(t *testing.T) {
	w := newWorld(t)
	w.store.lost = true
	if err := newReplica(t, &link{fakeStore: w.store}, w.vault, testPolicy(), &w.now).Poll(t.Context()); !errors.Is(err, errDown) {
		t.Fatalf("Poll: %v", err)
	}
	w.store.lost = false
	w.pass(t, decision.Grace)
	w.poll(t)
	if n := w.log.count(audit.KeyCreated, audit.Success); n != 2 || len(w.store.records) != 2 {
		t.Errorf("%d creations recorded of %d", n, len(w.store.records))
	}
}

func TestReadOnlyStoreStillFillsTheRing(t *testing.T) {
	w := newWorld(t)
	w.poll(t)
	b := newReplica(t, w.store, w.vault, testPolicy(), &w.now)
	b.poll(t)
	first := b.mustActive(t)
	if err := w.Revoke(t.Context(), first, "test"); err != nil {
		t.Fatal(err)
	}
	w.store.readOnly = true
	w.now = w.now.Add(time.Hour)
	if err := b.Poll(t.Context()); !errors.Is(err, errDown) {
		t.Errorf("Poll: %v", err)
	}
	if published(b.ring)[first] || b.mustActive(t) == first {
		t.Error("the revocation did not arrive")
	}
}

func TestSlowWriteIsPutOff(t *testing.T) {
	w := newWorld(t)
	w.policy.Interval = w.policy.Lead
	w.ring.policy = w.policy
	writes := 0
	w.store.onWrite = func() {
		if writes++; writes == 2 {
			w.now = w.now.Add(time.Minute)
		}
	}
	w.poll(t)
	standby := w.store.records[1]
	if earliest := w.now.Add(w.policy.Lead); standby.ActivateAt.Before(earliest) || standby.CreatedAt.Before(w.now) {
		t.Errorf("published at %v, created %v, signs from %v", w.now, standby.CreatedAt, standby.ActivateAt)
	}
}

func TestTokenTTLIsRaised(t *testing.T) {
	w := newWorld(t)
	w.poll(t)
	longer := testPolicy()
	longer.TokenTTL = time.Hour
	b := newReplica(t, w.store, w.vault, longer, &w.now)
	b.poll(t)
	if b.ring.TokenTTL() != time.Hour || w.store.records[0].TokenTTL != time.Hour || w.store.records[1].TokenTTL != time.Hour {
		t.Errorf("TokenTTL() = %v, stored %v", b.ring.TokenTTL(), w.store.records[0].TokenTTL)
	}
	w.poll(t)
	if w.ring.TokenTTL() != testPolicy().TokenTTL || w.store.records[0].TokenTTL != time.Hour {
		t.Error("a replica with a shorter life must sign for less, and leave the record")
	}
}

func TestRotate(t *testing.T) {
	w := newWorld(t)
	w.poll(t)
	w.pass(t, 2*time.Minute)
	old, standby := w.active(t), w.store.records[1].KID
	turned, err := w.Rotate(t.Context(), "")
	if err != nil || turned.KID != standby || !turned.ActivateAt.Equal(start.Add(testPolicy().Lead)) {
		t.Fatalf("Rotate = %s at %v, %v", turned.KID, turned.ActivateAt, err)
	}
	if _, err := w.Rotate(t.Context(), ""); !errors.Is(err, errTurnScheduled) || !strings.Contains(err.Error(), "2026-11-01T12:10:00Z") {
		t.Errorf("second Rotate: %v", err)
	}
	w.poll(t)
	if w.active(t) != old {
		t.Error("the standby signs before its lead is over")
	}
	w.pass(t, 8*time.Minute)
	if w.active(t) != standby {
		t.Error("the standby does not sign")
	}
	w.pass(t, 10*time.Minute)
	writes := len(w.store.records)
	if _, err := w.Rotate(t.Context(), ""); err != nil {
		t.Fatal(err)
	}
	w.poll(t)
	if len(w.store.records) != writes+1 || w.active(t) == standby {
		t.Error("a standby past its lead signs at once, and another is made")
	}
	if s, f := w.log.count(audit.KeyRotated, audit.Success), w.log.count(audit.KeyRotated, audit.Failure); s != 2 || f != 1 {
		t.Errorf("recorded %d turns and %d refusals", s, f)
	}
}

// A turn that was decided begins when it is written, however late that is: until then
// the key before signs, and its tokens live on.
func TestK3_TurnThatIsWrittenLateBeginsThen(t *testing.T) {
	w := newWorld(t)
	w.poll(t)
	w.pass(t, 20*time.Minute)
	first, standby := w.active(t), w.store.records[1].KID
	command := newReplica(t, &link{fakeStore: w.store}, w.vault, testPolicy(), &w.now)
	// The command dies when it has written its proposal, after the next standby and
	// its event.
	writes := 0
	w.store.onWrite = func() { writes++; w.store.lost = writes == 3 }
	if _, err := command.Rotate(t.Context(), ""); err == nil || w.active(t) != first {
		t.Fatalf("Rotate: %v", err)
	}
	w.store.onWrite, w.store.lost = nil, false
	decided := w.now
	w.log.err = errors.New("disk is full")
	for w.now.Before(decided.Add(10 * time.Minute)) {
		w.now = w.now.Add(w.policy.Poll)
		_ = w.Poll(t.Context()) // the event cannot be written
	}
	if w.active(t) != first {
		t.Fatal("A3: the turn stands without its event")
	}
	token, _, err := w.ring.Sign("at+jwt", []byte("{}"))
	if err != nil {
		t.Fatal(err)
	}
	w.log.err = nil
	w.pass(t, 2*w.policy.Poll)
	if w.active(t) != standby {
		t.Fatal("the turn was not carried through")
	}
	w.pass(t, w.policy.TokenTTL-2*w.policy.Poll-time.Millisecond)
	if _, _, err := w.ring.Verify(token, "at+jwt"); err != nil {
		t.Errorf("a token that was signed before the turn is refused: %v", err)
	}
}

func TestRotateUnrecordedIsNotMade(t *testing.T) {
	w := newWorld(t)
	w.poll(t)
	w.pass(t, 20*time.Minute)
	before := w.store.get(w.store.records[1].KID)
	full := errors.New("disk is full")
	w.log.err = full
	if _, err := w.Rotate(t.Context(), ""); !errors.Is(err, full) {
		t.Fatalf("Rotate: %v", err)
	}
	if after := w.store.get(before.KID); !after.ActivateAt.Equal(before.ActivateAt) {
		t.Error("A3: the turn stands without its event")
	}
}

func TestRevokeRefuses(t *testing.T) {
	w := newWorld(t)
	w.poll(t)
	kid := w.active(t)
	for _, c := range []struct {
		kid, reason string
		want        error
	}{
		{"unknown", "test", ErrNoKey},
		{kid, " \n", errNoReason},
		{kid, strings.Repeat("x", 501), errNoReason},
		{kid, "stolen", nil},
		{kid, "stolen", errRevoked},
	} {
		if err := w.Revoke(t.Context(), c.kid, c.reason); !errors.Is(err, c.want) {
			t.Errorf("Revoke(%q, %.10q) = %v, want %v", c.kid, c.reason, err, c.want)
		}
	}
	if s, f := w.log.count(audit.KeyRevoked, audit.Success), w.log.count(audit.KeyRevoked, audit.Failure); s != 1 || f != 4 {
		t.Errorf("recorded %d revocations and %d refusals", s, f)
	}
}

func TestRevokeWorksWithoutTheLog(t *testing.T) {
	w := newWorld(t)
	w.poll(t)
	kid := w.active(t)
	full := errors.New("disk is full")
	w.log.err = full
	if err := w.Revoke(t.Context(), kid, "stolen"); !errors.Is(err, full) {
		t.Fatalf("Revoke: %v", err)
	}
	if r := w.store.get(kid); r.RevokedAt.IsZero() {
		t.Error("not revoked")
	}
	w.log.err = nil
	w.poll(t)
	if w.log.count(audit.KeyRevoked, audit.Success) != 1 || w.active(t) == kid {
		t.Error("the revocation was not recorded afterwards, or did not arrive")
	}
}

func TestRevokeTheLastUsableKey(t *testing.T) {
	w := newWorld(t)
	w.poll(t)
	w.store.records[1].Sealed = w.store.records[1].Sealed[:10]
	b := newReplica(t, w.store, w.vault, testPolicy(), &w.now)
	if err := b.Revoke(t.Context(), w.store.records[0].KID, "stolen"); err != nil {
		t.Fatal(err)
	}
	b.poll(t)
	if len(w.store.records) != 5 || b.mustActive(t) != w.store.records[2].KID {
		t.Errorf("%d keys, signing %s", len(w.store.records), b.mustActive(t))
	}
}

func TestRewrap(t *testing.T) {
	w := newWorld(t)
	old, next := testMasters(t, 1), testMasters(t, 1)
	w.replica = newReplica(t, w.store, old.Vault(), testPolicy(), &w.now)
	w.poll(t)
	both := &Masters{list: append(slices.Clone(next.list), old.list...)}
	b := newReplica(t, w.store, both.Vault(), testPolicy(), &w.now)
	b.poll(t)
	var steps []int
	n, err := b.Rewrap(t.Context(), func(done, total int) { steps = append(steps, done, total) })
	if n != 2 || err != nil || !slices.Equal(steps, []int{1, 2, 2, 2}) {
		t.Fatalf("Rewrap = %d, %v; progress %v", n, err, steps)
	}
	if n, err := b.Rewrap(t.Context(), nil); n != 0 || err != nil {
		t.Errorf("again: %d, %v", n, err)
	}
	if b.log.count(audit.KeyRewrapped, audit.Success) != 2 {
		t.Errorf("events: %v", b.log.events)
	}
	newReplica(t, w.store, next.Vault(), testPolicy(), &w.now).poll(t)
	// A replica that has the old master key only goes on with what it opened.
	w.poll(t)
	if w.active(t) != w.store.records[0].KID {
		t.Error("rewrapping disturbed a running replica")
	}
}

func TestFresh(t *testing.T) {
	w := newWorld(t)
	if _, ever := w.ViewAge(); w.Fresh() || ever {
		t.Error("fresh before the first poll")
	}
	w.poll(t)
	// A jump of the clock makes the view no older.
	w.offset = time.Hour
	for _, age := range []time.Duration{0, 3*w.policy.Poll + w.policy.Skew, 3*w.policy.Poll + w.policy.Skew + 1} {
		w.now = start.Add(age)
		got, ever := w.ViewAge()
		if got != age || !ever || w.Fresh() != (age <= 3*w.policy.Poll+w.policy.Skew) {
			t.Errorf("at %v: view age %v, fresh %v", age, got, w.Fresh())
		}
	}
}

func BenchmarkPollNothingNew(b *testing.B) {
	w := newWorld(b)
	w.poll(b)
	b.ReportAllocs()
	for b.Loop() {
		if err := w.Poll(context.Background()); err != nil {
			b.Fatal(err)
		}
	}
}
