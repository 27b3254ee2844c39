package model

import (
	"flag"
	"fmt"
	"math/rand/v2"
	"os"
	"runtime"
	"slices"
	"strings"
	"sync"
	"testing"
)

var update = flag.Bool("update", false, "rewrite the table of docs/security.md")

// A month of sessions by the rules of the model: how often honest users are logged
// out, and what becomes of thieves.
const (
	manySessions = 1_000_000
	month        = 30 * 24 * 60 // minutes
	// One answer in so many is lost, half of them before the store wrote. One session
	// in so many has a token stolen.
	lostOneIn, stolenOneIn = 20, 100
	// A client refreshes every hour while it is used; one time in so many it is put
	// away instead, for as long as a day.
	awayOneIn, hour, day = 5, 60, 24 * 60
)

// theft is a kind of theft.
type theft struct {
	token, habit string
	// behind is how far before the live token the stolen one is.
	behind int32
	// inStep is a thief who reads when the owner has refreshed, and only then does.
	inStep, bound bool
}

var thefts = func() (kinds []theft) {
	for _, bound := range []bool{false, true} {
		kinds = append(kinds,
			theft{"live", "at his own times", 0, false, bound}, theft{"live", "once after each refresh of the owner", 0, true, bound},
			theft{"just spent", "at his own times", 1, false, bound}, theft{"just spent", "once after each refresh of the owner", 1, true, bound},
			theft{"older", "at his own times", 5, false, bound})
	}
	return kinds
}()

// fates is what came of many sessions.
type fates struct {
	honest, refreshes, lost, retries, loggedOut int
	of                                          []fate
}

// fate is what came of the thefts of one kind.
type fate struct {
	thieves, got, found, alarmed, ownersOut int
	// within are how many minutes after the first attempt each was found that was.
	within []int
}

func (f *fates) add(g fates) {
	f.honest, f.refreshes, f.lost, f.retries, f.loggedOut = f.honest+g.honest, f.refreshes+g.refreshes, f.lost+g.lost, f.retries+g.retries, f.loggedOut+g.loggedOut
	for i := range g.of {
		a, b := &f.of[i], g.of[i]
		a.thieves, a.got, a.found, a.alarmed, a.ownersOut = a.thieves+b.thieves, a.got+b.got, a.found+b.found, a.alarmed+b.alarmed, a.ownersOut+b.ownersOut
		a.within = append(a.within, b.within...)
	}
}

// pause is how long somebody waits until the next refresh.
func pause(r *rand.Rand) int {
	if r.IntN(awayOneIn) == 0 {
		return 1 + r.IntN(day)
	}
	return hour
}

// party is who has a token of a session.
type party struct {
	token  int32
	proves bool
	// next is when it refreshes next.
	next int
}

// present shows the party's token. Half of the answers that are lost are lost on the
// way to the server.
func (p *party) present(r *rand.Rand, s *Session) (v Verdict, answered bool) {
	lost := r.IntN(lostOneIn) == 0
	if lost && r.IntN(2) == 0 {
		return Refused, false
	}
	t := Showing{Generation: p.token, Proved: p.proves}
	v = Present(*s, t)
	if *s = v.After(*s, t); !lost && (v == Advances || v == Repeats) {
		p.token++
	}
	return v, !lost
}

// live lives through one session.
func (f *fates) live(n int) {
	r := rand.New(rand.NewPCG(18, uint64(n)))
	s, owner, stolen := Session{Born: true}, party{next: pause(r), proves: true}, theft{}
	thief, end, theftAt := party{next: month}, (*fate)(nil), month
	if n%stolenOneIn == 0 {
		kind := n / stolenOneIn % len(thefts)
		stolen, end, theftAt = thefts[kind], &f.of[kind], day+r.IntN(20*day)
		s.Bound = stolen.bound
		end.thieves++
	} else {
		f.honest++
	}
	first, got, copied := -1, false, false
	for owner.next < month || thief.next < month {
		if !copied && theftAt <= min(owner.next, thief.next) && owner.token >= stolen.behind {
			copied, thief.token = true, owner.token-stolen.behind
			if thief.next = theftAt + r.IntN(hour); stolen.inStep && stolen.behind == 0 {
				thief.next = month // until the owner has refreshed
			}
			continue
		}
		if thief.next <= owner.next {
			now := thief.next
			if first < 0 {
				first = now
			}
			thief.next = now + pause(r)
			v, answered := thief.present(r, &s)
			switch {
			case v == Unproved && answered:
				end.alarmed++
				thief.next = month
			case v == Reused || v == Refused && answered:
				thief.next = month
			case !answered:
				thief.next = now + 1
			default:
				if !got {
					got = true
					end.got++
				}
				if stolen.inStep {
					thief.next = month
				}
			}
			if s.Ended && v == Reused {
				end.found++
				end.within = append(end.within, now-first)
			}
			continue
		}
		now := owner.next
		v, answered := owner.present(r, &s)
		f.refreshes++
		if owner.next = now + pause(r); !answered {
			f.lost++
			if r.IntN(2) == 0 {
				owner.next = now + 1
			}
			if v != Reused {
				continue
			}
		}
		switch v {
		case Repeats:
			f.retries++
		case Reused:
			if end != nil {
				end.found++
				end.within = append(end.within, now-first)
			}
		}
		if v == Reused || v == Refused {
			if end != nil {
				end.ownersOut++
			} else {
				f.loggedOut++
			}
			return
		}
		if stolen.inStep && copied && thief.next == month && (!s.Bound || first < 0) {
			thief.next = now + 1
		}
	}
}

