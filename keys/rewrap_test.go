package keys

import (
	"errors"
	"slices"
	"strings"
	"testing"
)

// A rewrap that is interrupted at any point has lost nothing, and the next goes on
// where it stopped.
func TestRewrapInterruptedAndRepeated(t *testing.T) {
	for name, interrupt := range map[string]func(*fakeStore){
		"the store goes":         func(s *fakeStore) { s.down = true },
		"a write's fate is lost": func(s *fakeStore) { s.lost = true },
	} {
		w := newWorld(t)
		old, next := testMasters(t, 1), testMasters(t, 1)
		both := &Masters{list: append(slices.Clone(next.list), old.list...)}
		w.replica = newReplica(t, w.store, old.Vault(), testPolicy(), &w.now)
		w.poll(t)
		b := newReplica(t, w.store, both.Vault(), testPolicy(), &w.now)
		writes := 0
		w.store.onWrite = func() {
			if writes++; writes == 2 {
				interrupt(w.store)
			}
		}
		if _, err := b.Rewrap(t.Context(), nil); !errors.Is(err, errDown) {
			t.Errorf("%s: %v", name, err)
		}
		w.store.down, w.store.lost, w.store.onWrite = false, false, nil
		// In between, both kinds are usable under both masters, by everybody.
		newReplica(t, w.store, both.Vault(), testPolicy(), &w.now).poll(t)
		n, err := newReplica(t, w.store, both.Vault(), testPolicy(), &w.now).Rewrap(t.Context(), nil)
		if err != nil || n > 1 {
			t.Errorf("%s: the second run sealed %d, %v", name, n, err)
		}
		alone := newReplica(t, w.store, next.Vault(), testPolicy(), &w.now)
		alone.poll(t)
		if alone.mustActive(t) != w.store.records[0].KID || len(alone.errs) > 0 {
			t.Errorf("%s: after it the new master key alone does not do: %v", name, alone.errs)
		}
	}
}

// What rests under a master key that is missing is named, with that master key, and
// left as it is; the rest is sealed anew.
func TestRewrapNamesTheMissingMaster(t *testing.T) {
	w := newWorld(t)
	w.poll(t)
	kid, id := w.store.records[0].KID, w.store.records[0].Sealed
	missing, _ := w.vault.SealedUnder(id)
	other, next := testMasters(t, 1), testMasters(t, 1)
	standby := w.store.records[1]
	sealed, err := other.Sealer(sealInfo).Seal(openAll(t, w.vault, standby), []byte(standby.KID))
	if err != nil {
		t.Fatal(err)
	}
	w.store.records[1].Sealed = sealed
	b := newReplica(t, w.store, (&Masters{list: append(slices.Clone(next.list), other.list...)}).Vault(), testPolicy(), &w.now)
	n, err := b.Rewrap(t.Context(), nil)
	var m *MissingMasterError
	if n != 1 || !errors.As(err, &m) || m.ID != missing || !strings.Contains(err.Error(), kid) {
		t.Fatalf("sealed %d, %v", n, err)
	}
	if !slices.Equal(w.store.records[0].Sealed, id) {
		t.Error("a key that could not be opened was touched")
	}
	list, err := b.List(t.Context())
	if err != nil || !strings.Contains(list[0].Problem, missing) || list[1].Problem != "" {
		t.Errorf("List = %+v, %v", list, err)
	}
}

// openAll returns the PKCS #8 form of a record's private key.
func openAll(t *testing.T, v Vault, r Record) []byte {
	t.Helper()
	plain, err := v.(masterVault).sealer.Open(r.Sealed, []byte(r.KID))
	if err != nil {
		t.Fatal(err)
	}
	return plain
}
