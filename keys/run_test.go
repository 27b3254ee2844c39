package keys

import (
	"context"
	"testing"
	"testing/synctest"
	"time"

	"github.com/keyturn/keyturn/internal/audit"
)

func TestRunTurnsOnTimeWhileTheStoreIsDown(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s, log := &fakeStore{}, &recorder{}
		failed := 0
		k, err := NewKeeper(Options{
			Store: s, Vault: testMasters(t, 1).Vault(), Policy: testPolicy(), Audit: log,
			Now: time.Now, OnError: func(error) { failed++ },
		})
		if err != nil {
			t.Fatal(err)
		}
		ctx, cancel := context.WithCancel(t.Context())
		defer cancel()
		if err := k.Poll(ctx); err != nil {
			t.Fatal(err)
		}
		turn := s.records[1].ActivateAt
		done := make(chan struct{})
		go func() { defer close(done); k.Run(ctx) }()
		<-time.After(time.Until(turn) - time.Minute)
		s.mu.Lock()
		s.down = true
		s.mu.Unlock()
		<-time.After(time.Until(turn) - time.Millisecond)
		synctest.Wait()
		if n := log.count(audit.KeyActivated, audit.Success); n != 1 {
			t.Errorf("%d activations before the turn", n)
		}
		<-time.After(time.Millisecond)
		synctest.Wait()
		if n := log.count(audit.KeyActivated, audit.Success); n != 2 {
			t.Errorf("%d activations at the turn", n)
		}
		if info, err := k.Ring().Active(); err != nil || info.KID != s.records[1].KID {
			t.Errorf("signs with %s, %v", info.KID, err)
		}
		cancel()
		<-done
		if failed == 0 {
			t.Error("failed polls were not reported")
		}
	})
}