// simulate lives through the first sessions.
func simulate(sessions int) fates {
	all := fates{of: make([]fate, len(thefts))}
	var mu sync.Mutex
	var running sync.WaitGroup
	workers := runtime.GOMAXPROCS(0)
	for w := range workers {
		running.Go(func() {
			mine := fates{of: make([]fate, len(thefts))}
			for n := w; n < sessions; n += workers {
				mine.live(n)
			}
			mu.Lock()
			defer mu.Unlock()
			all.add(mine)
		})
	}
	running.Wait()
	for i := range all.of {
		slices.Sort(all.of[i].within)
	}
	return all
}

func percent(part, whole int) string {
	if part == 0 || part == whole {
		return fmt.Sprintf("%d %%", 100*part/whole)
	}
	return fmt.Sprintf("%.1f %%", 100*float64(part)/float64(whole))
}

func (f fates) table() string {
	var b strings.Builder
	fmt.Fprintf(&b, "Sessions that nobody stole from: %d; of %d refreshes %d answers were lost, and %d retries told a successor again.\nHonest users logged out: %d.\n\n",
		f.honest, f.refreshes, f.lost, f.retries, f.loggedOut)
	b.WriteString("| stolen | the thief refreshes | session | thieves | gets a token | found out by reuse | after (median, 95 %) | owner logs in again | refused and logged at once |\n| --- | --- | --- | --- | --- | --- | --- | --- | --- |\n")
	for i, kind := range thefts {
		of, session, after := f.of[i], "bearer", "–"
		if kind.bound {
			session = "DPoP"
		}
		if n := len(of.within); n > 0 {
			hours := func(i int) string { return fmt.Sprintf("%.1f h", float64(of.within[i])/hour) }
			after = hours(n/2) + ", " + hours(n*95/100)
		}
		fmt.Fprintf(&b, "| %s | %s | %s | %d | %s | %s | %s | %s | %s |\n", kind.token, kind.habit, session, of.thieves,
			percent(of.got, of.thieves), percent(of.found, of.thieves), after, percent(of.ownersOut, of.thieves), percent(of.alarmed, of.thieves))
	}
	return b.String()
}

const (
	page   = "../../docs/security.md"
	before = "<!-- made by go test ./internal/model -run Month -update -->\n\n"
	behind = "\n<!-- as far as here -->\n"
)

// TestF2_F3_AMonth simulates a month, and holds the table of docs/security.md to it.
func TestF2_F3_AMonth(t *testing.T) {
	f := simulate(smaller(manySessions, manySessions/50))
	t.Logf("\n%s", f.table())
	if f.loggedOut != 0 {
		t.Errorf("%d honest users were logged out", f.loggedOut)
	}
	for i, kind := range thefts {
		of := f.of[i]
		if kind.bound && (of.got > 0 || of.found > 0 || of.ownersOut > 0 || of.alarmed != of.thieves) || kind.behind > 1 && of.got > 0 {
			t.Errorf("%+v came to %+v", kind, of)
		}
	}
	if raceDetector {
		return
	}
	text, err := os.ReadFile(page)
	if err != nil {
		t.Fatal(err)
	}
	head, rest, ok := strings.Cut(string(text), before)
	had, tail, closed := strings.Cut(rest, behind)
	if !ok || !closed {
		t.Fatalf("%s has no place for the table", page)
	}
	switch {
	case *update:
		if err := os.WriteFile(page, []byte(head+before+f.table()+behind+tail), 0o644); err != nil {
			t.Fatal(err)
		}
	case had != f.table():
		t.Errorf("%s has another table; -update writes it", page)
	}
}
