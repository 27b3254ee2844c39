package throttle

import (
	"flag"
	"fmt"
	"math/rand/v2"
	"testing"
	"time"
)

// docs/accounts.md shows what this prints with 100,000 guesses:
//
//	go test ./internal/throttle -run U4_CredentialStuffing -v -guesses 100000
var guesses = flag.Int("guesses", 4000, "how many guesses the simulated attacks make")

// attack is one way to spread guesses over networks, accounts and time.
type attack struct {
	name               string
	networks, accounts int
	during             time.Duration
	// most is how many guesses may be judged, however many are made.
	most int
}

// attacks go from one machine on one account to a botnet with a list of
// addresses. most follows from the dimensions: what is free, and one for each turn,
// which lasts two thirds of the cap at least; over a day a network does better
// to wait until what is free in an hour is free again.
var attacks = []attack{
	{"one network, one account", 1, 1, 24 * time.Hour, 5 + 24*6 + 20},
	{"one network, 10,000 accounts", 1, 10_000, 24 * time.Hour, 100 + 24*(100+10)},
	{"1,000 networks, one account", 1000, 1, 24 * time.Hour, 50 + 24*180 + 20},
	{"1,000 networks, one account, in an hour", 1000, 1, time.Hour, 50 + 180 + 20},
	{"100 networks, 1,000 accounts, in an hour", 100, 1000, time.Hour, 100 * (100 + 90 + 10)},
	{"1,000 networks, 100,000 accounts", 1000, 100_000, 24 * time.Hour, 1 << 30},
}

// stuffing is how an attack went.
type stuffing struct {
	judged int
	// atHome and elsewhere are the longest waits of a user of an account under
	// attack, who logs in every ten minutes from a network known to it, and
	// from another each time.
	atHome, elsewhere time.Duration
}

// launch makes the guesses of a, evenly over its time and each once: one that
// is told to wait is lost.
func (g guesser) launch(a attack, guesses int) (s stuffing) {
	const victim = "user-0"
	if login, wait := g.try(victim, home); wait > 0 {
		g.Fatalf("the first login had to wait %s", wait)
	} else {
		login.Succeed(g.Context())
	}
	random := rand.New(rand.NewPCG(1, 2))
	visit := func(ip string, longest *time.Duration) {
		login, wait := g.try(victim, ip)
		if wait == 0 {
			login.Succeed(g.Context())
		}
		*longest = max(*longest, wait)
	}
	next := g.clock.now()
	for n := range guesses {
		network := random.IntN(a.networks)
		account := fmt.Sprintf("user-%d", random.IntN(a.accounts))
		if _, wait := g.try(account, fmt.Sprintf("10.%d.%d.%d", network/250, network%250, 1+random.IntN(250))); wait == 0 {
			s.judged++
		}
		g.clock.advance(a.during / time.Duration(guesses))
		if !g.clock.now().Before(next) {
			visit(home, &s.atHome)
			visit(fmt.Sprintf("172.16.%d.1", n%250), &s.elsewhere)
			next = next.Add(10 * time.Minute)
		}
	}
	return s
}

// TestU4_CredentialStuffing simulates attacks by the clock and holds them to
// what the dimensions let through, and to leaving the users alone.
func TestU4_CredentialStuffing(t *testing.T) {
	for _, a := range attacks {
		s := newGuesser(t).launch(a, *guesses)
		t.Logf("| %s | %s | %d | %.2f %% | %s | %s |", a.name, a.during, s.judged,
			100*float64(s.judged)/float64(*guesses), s.atHome.Round(time.Second), s.elsewhere.Round(time.Second))
		if s.judged > a.most {
			t.Errorf("%s: %d of %d guesses were judged; want %d at most", a.name, s.judged, *guesses, a.most)
		}
		if s.atHome > 0 {
			t.Errorf("%s: a user on a network known to the account had to wait %s", a.name, s.atHome)
		}
		if s.elsewhere > perAccount.limit {
			t.Errorf("%s: a user on another network had to wait %s, more than %s", a.name, s.elsewhere, perAccount.limit)
		}
	}
}
