package oauth_test

import (
	"encoding/base64"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/keyturn/keyturn/internal/clients"
	"github.com/keyturn/keyturn/internal/refusal"
	"github.com/keyturn/keyturn/oauth"
)

var testSettings = oauth.Settings{
	Issuer: "https://login.example.com", AccessTTL: time.Hour, RefreshIdleTTL: 48 * time.Hour, RefreshTTL: 30 * 24 * time.Hour,
	RetryWindow: clients.RetryUntilUsed, PasswordGrant: true,
}

var app = clients.Client{ID: "app", Public: true, Grants: []string{clients.GrantPassword, clients.GrantRefreshToken}, Scope: []string{"openid", "email"}, Audience: []string{"https://api.example.com"}}

func TestF1_ARefreshMovesTheFamilyByOne(t *testing.T) {
	f := newFixture(t, nil)
	fam, token := f.login(t)
	for want := int64(1); want <= 5; want++ {
		f.clock.advance(time.Hour)
		next := f.spend(t, token)
		if next == token {
			t.Fatal("the token did not change")
		}
		token = next
		if got := f.family(t, fam.ID).Generation; got != want {
			t.Fatalf("generation %d, want %d", got, want)
		}
	}
}

// TestF2_ARetryYieldsTheSameSuccessor until the successor is used, however late,
// or until the window of the deployment, or of the client, is over. Then it is
// reuse, and the family ends (F3).
func TestF2_ARetryYieldsTheSameSuccessor(t *testing.T) {
	const bound = clients.RetryWindow(30 * time.Second)
	for _, c := range []struct {
		deployment, client clients.RetryWindow
		after              time.Duration
		again              bool
	}{
		{clients.RetryUntilUsed, 0, 0, true},
		{clients.RetryUntilUsed, 0, testSettings.RefreshIdleTTL - time.Millisecond, true},
		{clients.RetryUntilUsed, bound, 30 * time.Second, true},
		{clients.RetryUntilUsed, bound, 30*time.Second + time.Millisecond, false},
		{clients.RetryUntilUsed, clients.RetryNever, 0, false},
		{bound, 0, 30 * time.Second, true},
		{bound, 0, 30*time.Second + time.Millisecond, false},
		{bound, clients.RetryUntilUsed, time.Hour, true},
		{clients.RetryNever, 0, 0, false},
		{clients.RetryNever, clients.RetryUntilUsed, time.Hour, true},
	} {
		f := newFixture(t, func(s *oauth.Settings) { s.RetryWindow = c.deployment })
		seen, err := f.store.HeldClient(f.ctx, app.ID)
		if err != nil {
			t.Fatal(err)
		}
		client := seen
		client.RetryWindow = c.client
		if err := f.store.ReplaceClient(f.ctx, seen, client); err != nil {
			t.Fatal(err)
		}
		fam, token := f.login(t)
		successor := f.spend(t, token)
		f.clock.advance(c.after)
		if c.again {
			for range 2 {
				if f.spend(t, token) != successor {
					t.Fatalf("%+v: the retry made another token", c)
				}
			}
			if g := f.family(t, fam.ID).Generation; g != 1 {
				t.Fatalf("%+v: generation %d after a retry, want 1", c, g)
			}
			f.spend(t, successor)
		}
		f.refuse(t, token, app.ID, "reused_token")
		if f.family(t, fam.ID).RevokeReason != "reused_token" {
			t.Errorf("%+v: the family lives on", c)
		}
	}
}

func TestF2_ManyAtOnceGetOneSuccessor(t *testing.T) {
	for _, n := range []int{2, 16, 100} {
		f := newFixture(t, nil)
		fam, token := f.login(t)
		var all sync.WaitGroup
		got := make([]string, n)
		for i := range n {
			all.Go(func() {
				_, next, err := f.Refresh(f.ctx, token, app.ID, "")
				if err != nil {
					t.Errorf("%d at once: %v", n, err)
				}
				got[i] = next
			})
		}
		all.Wait()
		for _, next := range got {
			if next != got[0] {
				t.Fatalf("%d at once: two successors", n)
			}
		}
		if g := f.family(t, fam.ID); g.Generation != 1 || !g.RevokedAt.IsZero() {
			t.Fatalf("%d at once: generation %d, revoked %v", n, g.Generation, g.RevokedAt)
		}
	}
}

func TestF2_StrictWithoutAWindow(t *testing.T) {
	f := newFixture(t, func(s *oauth.Settings) { s.RetryWindow = clients.RetryNever })
	fam, token := f.login(t)
	var wins, ends int
	var mu sync.Mutex
	var all sync.WaitGroup
	for range 16 {
		all.Go(func() {
			_, _, err := f.Refresh(f.ctx, token, app.ID, "")
			mu.Lock()
			defer mu.Unlock()
			if _, refused := oauth.RefusalOf(err); refused {
				ends++
			} else if err == nil {
				wins++
			} else {
				t.Error(err)
			}
		})
	}
	all.Wait()
	if wins != 1 || ends != 15 {
		t.Fatalf("%d won and %d were refused, want 1 and 15", wins, ends)
	}
	if f.family(t, fam.ID).RevokeReason != "reused_token" {
		t.Fatal("the family lives on")
	}
}

