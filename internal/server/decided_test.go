package server_test

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"math/rand/v2"
	"net/http"
	"net/url"
	"runtime"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/keyturn/keyturn/internal/audit"
	"github.com/keyturn/keyturn/internal/clients"
	"github.com/keyturn/keyturn/internal/store"
	"github.com/keyturn/keyturn/internal/store/mongodb"
	"github.com/keyturn/keyturn/internal/store/mongodb/mongotest"
	"github.com/keyturn/keyturn/internal/store/storetest"
	"github.com/keyturn/keyturn/oauth"
	"github.com/keyturn/keyturn/users"
)

// ledger is a store that writes down which decisions are made: whose write changed
// what readers see. A decision is named by its event's id, which the slot bears.
type ledger struct {
	store.Store
	mu   sync.Mutex
	made map[string]bool
}

// wrote takes note of a write that moved a record on.
func (l *ledger) wrote(err error, was, is string, wasSlot, isSlot string) error {
	if err != nil || was == is {
		return err
	}
	l.mu.Lock()
	defer l.mu.Unlock()
	id, _, _ := strings.Cut(isSlot, ".")
	if id == "" {
		id, _, _ = strings.Cut(wasSlot, ".")
	}
	l.made[id] = true
	return nil
}

func seenUser(u users.User) string {
	if u.Unborn {
		return ""
	}
	return fmt.Sprint(u.UpdatedAt, u.Email, u.Disabled, u.Epoch, u.PasswordHash, u.Roles, u.FirstName, u.ResetHash)
}

func (l *ledger) ReplaceUser(ctx context.Context, seen, next users.User) error {
	return l.wrote(l.Store.ReplaceUser(ctx, seen, next), seenUser(seen), seenUser(next), seen.SlotID, next.SlotID)
}

func seenClient(c clients.Client) string {
	if c.Unborn {
		return ""
	}
	return fmt.Sprint(c.UpdatedAt, c.Disabled, c.Scope, c.SecretHash)
}

func (l *ledger) ReplaceClient(ctx context.Context, seen, next clients.Client) error {
	return l.wrote(l.Store.ReplaceClient(ctx, seen, next), seenClient(seen), seenClient(next), seen.SlotID, next.SlotID)
}

func (l *ledger) HoldFamily(ctx context.Context, seen, next oauth.Family) error {
	state := func(f oauth.Family) string { return fmt.Sprint(f.Unborn, f.RevokedAt) }
	return l.wrote(l.Store.HoldFamily(ctx, seen, next), state(seen), state(next), seen.SlotID, next.SlotID)
}

func (l *ledger) DenyToken(ctx context.Context, d oauth.DeniedToken) error {
	return l.wrote(l.Store.DenyToken(ctx, d), "", d.JTI, "", d.SlotID)
}

// scribe is an audit log that fails, hangs on to what it does not admit to have
// written, and dies, when it is told to.
type scribe struct {
	mu     sync.Mutex
	choose func() scribeFault
	// meanwhile is what others do while the log hangs.
	meanwhile func()
	asked     int
	// events are in the order of their times, which are those of when they were asked for;
	// at are these times.
	events []audit.Event
	at     []int
}

type scribeFault int

const (
	writes scribeFault = iota
	refuses
	writesInDoubt
	losesInDoubt
	dies
	writesAndDies
	hangs
	hangsAndRefuses
)

func (s *scribe) Record(_ context.Context, e audit.Event) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	fault := writes
	if s.choose != nil {
		fault = s.choose()
	}
	s.asked++
	at := s.asked
	if fault == hangs || fault == hangsAndRefuses {
		s.mu.Unlock()
		s.meanwhile()
		s.mu.Lock()
	}
	if fault == writes || fault == writesInDoubt || fault == writesAndDies || fault == hangs {
		i, _ := slices.BinarySearch(s.at, at)
		s.events, s.at = slices.Insert(s.events, i, e), slices.Insert(s.at, i, at)
	}
	switch fault {
	case refuses, hangsAndRefuses:
		return errors.New("no space left on device")
	case writesInDoubt, losesInDoubt:
		return audit.ErrInDoubt
	case dies, writesAndDies:
		runtime.Goexit()
	}
	return nil
}

// stand returns the decisions that stand by what the log says: what is told twice
// counts once, and the last word counts.
func (s *scribe) stand() map[string]bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	stand := map[string]bool{}
	for _, e := range s.events {
		if e.ID != "" {
			stand[e.ID] = e.Outcome == audit.Success || e.Action == audit.TokenReuse
		}
	}
	for id, stands := range stand {
		if !stands {
			delete(stand, id)
		}
	}
	return stand
}

