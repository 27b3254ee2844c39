package users

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"
)

func newHasher(t testing.TB, concurrency int) *Hasher {
	t.Helper()
	h, err := NewHasher(cheap, concurrency)
	if err != nil {
		t.Fatal(err)
	}
	return h
}

func TestU2_OnlySoManyHashAtOnce(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		h := newHasher(t, 2)
		for range 2 {
			if err := h.acquire(t.Context()); err != nil {
				t.Fatal(err)
			}
		}
		done := make(chan error, 1)
		go func() {
			_, err := h.Hash(t.Context(), goodPassword)
			done <- err
		}()
		synctest.Wait()
		if s := h.Stats(); s.InFlight != 2 || s.Waiting != 1 || s.Computed != 0 {
			t.Fatalf("with both slots taken: %+v", s)
		}
		h.release()
		if err := <-done; err != nil {
			t.Fatal(err)
		}
		if s := h.Stats(); s.InFlight != 1 || s.Waiting != 0 || s.Computed != 1 {
			t.Errorf("after one slot was freed: %+v", s)
		}
	})
}

func TestU2_BusyAfterPatience(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		h := newHasher(t, 1)
		if err := h.acquire(t.Context()); err != nil {
			t.Fatal(err)
		}
		begin := time.Now()
		_, err := h.Verify(t.Context(), "", goodPassword, true)
		var busy *Busy
		if !errors.As(err, &busy) || busy.RetryAfter < time.Second {
			t.Fatalf("got %v, want *Busy with a time to retry after", err)
		}
		if waited := time.Since(begin); waited != patience {
			t.Errorf("waited %s, want %s", waited, patience)
		}
		if s := h.Stats(); s.Refused != 1 || s.Computed != 0 {
			t.Errorf("%+v", s)
		}
	})
}

func TestU2_BusyAtOnceWhenTheQueueIsFull(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		h := newHasher(t, 1)
		if err := h.acquire(t.Context()); err != nil {
			t.Fatal(err)
		}
		ctx, cancel := context.WithCancel(t.Context())
		var wg sync.WaitGroup
		for range waitersPerSlot {
			wg.Go(func() {
				if err := h.Dummy(ctx, goodPassword); !errors.Is(err, context.Canceled) {
					t.Errorf("a cancelled wait ended with %v", err)
				}
			})
		}
		synctest.Wait()
		begin := time.Now()
		var busy *Busy
		if err := h.Dummy(ctx, goodPassword); !errors.As(err, &busy) || time.Since(begin) != 0 {
			t.Errorf("behind a full queue: %v after %s", err, time.Since(begin))
		}
		cancel()
		wg.Wait()
		if s := h.Stats(); s.Waiting != 0 {
			t.Errorf("%d still wait", s.Waiting)
		}
	})
}

func TestNewHasherRefuses(t *testing.T) {
	if _, err := NewHasher(Params{}, 1); err == nil {
		t.Error("zero parameters were accepted")
	}
	for _, concurrency := range []int{-1, maxConcurrency + 1} {
		if _, err := NewHasher(cheap, concurrency); err == nil {
			t.Errorf("a concurrency of %d was accepted", concurrency)
		}
	}
	if h, err := NewHasher(cheap, 0); err != nil || cap(h.slots) < 1 {
		t.Errorf("the default: %v", err)
	}
}

// A refusal costs the same computations whatever it refuses: one argon2id at
// the current parameters, and the imported hash's own on top.
func TestU1_EveryRefusalCostsTheSame(t *testing.T) {
	h := newHasher(t, 1)
	own, err := h.Hash(t.Context(), goodPassword)
	if err != nil {
		t.Fatal(err)
	}
	for _, c := range []struct {
		name, encoded, password string
		live, matched           bool
		cost                    int64
	}{
		{"unknown account", "", wrongPassword, false, false, 1},
		{"unreadable hash", "$oops$", wrongPassword, true, false, 1},
		{"wrong password", own, wrongPassword, true, false, 1},
		{"disabled, wrong password", own, wrongPassword, false, false, 1},
		{"disabled, right password", own, goodPassword, false, true, 1},
		{"not a password", own, "\xff", true, false, 1},
		{"imported, wrong password", vectors["bcrypt 2b"], wrongPassword, true, false, 2},
		{"imported, too long for bcrypt", bcrypt72, strings.Repeat("x", 80), true, false, 2},
		{"imported, disabled, right password", vectors["bcrypt 2b"], vectorPassword, false, true, 2},
		{"right password", own, goodPassword, true, true, 1},
		{"imported, right password", vectors["bcrypt 2b"], vectorPassword, true, true, 1},
	} {
		before := h.Stats().Computed
		matched, err := h.Verify(t.Context(), c.encoded, c.password, c.live)
		if err != nil || matched != c.matched {
			t.Errorf("%s: %t, %v", c.name, matched, err)
		}
		if cost := h.Stats().Computed - before; cost != c.cost {
			t.Errorf("%s: %d computations, want %d", c.name, cost, c.cost)
		}
	}
}

