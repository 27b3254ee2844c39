package storetest

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/keyturn/keyturn/internal/audit"
	"github.com/keyturn/keyturn/keys"
)

// tally counts the events of all replicas by action.
type tally struct {
	mu sync.Mutex
	n  map[audit.Action]int
}

// Record implements audit.Recorder.
func (l *tally) Record(_ context.Context, e audit.Event) error {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.n[e.Action]++
	return nil
}

// keyReplicas starts replicas at the same instant on an empty store, lets the store
// be lost over a turn, and comes back to it.
func (s *suite) keyReplicas(t *testing.T) {
	const n = 4
	stores := s.replicas(t, n)
	line, err := keys.NewMaster()
	ok(t, err)
	masters, err := keys.ParseMasters([]byte(line))
	ok(t, err)
	var ahead atomic.Int64
	clock := func() time.Time { return epoch.Add(time.Duration(ahead.Load())) }
	log := &tally{n: map[audit.Action]int{}}
	policy := keys.Policy{
		Algs: []string{keys.EdDSA}, Interval: time.Hour, Lead: 10 * time.Minute, Poll: 15 * time.Second,
		Skew: 5 * time.Second, MaxAge: 5 * time.Minute, TokenTTL: 20 * time.Minute,
	}
	keepers := make([]*keys.Keeper, n)
	for i := range keepers {
		keepers[i], err = keys.NewKeeper(keys.Options{Store: stores[i], Vault: masters.Vault(), Policy: policy, Audit: log, Now: clock})
		ok(t, err)
	}
	poll := func(ctx context.Context) []error {
		errs := make([]error, n)
		race(n, func(i int) { errs[i] = keepers[i].Poll(ctx) })
		return errs
	}
	ok(t, errors.Join(poll(t.Context())...))
	ok(t, errors.Join(poll(t.Context())...))
	s.keysAgree(t, keepers, 2)
	if got := log.n[audit.KeyCreated]; got != 2 {
		t.Errorf("%d keys were recorded as created; want 2", got)
	}
	records := allKeys(t, stores[0])

	// The store is lost a minute before the turn and found a minute after.
	lost, cancel := context.WithCancel(t.Context())
	cancel()
	for _, at := range []time.Duration{59 * time.Minute, time.Hour - time.Millisecond, time.Hour} {
		ahead.Store(int64(at))
		for i, err := range poll(lost) {
			if err == nil {
				t.Errorf("replica %d read a store that was lost", i)
			}
			want := records[0].KID
			if at == time.Hour {
				want = records[1].KID
			}
			if _, kid, err := keepers[i].Ring().Sign("at+jwt", []byte("{}")); err != nil || kid != want {
				t.Errorf("at %v replica %d signs with %s, %v; want %s", at, i, kid, err, want)
			}
		}
	}
	ahead.Store(int64(61 * time.Minute))
	ok(t, errors.Join(poll(t.Context())...))
	ok(t, errors.Join(poll(t.Context())...))
	s.keysAgree(t, keepers, 3)
	if got := log.n[audit.KeyCreated]; got != 3 {
		t.Errorf("%d keys were recorded as created; want 3", got)
	}
}

// keysAgree holds every replica to the same set of so many keys, in one order,
// numbered without a gap.
func (s *suite) keysAgree(t *testing.T, keepers []*keys.Keeper, want int) {
	t.Helper()
	first := keepers[0].Ring().Published()
	for i, k := range keepers {
		set := k.Ring().Published()
		if fmt.Sprintf("%s", set.Keys) != fmt.Sprintf("%s", first.Keys) || len(set.Keys) != want {
			t.Errorf("replica %d publishes %s; the first publishes %s", i, set.Keys, first.Keys)
		}
	}
	list, err := keepers[0].List(t.Context())
	ok(t, err)
	var seqs []int64
	for _, info := range list {
		seqs = append(seqs, info.Seq)
	}
	if !slices.Equal(seqs, []int64{0, 1, 2}[:want]) {
		t.Errorf("the keys are numbered %v", seqs)
	}
}