// randomDecision makes one decision about one of few accounts, clients and sessions.
func (w faultyWorld) randomDecision(ctx context.Context, r *rand.Rand) {
	address := fmt.Sprintf("user%d@example.com", r.IntN(3))
	uid := "nobody"
	if u, err := w.faulty.Unwrap().UserByEmailKey(ctx, address); err == nil {
		uid = u.UID
	}
	registry := &clients.Registry{Store: w.store, Audit: w.audit, AccessTTL: time.Hour, Now: time.Now}
	client := fmt.Sprintf("client%d", r.IntN(2))
	name := fmt.Sprint("name", r.IntN(1000))
	// What becomes of it is for the log and the store to say.
	switch r.IntN(18) {
	case 0, 1:
		_, _ = w.users.SignUp(ctx, users.NewUser{Email: address, Username: fmt.Sprint("name", r.IntN(2)), Password: long})
	case 2:
		if w.users.DeletionGrace = time.Hour; r.IntN(2) == 0 {
			_, _ = w.users.Close(ctx, uid)
		} else {
			_ = w.users.Disable(ctx, uid)
		}
	case 3:
		_ = w.users.Enable(ctx, uid)
	case 4:
		_ = w.users.Delete(ctx, uid)
	case 5:
		_ = w.users.ResetPassword(ctx, uid, long)
	case 6:
		other := fmt.Sprintf("user%d@example.com", r.IntN(3))
		_, _ = w.users.UpdateProfile(ctx, uid, users.Profile{Email: &other, FirstName: &name})
	case 7:
		_, _ = w.users.SetClaims(ctx, uid, []string{name}, "")
	case 8:
		_, _, _ = w.users.IssueReset(ctx, uid, time.Hour, r.IntN(2) == 0)
	case 9:
		_, _, _ = registry.Add(ctx, clients.Client{ID: client, Grants: []string{"password"}})
	case 10:
		_, _ = registry.Update(ctx, client, func(c *clients.Client) { c.Scope = []string{name} })
	case 11:
		_, _ = registry.RotateSecret(ctx, client)
	case 12:
		_, _ = registry.Disable(ctx, client)
	case 13:
		from := party{fmt.Sprintf("198.%d.100.7", r.IntN(200)), victimAgent, "shop", w.secret}
		w.ask(from, url.Values{"grant_type": {"password"}, "username": {email}, "password": {password}})
	case 14:
		if live, err := w.faulty.Unwrap().FamiliesOfUser(ctx, w.uid, time.Now(), 1); err == nil && len(live) > 0 {
			_, _ = w.users.EndSession(ctx, w.uid, live[0].ID)
		}
	case 15:
		_ = w.users.AskEmail(ctx, uid, "", "new@example.org", "")
	case 16, 17:
		var held tokens
		if rec := w.post("/oauth/token", values{"grant_type": {"client_credentials"}}); rec.Code == http.StatusOK {
			must(w.t, json.Unmarshal(rec.Body.Bytes(), &held))
			for range 1 + r.IntN(2) {
				w.post("/oauth/revoke", values{"token": {held.Access}})
			}
		}
	}
}

// TestA3_TheSetOfChangesIsTheSetOfEvents makes random decisions while the store
// and the log fail at random, in every way, the process that decides dies at
// random moments, and while its log hangs others carry on and decide. Whatever happened: once all is well again, and what was on its
// way has been carried on, the changes that were made are those that the log
// tells of, and of each that owes a letter one was written.
func TestA3_TheSetOfChangesIsTheSetOfEvents(t *testing.T) {
	for name, open := range map[string]func(t *testing.T) (store.Store, int){
		"SQLite": func(t *testing.T) (store.Store, int) { return openSQLite(t), 1500 },
		"MongoDB": func(t *testing.T) (store.Store, int) {
			st, err := mongodb.Open(t.Context(), mongotest.URI(t), mongodb.Options{AcceptRisk: true})
			must(t, err)
			t.Cleanup(func() { must(t, st.Close()) })
			return st, 250
		},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			inner, steps := open(t)
			book := &ledger{Store: inner, made: map[string]bool{}}
			w := faultyWorldOn(t, storetest.NewFaulty(book))
			log := &scribe{}
			w.audit = log
			w.mailed()
			w.users.Letters = nil // it takes more than a handful
			book.made = map[string]bool{}
			seed := rand.Uint64()
			r := rand.New(rand.NewPCG(seed, 0))
			for range steps {
				w.randomStep(t, r, log)
			}
			w.settleAll(t, log)
			told := log.stand()
			for id := range book.made {
				if !told[id] {
					t.Errorf("seed %d: decision %q was made, and the log does not say so", seed, id)
				}
			}
			for id := range told {
				if !book.made[id] && !changesNothing(log, id) {
					t.Errorf("seed %d: decision %q is in the log, and was not made", seed, id)
				}
			}
			checkNotices(t, w, log, seed)
			if len(told) < steps/20 {
				t.Errorf("seed %d: only %d decisions stand of %d", seed, len(told), steps)
			}
			t.Logf("%d decisions stand of %d", len(told), steps)
		})
	}
}

