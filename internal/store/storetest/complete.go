package storetest

import (
	"context"
	"errors"
	"reflect"
	"slices"
	"testing"
	"time"

	"github.com/keyturn/keyturn/internal/store"
)

// methods are the methods of a store that answer to a context: all that can go
// wrong.
func methods() (names []string) {
	of := reflect.TypeFor[store.Store]()
	for i := range of.NumMethod() {
		if m := of.Method(i); m.Type.NumIn() > 0 && m.Type.In(0) == reflect.TypeFor[context.Context]() {
			names = append(names, m.Name)
		}
	}
	return names
}

// everyMethodFails puts every method that the interface has through every fault:
// it must be among the calls that the suite makes, reach the store behind under
// its own name, and be told nothing but the fault.
func (s *suite) everyMethodFails(t *testing.T) {
	var called []string
	for _, c := range calls() {
		called = append(called, c.name)
	}
	slices.Sort(called)
	if want := methods(); !slices.Equal(called, want) {
		t.Fatalf("the suite calls\n%v\nA store has\n%v", called, want)
	}
	st := NewFaulty(s.fresh(t))
	furnish(t, st)
	for _, fault := range Faults {
		for _, c := range calls() {
			st.Inject(func(string) Fault { return fault })
			ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
			if !fault.Answers() {
				cancel() // what hangs, hangs until here
			}
			err := c.do(ctx, st)
			cancel()
			if want := map[bool]error{true: ErrFault, false: context.Canceled}[fault.Answers()]; !errors.Is(err, want) {
				t.Errorf("%s, %s: error is %v; want %v", c.name, fault, err, want)
			}
			if asked := st.Asked(); !slices.Equal(asked, []string{c.name}) {
				t.Errorf("%s goes wrong as %v", c.name, asked)
			}
		}
	}
}
