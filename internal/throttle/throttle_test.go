package throttle

import (
	"errors"
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/keyturn/keyturn/internal/refusal"
)

// guesser begins attempts without ever succeeding.
type guesser struct {
	*testing.T
	*Throttle
	mem   *memory
	clock *clock
}

func newGuesser(t *testing.T) guesser {
	mem, clk := newMemory(), newClock()
	return guesser{t, New(mem, clk.now), mem, clk}
}

// try begins one attempt and returns it, or how long to wait.
func (g guesser) try(account, ip string) (*Attempt, time.Duration) {
	g.Helper()
	a, err := g.Begin(from(g.Context(), ip), account)
	if refusal.Is(err, refusal.Throttled) {
		wait := refusal.Of(err).RetryAfter
		if wait <= 0 {
			g.Fatalf("throttled for %s", wait)
		}
		return nil, wait
	}
	if err != nil {
		g.Fatal(err)
	}
	return a, 0
}

const (
	home   = "192.0.2.7"
	abroad = "198.51.100.9"
)

func TestU4_DelaysOfThePairDouble(t *testing.T) {
	g := newGuesser(t)
	for range perPair.free {
		if _, wait := g.try("ada", home); wait != 0 {
			t.Fatalf("a free failure had to wait %s", wait)
		}
	}
	for n, most := 0, time.Second; n < 20; n, most = n+1, min(2*most, perPair.limit) {
		_, wait := g.try("ada", home)
		if wait > most || wait < most/2 {
			t.Fatalf("after %d failures the wait is %s, want about %s", int(perPair.free)+n, wait, most)
		}
		g.clock.advance(wait - time.Millisecond)
		if _, early := g.try("ada", home); early != time.Millisecond {
			t.Fatalf("a millisecond early the wait is %s", early)
		}
		g.clock.advance(time.Millisecond)
		if _, wait := g.try("ada", home); wait != 0 {
			t.Fatalf("after waiting as told the wait is %s", wait)
		}
	}
}

func (g guesser) seenBy(d dimension, subject ...string) int64 {
	gate := newGate(d, g.clock.now(), subject...)
	counts, err := g.mem.Counts(g.Context(), []string{gate.count, gate.before})
	if err != nil {
		g.Fatal(err)
	}
	gate.read(counts[0], counts[1])
	return gate.seen
}

// A machine that tries every quarter second for two days gets few guesses in.
func TestU4_GuessingRateIsBounded(t *testing.T) {
	g := newGuesser(t)
	judged := 0
	begin := g.clock.now()
	for g.clock.now().Sub(begin) < 48*time.Hour {
		if _, wait := g.try("ada", home); wait == 0 {
			judged++
		} else {
			g.clock.advance(wait)
			continue
		}
		g.clock.advance(250 * time.Millisecond)
	}
	// 48 hours hold 192 delays of 15 minutes; marks may cut a third off each.
	if judged > 320 {
		t.Errorf("%d guesses in two days", judged)
	}
	if judged < 100 {
		t.Errorf("only %d guesses in two days: somebody is locked out", judged)
	}
}

func TestU4_AccountIsSlowedFromManyNetworks(t *testing.T) {
	g := newGuesser(t)
	judged, longest := 0, time.Duration(0)
	begin := g.clock.now()
	for i := 0; g.clock.now().Sub(begin) < time.Hour; i++ {
		if _, wait := g.try("ada", fmt.Sprintf("10.%d.%d.1", i/250%250, i%250)); wait == 0 {
			judged++
		} else {
			longest = max(longest, wait)
		}
		g.clock.advance(700 * time.Millisecond)
	}
	if limit := 50 + 3600/20 + 10; judged > limit {
		t.Errorf("%d guesses in an hour from many networks, want at most %d", judged, limit)
	}
	if longest > 30*time.Second {
		t.Errorf("somebody was told to wait %s", longest)
	}
	// Nobody else's account is touched.
	if _, wait := g.try("grace", abroad); wait != 0 {
		t.Errorf("another account has to wait %s", wait)
	}
	// When the attack pauses, a login from a new network passes within 30 s.
	g.clock.advance(30 * time.Second)
	if _, wait := g.try("ada", abroad); wait != 0 {
		t.Errorf("the account's owner has to wait %s", wait)
	}
}

