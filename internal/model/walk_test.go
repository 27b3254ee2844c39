package model

import (
	"strings"
	"testing"
)

// smaller is the walk for the race detector, which makes the whole one too slow; there
// is nothing in it to race.
func smaller(whole, small int) int {
	if raceDetector {
		return small
	}
	return whole
}

// TestF1_F8_NoStepBreaksASession walks everything that can happen to sessions, of any
// number of generations.
func TestF1_F8_NoStepBreaksASession(t *testing.T) {
	for _, c := range []struct {
		name          string
		bound         bool
		states, small int
	}{
		{"bearer", false, 1565681, 76240},
		{"bound to a key", true, 454787, 33810},
	} {
		t.Run(c.name, func(t *testing.T) {
			f := explore(sessions{replicas: smaller(3, 2), bound: c.bound})
			t.Log(f)
			if want := smaller(c.states, c.small); f.violation != "" || f.states != want {
				t.Errorf("%d states; want %d and no violation", f.states, want)
			}
		})
	}
}

// TestF1_F8_CountingByDistanceLosesNothing holds the walk of any number of generations
// to one that counts them.
func TestF1_F8_CountingByDistanceLosesNothing(t *testing.T) {
	_, any := walk(sessions{replicas: 2})
	counted, states := walk(sessions{replicas: 2, generations: smaller(4, 3)})
	t.Log(counted)
	if counted.violation != "" {
		t.Error(counted.violation)
	}
	for s := range states {
		like := s
		like.shift()
		like.forget()
		if _, ok := any[like]; !ok {
			t.Fatalf("a state that the other walk has not come to: %+v\nas %+v", s, like)
		}
	}
}

// Each mutant is found, by the invariant that it breaks.
func TestF1_F8_MutantsAreFound(t *testing.T) {
	for m, want := range map[mutant]string{
		checkThenAct: "F3", revocationLoses: "F6", differentSuccessor: "F2", anyPredecessor: "F3", takebackRevives: "F6",
		reuseToldFirst: "F3", noSecondLook: "F7", oneClock: "F2",
	} {
		t.Run(string(m), func(t *testing.T) {
			f := explore(sessions{replicas: 3, generations: 4, mutant: m})
			if t.Log(f); !strings.HasPrefix(f.violation, want) {
				t.Errorf("found %q; want %s", f.violation, want)
			}
		})
	}
}

// TestK1_K6_NoStepBreaksTheKeys walks everything that can happen to four keys until
// what the first one signed has expired, and it has left the key set. Whatever a replica
// is asked on the way, package keys is asked too.
func TestK1_K6_NoStepBreaksTheKeys(t *testing.T) {
	asked := map[question]bool{}
	for _, c := range []struct {
		ahead         [3]int8
		states, small int
	}{
		{[3]int8{0, 0, 1}, 1329236, 206713},
		{[3]int8{0, 1, 1}, 1197601, 194983},
	} {
		m := keyRules{ahead: c.ahead, ticks: int8(smaller(12, 6))}
		f, states := walk(m)
		t.Log(f)
		if want := smaller(c.states, c.small); f.violation != "" || f.states != want {
			t.Errorf("%d states; want %d and no violation", f.states, want)
		}
		m.questions(states, asked)
	}
	t.Log(len(asked), "questions to the keys")
	blank := blankKeys(t)
	for q := range asked {
		q.ask(t, blank)
	}
}

func TestK1_K6_MutantsAreFound(t *testing.T) {
	for m, want := range map[mutant]string{noSecondTurn: "K6", signsAtOnce: "K1", leavesAtOnce: "K3", servesOnRegards: "K1"} {
		t.Run(string(m), func(t *testing.T) {
			f := explore(keyRules{ahead: [3]int8{0, 0, 1}, ticks: 12, mutant: m})
			if t.Log(f); !strings.HasPrefix(f.violation, want) {
				t.Errorf("found %q; want %s", f.violation, want)
			}
		})
	}
}
