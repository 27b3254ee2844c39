package oauth_test

import (
	"context"
	"errors"
	"reflect"
	"testing"
	"time"

	"github.com/keyturn/keyturn/internal/clients"
	"github.com/keyturn/keyturn/internal/store"
	"github.com/keyturn/keyturn/internal/store/storetest"
	"github.com/keyturn/keyturn/oauth"
)

// late is a store that begins to decide on a refresh when its caller has given
// up already, and goes on to make it.
type late struct {
	store.Store
	done chan struct{}
}

func (l late) RotateFamily(ctx context.Context, id, clientID string, decide oauth.Decide) (oauth.Family, error) {
	defer func() {
		go func() {
			defer close(l.done)
			_, _ = l.Store.RotateFamily(context.WithoutCancel(ctx), id, clientID, decide)
		}()
	}()
	return oauth.Family{}, context.DeadlineExceeded
}

// outage is how one refresh went wrong.
type outage struct {
	name string
	// refresh has the store fail under it.
	refresh func(f *oauth.Families, at *switched, token string) error
}

// switched is a store whose place another can take.
type switched struct{ store.Store }

// refreshesOn are the replicas of a deployment whose store can fail.
func refreshesOn(t *testing.T, window clients.RetryWindow) (f *fixture, at *switched, replica func() *oauth.Families) {
	f = newFixture(t, func(s *oauth.Settings) { s.RetryWindow = window })
	at = &switched{f.store.(store.Store)}
	masters := newMasters(t)
	settings := testSettings
	settings.RetryWindow = window
	replica = func() *oauth.Families { return oauth.NewFamilies(at, masters, settings, f.clock.now, f.clock.steady) }
	f.Families = replica()
	return f, at, replica
}

func outages() []outage {
	faulty := func(fault storetest.Fault) outage {
		return outage{fault.String(), func(f *oauth.Families, at *switched, token string) error {
			inner := at.Store
			defer func() { at.Store = inner }()
			bad := storetest.NewFaulty(inner)
			bad.Inject(func(string) storetest.Fault { return fault })
			at.Store = bad
			_, _, err := f.Refresh(context.Background(), token, app.ID, "")
			return err
		}}
	}
	return []outage{
		faulty(storetest.Fails), faulty(storetest.Persists),
		{"persisted late", func(f *oauth.Families, at *switched, token string) error {
			inner := at.Store
			defer func() { at.Store = inner }()
			slow := late{inner, make(chan struct{})}
			at.Store = slow
			_, _, err := f.Refresh(context.Background(), token, app.ID, "")
			<-slow.done
			return err
		}},
	}
}

// TestF2_AnOutageLongerThanTheWindowLogsNobodyOut has a store fail under a
// refresh, whose client hears nothing but to try again and does so an hour
// later, on this replica or on another. Nobody else was given the successor, so
// nobody is taken for a thief, not even without a retry window.
func TestF2_AnOutageLongerThanTheWindowLogsNobodyOut(t *testing.T) {
	for _, window := range []clients.RetryWindow{clients.RetryWindow(30 * time.Second), clients.RetryNever} {
		for _, o := range outages() {
			for _, elsewhere := range []bool{false, true} {
				f, at, replica := refreshesOn(t, window)
				fam, token := f.login(t)
				for range 2 { // an outage may come back
					if err := o.refresh(f.Families, at, token); err == nil {
						t.Fatalf("%s: no error", o.name)
					} else if _, refused := oauth.RefusalOf(err); refused {
						t.Fatalf("%s: the session is lost: %v", o.name, err)
					}
					f.clock.advance(time.Hour)
				}
				if elsewhere {
					if _, err := f.Settle(f.ctx); err != nil {
						t.Fatal(err)
					}
					if got := f.family(t, fam.ID); got.Generation != 0 || !got.IdleExpiresAt.Equal(fam.IdleExpiresAt) {
						t.Errorf("%s: once settled, the family stands at %+v", o.name, got)
					}
					f.Families = replica()
				}
				next := f.spend(t, token)
				if again, err := f.Settle(f.ctx); err != nil || elsewhere && again != 0 {
					t.Errorf("%s: settling again: %d, %v", o.name, again, err)
				}
				f.clock.advance(time.Hour)
				f.spend(t, next)
				// What is older is as bad as ever.
				if no := f.refuse(t, token, app.ID, "reused_token"); !no.Reuse {
					t.Errorf("%s: %+v", o.name, no)
				}
			}
		}
	}
}

// TestF3_DoubtExcusesOneTokenOnly presents, beside the token whose refresh is in
// doubt, the one before it.
func TestF3_DoubtExcusesOneTokenOnly(t *testing.T) {
	for _, o := range outages() {
		f, at, _ := refreshesOn(t, clients.RetryWindow(30*time.Second))
		fam, old := f.login(t)
		token := f.spend(t, old)
		if err := o.refresh(f.Families, at, token); err == nil {
			t.Fatal("no error")
		}
		f.clock.advance(time.Hour)
		if no := f.refuse(t, old, app.ID, "reused_token"); !no.Reuse {
			t.Errorf("%s: %+v", o.name, no)
		}
		f.refuse(t, token, app.ID, "ended_session")
		ended := f.family(t, fam.ID)
		if n, err := f.Settle(f.ctx); err != nil || o.name != storetest.Fails.String() && n != 1 {
			t.Errorf("%s: %d settled, %v", o.name, n, err)
		}
		if got := f.family(t, fam.ID); !reflect.DeepEqual(got, ended) { // F6
			t.Errorf("%s: settling made %+v of the ended %+v", o.name, got, ended)
		}
	}
}

// TestF2_SettlingGoesOnWhenTheStoreIsBack settles while the store is still away.
func TestF2_SettlingGoesOnWhenTheStoreIsBack(t *testing.T) {
	f, at, _ := refreshesOn(t, clients.RetryWindow(30*time.Second))
	_, token := f.login(t)
	_ = outages()[1].refresh(f.Families, at, token)
	good := at.Store
	bad := storetest.NewFaulty(good)
	bad.Inject(func(string) storetest.Fault { return storetest.Fails })
	at.Store = bad
	for range 3 {
		if n, err := f.Settle(f.ctx); n != 0 || !errors.Is(err, storetest.ErrFault) {
			t.Errorf("%d settled, %v, while the store is away", n, err)
		}
	}
	at.Store = good
	for _, want := range []int{1, 0} {
		if n, err := f.Settle(f.ctx); n != want || err != nil {
			t.Errorf("%d settled, %v; want %d", n, err, want)
		}
	}
}

// TestT1_AWrongMinuteSettlesNothingAway: a refresh in doubt is not forgotten because a
// clock calls its session expired that elapsed time does not confirm.
func TestT1_AWrongMinuteSettlesNothingAway(t *testing.T) {
	f, at, replica := refreshesOn(t, clients.RetryNever)
	_, token := f.login(t)
	good := at.Store
	if err := outages()[1].refresh(f.Families, at, token); err == nil {
		t.Fatal("no error")
	}
	bad := storetest.NewFaulty(good)
	bad.Inject(func(string) storetest.Fault { return storetest.Fails })
	at.Store = bad
	f.clock.jump(45 * 24 * time.Hour)
	if _, err := f.Settle(f.ctx); !errors.Is(err, storetest.ErrFault) {
		t.Errorf("in the wrong minute: %v", err)
	}
	f.clock.jump(0)
	at.Store = good
	if n, err := f.Settle(f.ctx); n != 1 || err != nil {
		t.Errorf("after it: %d settled, %v", n, err)
	}
	f.Families = replica()
	f.spend(t, token)
}