func TestF2_AStoreThatWasSetBackLogsNobodyOut(t *testing.T) {
	f := newFixture(t, nil)
	fam, token := f.login(t)
	ahead := fam
	ahead.Generation = 7
	later, err := f.Derive(ahead)
	if err != nil {
		t.Fatal(err)
	}
	f.spend(t, later)
	if g := f.family(t, fam.ID).Generation; g != 8 {
		t.Fatalf("generation %d, want 8", g)
	}
	f.refuse(t, token, app.ID, "reused_token")
}

func TestF3_ReuseEndsTheFamilyBeforeTheAnswer(t *testing.T) {
	for name, reuse := range map[string]func(f *fixture, first, second string) string{
		"after the window":             func(f *fixture, first, _ string) string { f.clock.advance(31 * time.Second); return first },
		"after its successor was used": func(f *fixture, first, second string) string { f.spend(t, second); return first },
	} {
		f := newFixture(t, func(s *oauth.Settings) { s.RetryWindow = clients.RetryWindow(30 * time.Second) })
		fam, first := f.login(t)
		second := f.spend(t, first)
		no := f.refuse(t, reuse(f, first, second), app.ID, "reused_token")
		if !no.Reuse || no.Presented != 0 || no.Live < 1 {
			t.Errorf("%s: refusal %+v names neither generation", name, no)
		}
		if f.family(t, fam.ID).RevokeReason != "reused_token" {
			t.Errorf("%s: the family was not ended", name)
		}
		f.refuse(t, second, app.ID, "ended_session")
	}
}

func TestF3_AForeignClientEndsTheFamily(t *testing.T) {
	f := newFixture(t, nil)
	fam, token := f.login(t)
	f.refuse(t, token, "other", "foreign_client")
	if f.family(t, fam.ID).RevokedAt.IsZero() {
		t.Fatal("the family lives on")
	}
}

func TestF4_TheStoreAloneMakesNoToken(t *testing.T) {
	f := newFixture(t, nil)
	fam, token := f.login(t)
	stolen := f.family(t, fam.ID)
	thief := oauth.NewFamilies(f.store, newMasters(t), testSettings, f.clock.now, f.clock.steady)
	stolen.MasterID = thief.Primary()
	forged, err := thief.Derive(stolen)
	if err != nil {
		t.Fatal(err)
	}
	f.refuse(t, forged, app.ID, "forged_token")
	raw, _ := base64.RawURLEncoding.DecodeString(token[len("kt_rt_"):])
	for _, secret := range [][]byte{raw[22:54], raw[54:62]} {
		if strings.Contains(string(stolen.Salt), string(secret)) || len(stolen.Salt) != 16 {
			t.Fatal("the store holds a part of the token")
		}
	}
	f.spend(t, token)
}

func TestF6_RevocationBeatsEveryRefresh(t *testing.T) {
	for range 20 {
		f := newFixture(t, nil)
		fam, token := f.login(t)
		revoked := make(chan struct{})
		var all sync.WaitGroup
		all.Go(func() {
			for {
				_, next, err := f.Refresh(f.ctx, token, app.ID, "")
				if err != nil {
					return
				}
				token = next
			}
		})
		all.Go(func() {
			defer close(revoked)
			if _, err := f.store.RevokeFamily(f.ctx, fam.ID, f.clock.now(), "test"); err != nil {
				t.Error(err)
			}
		})
		<-revoked
		after := f.family(t, fam.ID).Generation
		all.Wait()
		if g := f.family(t, fam.ID); g.Generation != after || g.RevokedAt.IsZero() {
			t.Fatalf("generation went from %d to %d after the revocation", after, g.Generation)
		}
	}
}

func TestF7_AFamilyIsBoundForLife(t *testing.T) {
	f := newFixture(t, nil)
	fam, token := f.login(t)
	_, _, err := f.Refresh(f.ctx, token, app.ID, "openid admin")
	if e := refusal.Of(err); !refusal.Is(err, refusal.BadScope) || !strings.Contains(e.Text, "admin") {
		t.Fatalf("a wider scope: got %v, want invalid_scope that names it", err)
	}
	if got := f.family(t, fam.ID); got.Generation != 0 {
		t.Fatal("a refused refresh moved the family")
	}
	f.spend(t, token)
	if n, err := (oauth.SessionEnder{Store: f.store, Now: f.clock.now}).EndSessionsOf(f.ctx, "uid-1", "", "user_disabled"); n != 1 || err != nil {
		t.Fatalf("ended %d, %v", n, err)
	}
	f.refuse(t, token, app.ID, "ended_session")
}

func TestFamiliesExpire(t *testing.T) {
	f := newFixture(t, nil)
	_, token := f.login(t)
	f.clock.advance(48 * time.Hour)
	f.refuse(t, token, app.ID, "expired_session")

	_, token = f.login(t)
	for range 15 {
		f.clock.advance(47 * time.Hour)
		token = f.spend(t, token)
	}
	f.clock.advance(15 * time.Hour)
	f.refuse(t, token, app.ID, "expired_session")
}

func TestTheMasterSecretTurnsAndLogsNobodyOut(t *testing.T) {
	f := newFixture(t, nil)
	old, fresh := newMasterLine(t), newMasterLine(t)
	f.UseMasters(newMasters(t, old))
	fam, token := f.login(t)
	f.UseMasters(newMasters(t, fresh, old))
	next := f.spend(t, token)
	if again := f.spend(t, token); again != next {
		t.Fatal("a retry across the turn made another token")
	}
	f.UseMasters(newMasters(t, fresh))
	f.spend(t, next)
	if f.family(t, fam.ID).MasterID != f.Primary() {
		t.Fatal("the family stayed under the old secret")
	}
}