// checkNotices holds the letters that were written to the events.
func checkNotices(t *testing.T, w faultyWorld, log *scribe, seed uint64) {
	t.Helper()
	owed, may := map[string]bool{}, map[string]bool{}
	stand := log.stand()
	for _, e := range log.events {
		owed[e.ID] = owed[e.ID] || stand[e.ID] && slices.Contains(
			[]audit.Action{audit.PasswordReset, audit.ResetForced, audit.UserClosed}, e.Action)
		if e.Action == audit.LetterAsked && stand[e.ID] {
			owed[e.ID], owed[e.ID+"/changed"], may[e.ID+"/changed"] = true, true, true
		}
		may[e.ID] = owed[e.ID] || stand[e.ID] && e.Action == audit.TokenIssued
	}
	written, logins := map[string]bool{}, 0
	for after := ""; ; {
		list, err := w.store.Messages(t.Context(), after, 100)
		must(t, err)
		if len(list) == 0 {
			break
		}
		for _, m := range list {
			after = m.ID
			id := strings.TrimPrefix(m.ID, "letter:")
			if written[id] = true; !may[id] {
				t.Errorf("seed %d: a letter of %q, which owes none", seed, id)
			}
			if !owed[id] {
				logins++
			}
		}
	}
	for id, due := range owed {
		if due && !written[id] {
			t.Errorf("seed %d: decision %q stands, and no letter tells of it", seed, id)
		}
	}
	t.Logf("%d letters, %d of them about log-ins", len(written), logins)
}

// changesNothing reports whether a decision is one that leaves its record as it
// is: ending sessions again.
func changesNothing(log *scribe, id string) bool {
	log.mu.Lock()
	defer log.mu.Unlock()
	for _, e := range log.events {
		if e.ID == id && e.Action == audit.SessionsEnded {
			return true
		}
	}
	return false
}

// randomStep makes a decision in a process that may die of it, and carries on what
// was left before, now and then.
func (w faultyWorld) randomStep(t *testing.T, r *rand.Rand, log *scribe) {
	t.Helper()
	odds := r.IntN(4) * 4 // of a hundred: 0, 4, 8 or 12 for each call
	dice := rand.New(rand.NewPCG(r.Uint64(), 1))
	var mu sync.Mutex
	roll := func(n int) int {
		mu.Lock()
		defer mu.Unlock()
		return dice.IntN(n)
	}
	w.faulty.Inject(func(string) storetest.Fault {
		switch {
		case roll(100) >= odds:
			return storetest.None
		case roll(3) == 0:
			runtime.Goexit()
		}
		return []storetest.Fault{storetest.Fails, storetest.Persists}[roll(2)]
	})
	log.mu.Lock()
	log.choose = func() scribeFault {
		switch {
		case roll(100) < 4:
			return []scribeFault{hangs, hangs, hangsAndRefuses}[roll(3)]
		case roll(100) >= 2*odds:
			return writes
		}
		return []scribeFault{refuses, refuses, writesInDoubt, losesInDoubt, dies, writesAndDies}[roll(6)]
	}
	// Who hangs is overtaken, or carried on, and others go on deciding.
	log.meanwhile = func() {
		for range 2 + roll(4) {
			seed, settles := uint64(roll(1<<30)), roll(3) > 0
			inAProcess(func() {
				if settles {
					_ = w.settleOnce(t.Context(), time.Hour)
				}
				w.randomDecision(t.Context(), rand.New(rand.NewPCG(seed, 2)))
			})
		}
	}
	log.mu.Unlock()
	inAProcess(func() {
		if r.IntN(8) == 0 {
			_ = w.settleOnce(t.Context(), time.Hour)
			return
		}
		w.randomDecision(t.Context(), r)
	})
	w.faulty.Inject(nil)
}

// inAProcess waits for what may die.
func inAProcess(do func()) {
	done := make(chan struct{})
	go func() {
		defer close(done)
		do()
	}()
	<-done
}

// settleOnce carries on what is under way, by a clock that is ahead.
func (w *world) settleOnce(ctx context.Context, ahead time.Duration) (left error) {
	later := func() time.Time { return time.Now().Add(ahead) }
	sessions := oauth.SessionEnder{Store: w.store, Audit: w.audit, Now: later, Notify: w.users.Notify}
	accounts := users.Service{Store: w.store, Sessions: sessions, Audit: w.audit, Now: later, Post: w.users.Post}
	registry := clients.Registry{Store: w.store, Audit: w.audit, Now: later}
	for _, settle := range []func(context.Context) (int, error){accounts.SettleDecisions, registry.SettleDecisions, sessions.SettleDecisions} {
		_, err := settle(ctx)
		left = errors.Join(left, err)
	}
	return left
}

// settleAll carries on until nothing is under way, with all well again.
func (w faultyWorld) settleAll(t *testing.T, log *scribe) {
	t.Helper()
	log.mu.Lock()
	log.choose = nil
	log.mu.Unlock()
	for n := 2; ; n++ {
		must(t, w.settleOnce(t.Context(), time.Duration(n)*time.Hour))
		accounts, err := w.store.PendingUsers(t.Context(), 10)
		must(t, err)
		clients, err := w.store.PendingClients(t.Context(), 10)
		must(t, err)
		families, err := w.store.PendingFamilies(t.Context(), 10)
		must(t, err)
		denied, err := w.store.PendingDenied(t.Context(), 10)
		must(t, err)
		if len(accounts)+len(clients)+len(families)+len(denied) == 0 {
			return
		}
		if n > 10 {
			t.Fatalf("still under way: %+v %+v %+v %+v", accounts, clients, families, denied)
		}
	}
}