// Once imported hashes are known to be slow, every refusal takes as long as
// theirs, and a success does not.
func TestU1_RefusalsKeepThePaceOfImportedHashes(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		h := newHasher(t, 1)
		own, err := h.Hash(t.Context(), goodPassword)
		if err != nil {
			t.Fatal(err)
		}
		took := func(encoded, password string, live bool) time.Duration {
			begin := time.Now()
			if _, err := h.Verify(t.Context(), encoded, password, live); err != nil {
				t.Error(err)
			}
			return time.Since(begin)
		}
		if d := took(own, wrongPassword, true); d != 0 {
			t.Errorf("without imported hashes a refusal waited %s", d)
		}
		h.pace.learn("bcrypt cost 12", 240*time.Millisecond)
		h.pace.learn("bcrypt cost 12", 200*time.Millisecond)
		h.pace.learn("bcrypt cost 12", 900*time.Millisecond)
		h.pace.learn("scrypt", 80*time.Millisecond)
		const want = 250 * time.Millisecond
		for name, d := range map[string]time.Duration{
			"unknown account":            took("", wrongPassword, false),
			"wrong password":             took(own, wrongPassword, true),
			"disabled, right password":   took(own, goodPassword, false),
			"imported, wrong password":   took(vectors["bcrypt 2b"], wrongPassword, true),
			"imported, disabled account": took(vectors["bcrypt 2b"], vectorPassword, false),
		} {
			if d != want {
				t.Errorf("%s: refused after %s, want %s", name, d, want)
			}
		}
		if d := took(own, goodPassword, true); d != 0 {
			t.Errorf("a success waited %s", d)
		}
	})
}

// What the store holds is known before anybody asks.
func TestU1_HashesAreLearnedAtTheStart(t *testing.T) {
	f := newFixture(t)
	if err := f.LearnHashes(t.Context()); err != nil || f.Hasher.Stats().Floor != 0 || f.Hasher.Stats().Computed != 1 {
		t.Errorf("without imported hashes: %+v, %v", f.Hasher.Stats(), err)
	}
	for n := range 2 * exportPage {
		hash := vectors["bcrypt 2b"]
		if n == exportPage+7 {
			hash = vectors["scrypt"]
		}
		u := User{UID: fmt.Sprintf("id-%04d", n), EmailKey: fmt.Sprintf("u%d@example.org", n), PasswordHash: hash}
		if err := f.mem.CreateUser(t.Context(), u); err != nil {
			t.Fatal(err)
		}
	}
	before := f.Hasher.Stats().Computed
	if err := f.LearnHashes(t.Context()); err != nil {
		t.Fatal(err)
	}
	if n := f.Hasher.Stats().Computed - before; n != 4 {
		t.Errorf("%d computations; want two for each of the two kinds", n)
	}
	if len(f.Hasher.pace.least) != 2 || f.Hasher.Stats().Floor == 0 {
		t.Errorf("learned %v", f.Hasher.pace.least)
	}
	f.mem.storeDown = true
	if err := f.LearnHashes(t.Context()); !errors.Is(err, errDown) {
		t.Errorf("a store that is down: %v", err)
	}
}

func TestU1_PaceForgetsNobodyWhoHangsUp(t *testing.T) {
	h := newHasher(t, 1)
	h.pace.learn("bcrypt cost 14", time.Hour)
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	// The verdict is the same, so the attempt stays charged.
	if matched, err := h.Verify(ctx, vectors["argon2i"], wrongPassword, true); matched || err != nil {
		t.Errorf("%t, %v", matched, err)
	}
	for i := range 2 * maxPaceClasses {
		h.pace.learn(strings.Repeat("x", i), time.Second)
	}
	if n := len(h.pace.least); n > maxPaceClasses {
		t.Errorf("%d classes are remembered", n)
	}
}
