package keys

import (
	"context"
	"errors"
	"slices"
	"strings"
	"testing"
	"testing/synctest"
	"time"
)

// codes are the codes of what a replica warns of.
func (r *replica) codes() []string {
	var list []string
	for _, w := range r.Status().Warnings {
		list = append(list, w.Code)
	}
	return list
}

func TestStatusWarns(t *testing.T) {
	for _, c := range []struct {
		name string
		// happen brings the world into the state, which it says the codes of.
		happen func(*testing.T, *world)
		want   []string
	}{
		{"in good order", func(*testing.T, *world) {}, nil},
		{"a long outage", func(t *testing.T, w *world) {
			w.store.down = true
			w.now = w.now.Add(time.Hour)
		}, []string{standbyMissing}},
		{"a longer one", func(t *testing.T, w *world) {
			w.store.down = true
			w.now = w.now.Add(2*time.Hour + 2*w.policy.Poll + w.policy.Skew + time.Millisecond)
		}, []string{standbyMissing, turnOverdue}},
		{"a damaged standby in a store that cannot be written to", func(t *testing.T, w *world) {
			w.store.records[1].Sealed = w.store.records[1].Sealed[:10]
			w.store.readOnly = true
			w.replica = newReplica(t, w.store, w.vault, testPolicy(), &w.now)
			if err := w.Poll(t.Context()); !errors.Is(err, errDown) {
				t.Fatal(err)
			}
		}, []string{standbyMissing, keyUnusable}},
		{"a standby that a wrong clock made", func(t *testing.T, w *world) {
			w.store.records[1].ActivateAt = w.now.Add(90 * 24 * time.Hour)
			w.store.records[1].Version++
			w.poll(t)
		}, []string{turnFarOff}},
	} {
		w := newWorld(t)
		w.poll(t)
		c.happen(t, w)
		if got := w.codes(); !slices.Equal(got, c.want) {
			t.Errorf("%s: warns of %v, want %v", c.name, got, c.want)
		}
		if _, _, err := w.ring.Sign("at+jwt", nil); err != nil {
			t.Errorf("%s: a warning is no outage, but %v", c.name, err)
		}
	}
}

// A warning reaches the log as it comes up, and again every hour; the turns and
// failures are counted.
func TestRunReportsWarningsAndCounts(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := &fakeStore{}
		reported := 0
		k, err := NewKeeper(Options{
			Store: s, Vault: testMasters(t, 1).Vault(), Policy: testPolicy(), Audit: &recorder{}, Now: time.Now,
			OnError: func(err error) {
				if strings.HasPrefix(err.Error(), standbyMissing) {
					reported++
				}
			},
		})
		if err != nil {
			t.Fatal(err)
		}
		ctx, cancel := context.WithCancel(t.Context())
		if err := k.Poll(ctx); err != nil {
			t.Fatal(err)
		}
		done := make(chan struct{})
		go func() { defer close(done); k.Run(ctx) }()
		s.mu.Lock()
		s.down = true
		s.mu.Unlock()
		<-time.After(4*time.Hour - time.Second)
		synctest.Wait()
		polls := uint64((4*time.Hour - time.Second) / testPolicy().Poll)
		if got := k.Counts(); got.Turns != 1 || got.Emergencies != 0 || got.PollFailures != polls {
			t.Errorf("counted %+v, want 1 turn and %d failed polls", got, polls)
		}
		if reported != 3 {
			t.Errorf("a standby that was missing for three hours was reported %d times", reported)
		}
		cancel()
		<-done
	})
}

func TestCountsEmergencies(t *testing.T) {
	w := newWorld(t)
	w.poll(t)
	w.pass(t, time.Minute)
	if err := w.Revoke(t.Context(), w.active(t), "stolen"); err != nil {
		t.Fatal(err)
	}
	w.pass(t, time.Minute)
	if got := w.Counts(); got.Turns != 0 || got.Emergencies != 1 {
		t.Errorf("counted %+v", got)
	}
	if st := w.Status(); st.Active.KID != w.active(t) || st.Standbys != 2 || st.Published != 3 || st.Unusable != 0 {
		t.Errorf("status %+v", st)
	}
}

// A poll that finds nothing new is one read.
func TestPollOfNothingNewIsOneRead(t *testing.T) {
	w := newWorld(t)
	w.poll(t)
	reads, writes := w.store.reads, w.store.writes
	w.poll(t)
	if w.store.reads != reads+1 || w.store.writes != writes {
		t.Errorf("%d reads and %d writes", w.store.reads-reads, w.store.writes-writes)
	}
}