// A machine that guesses the codes of one account from everywhere for ten days, while
// its owner logs in, gets few in.
func TestU4_CodesCountPerAccount(t *testing.T) {
	g := newGuesser(t)
	judged := 0
	begin := g.clock.now()
	for i := 0; g.clock.now().Sub(begin) < 10*24*time.Hour; i++ {
		a, err := g.BeginCode(from(t.Context(), fmt.Sprintf("10.%d.%d.1", i/250%250, i%250)), "ada")
		switch {
		case err != nil:
			g.clock.advance(refusal.Of(err).RetryAfter)
			continue
		case i%100 == 0:
			a.Succeed(t.Context())
		default:
			judged++
		}
		g.clock.advance(time.Second)
	}
	// Ten days hold 240 delays of an hour; marks may cut a third off each.
	if judged < 150 || judged > 500 {
		t.Errorf("%d guesses in ten days", judged)
	}
	if _, err := g.BeginCode(from(t.Context(), home), "grace"); err != nil {
		t.Error(err)
	}
	if _, wait := g.try("ada", home); wait != 0 {
		t.Errorf("the password has to wait %s", wait)
	}
}

func TestU4_KnownNetworkIsNotLockedOut(t *testing.T) {
	g := newGuesser(t)
	a, _ := g.try("ada", home)
	a.Succeed(t.Context())
	for i := range 200 {
		g.try("ada", fmt.Sprintf("10.0.%d.1", i))
		g.try(fmt.Sprintf("someone%d", i), home)
	}
	if _, wait := g.try("ada", abroad); wait == 0 {
		t.Fatal("the account is not slowed")
	}
	if _, wait := g.try("grace", home); wait == 0 {
		t.Fatal("the network is not slowed")
	}
	for range perPair.free {
		if _, wait := g.try("ada", home); wait != 0 {
			t.Fatalf("from a known network the owner has to wait %s", wait)
		}
	}
	if _, wait := g.try("ada", home); wait == 0 {
		t.Error("guessing from a known network is not slowed at all")
	}
	g.clock.advance(29 * 24 * time.Hour)
	if a, _ := g.try("ada", home); len(a.gates) != 1 {
		t.Error("after 29 days the network is not known any more")
	}
	g.clock.advance(61 * 24 * time.Hour)
	if a, _ := g.try("ada", home); len(a.gates) != 3 {
		t.Error("after 90 days the network is still known")
	}
}

func TestU4_NetworkIsSlowedAcrossAccounts(t *testing.T) {
	g := newGuesser(t)
	for i := range perNetwork.free {
		if _, wait := g.try(fmt.Sprint(i), fmt.Sprintf("203.0.113.%d", i)); wait != 0 {
			t.Fatalf("failure %d had to wait %s", i, wait)
		}
	}
	if _, wait := g.try("x", "203.0.113.250"); wait == 0 || wait > perNetwork.limit {
		t.Errorf("the next has to wait %s", wait)
	}
	if _, wait := g.try("x", "203.0.114.1"); wait != 0 {
		t.Errorf("the neighbour network has to wait %s", wait)
	}
	g.clock.advance(2 * perNetwork.window)
	if _, wait := g.try("y", "203.0.113.1"); wait != 0 {
		t.Errorf("two hours later the wait is %s", wait)
	}
}

// Behind a proxy that names no client nobody is slowed for what others do; the
// account still is.
func TestU4_UnknownNetworkCountsForNothing(t *testing.T) {
	g := newGuesser(t)
	for n := range 3 * perNetwork.free {
		if _, wait := g.try(fmt.Sprint("person", n), "unknown"); wait != 0 {
			t.Fatalf("person %d had to wait %s for the failures of others", n, wait)
		}
		if _, wait := g.try("", "unknown"); wait != 0 {
			t.Fatalf("sign-up %d had to wait %s for those of others", n, wait)
		}
	}
	for range perAccount.free {
		if _, wait := g.try("ada", "unknown"); wait != 0 {
			t.Fatalf("a free failure had to wait %s", wait)
		}
	}
	if _, wait := g.try("ada", "unknown"); wait == 0 {
		t.Fatal("guesses at one account from nowhere are not slowed")
	}
}

