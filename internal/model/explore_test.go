package model

import (
	"fmt"
	"strings"
)

// A machine is a model that can be walked: where it begins, what can happen next,
// and what must not have.
type machine[S comparable] interface {
	begin() S
	// next calls to with each state that one step leads to. The states of the same
	// meaning are one state.
	next(s S, to func(did step, after S))
	// wrong says which invariant the step breaks; nothing if it breaks none.
	wrong(before S, did step, after S) string
}

// step says what was done: WHO did it, WITH what; takes
// says that a token was taken.
type step struct {
	what      string
	who, with int8
	takes     bool
}

func (s step) String() string {
	return strings.NewReplacer("replica WHO", fmt.Sprint("replica ", s.who), "WHO", actors[s.who], "WITH", fmt.Sprint(s.with)).Replace(s.what)
}

// found is what a walk came to: how many states and steps it saw, how deep they lie,
// and the first step that breaks an invariant.
type found struct {
	states, steps, depth int
	violation            string
	trace                []string
}

func (f found) String() string {
	text := fmt.Sprintf("%d states, %d steps, at most %d deep", f.states, f.steps, f.depth)
	if f.violation != "" {
		text += fmt.Sprintf("\n%s:\n\t%s", f.violation, strings.Join(f.trace, "\n\t"))
	}
	return text
}

// explore walks all states that can be reached, nearest first, so that the trace to
// the first violation is a shortest one. It ends there.
func explore[S comparable](m machine[S]) found {
	f, _ := walk(m)
	return f
}

// walk is explore that returns the states, too.
func walk[S comparable](m machine[S]) (f found, seen map[S]struct{}) {
	type place struct {
		from int32
		at   S
	}
	first := m.begin()
	seen = map[S]struct{}{first: {}}
	all := []place{{-1, first}}
	trace := func(i int32, last step) {
		steps := []string{last.String()}
		for ; all[i].from >= 0; i = all[i].from {
			steps = append(steps, stepTo(m, all[all[i].from].at, all[i].at))
		}
		for len(steps) > 0 {
			f.trace, steps = append(f.trace, steps[len(steps)-1]), steps[:len(steps)-1]
		}
	}
	for i, level := 0, 1; i < len(all) && f.violation == ""; i++ {
		if i == level {
			level = len(all)
			f.depth++
		}
		before := all[i].at
		m.next(before, func(did step, after S) {
			f.steps++
			if f.violation != "" {
				return
			}
			if f.violation = m.wrong(before, did, after); f.violation != "" {
				trace(int32(i), did)
				return
			}
			if _, old := seen[after]; !old {
				seen[after] = struct{}{}
				all = append(all, place{int32(i), after})
			}
		})
	}
	f.states = len(all)
	return f, seen
}

// stepTo says what leads from one state to another.
func stepTo[S comparable](m machine[S], from, to S) (did string) {
	m.next(from, func(what step, after S) {
		if after == to && did == "" {
			did = what.String()
		}
	})
	return did
}