func TestU4_SuccessClearsThePair(t *testing.T) {
	g := newGuesser(t)
	for range 10 {
		for range perPair.free - 1 {
			if _, wait := g.try("ada", home); wait != 0 {
				t.Fatalf("had to wait %s", wait)
			}
		}
		a, wait := g.try("ada", home)
		if wait != 0 {
			t.Fatalf("had to wait %s", wait)
		}
		a.Succeed(t.Context())
		if n := g.seenBy(perPair, "ada", networkOf(home)); n != 0 {
			t.Fatalf("%d failures are left after a success", n)
		}
	}
	// The charges of successes were taken back: only the first round, before
	// the network was known, left its failures.
	if n := g.seenBy(perAccount, "ada"); n != perPair.free-1 {
		t.Errorf("the account has %d failures, want %d", n, perPair.free-1)
	}
	if n := g.seenBy(perNetwork, networkOf(home)); n != perPair.free-1 {
		t.Errorf("the network has %d failures, want %d", n, perPair.free-1)
	}
}

func TestU4_RefusedAttemptsAreNotCharged(t *testing.T) {
	g := newGuesser(t)
	for range perPair.free {
		g.try("ada", home)
	}
	before := len(g.mem.counters)
	for range 50 {
		if _, wait := g.try("ada", home); wait == 0 {
			t.Fatal("not throttled")
		}
	}
	if n := g.seenBy(perPair, "ada", networkOf(home)); n != perPair.free {
		t.Errorf("%d failures on record, want %d", n, perPair.free)
	}
	if len(g.mem.counters) != before {
		t.Error("refusals left counters behind")
	}
}

func TestU4_WithdrawnAttemptsAreNotCharged(t *testing.T) {
	g := newGuesser(t)
	for range 20 * perPair.free {
		a, wait := g.try("ada", home)
		if wait != 0 {
			t.Fatalf("had to wait %s", wait)
		}
		a.Withdraw(t.Context())
	}
}

func TestU4_CountersHoldNoAddress(t *testing.T) {
	g := newGuesser(t)
	for range 6 {
		a, _ := g.try("ada@example.org", home)
		if a != nil && len(g.mem.counters) > 10 {
			a.Succeed(t.Context())
		}
		g.clock.advance(time.Minute)
	}
	for key := range g.mem.counters {
		if strings.Contains(key, "ada") || strings.Contains(key, "192.0") {
			t.Errorf("counter %q names whom it counts", key)
		}
	}
}

func TestU4_Networks(t *testing.T) {
	for ip, want := range map[string]string{
		"192.0.2.7":             "192.0.2.0/24",
		"::ffff:192.0.2.7":      "192.0.2.0/24",
		"2001:db8:1:2:3::4":     "2001:db8:1::/48",
		"fe80::1%eth0":          "fe80::/48",
		"":                      "",
		"unknown":               "",
		"192.0.2.7:80":          "",
		"2001:db8:1:ffff::beef": "2001:db8:1::/48",
	} {
		if got := networkOf(ip); got != want {
			t.Errorf("networkOf(%q) = %q, want %q", ip, got, want)
		}
	}
}

func TestU4_OffLetsEverythingPass(t *testing.T) {
	var off *Throttle
	for range 1000 {
		a, err := off.Begin(from(t.Context(), home), "ada")
		if err != nil {
			t.Fatal(err)
		}
		a.Succeed(t.Context())
		a.Withdraw(t.Context())
	}
}

func TestU4_ThrottleFailsClosed(t *testing.T) {
	g := newGuesser(t)
	g.mem.countersDown = true
	a, err := g.Begin(from(t.Context(), home), "ada")
	if a != nil || !errors.Is(err, errDown) {
		t.Errorf("with the store down: %v, %v", a, err)
	}
}
