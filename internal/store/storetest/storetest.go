// Package storetest is the one suite that every store must pass. What it holds
// a store to are the promises in the doc comments of the interfaces that make
// up store.Store; there is no opt-out from any of them.
package storetest

import (
	"context"
	"errors"
	"reflect"
	"testing"

	"github.com/keyturn/keyturn/internal/store"
)

// Opener opens a store on one set of data; every call opens one more replica of
// it. Safe to call at the same time. The suite closes what it opens.
type Opener func(ctx context.Context) (store.Store, error)

// Factory makes the stores that a suite runs against.
type Factory struct {
	// New returns the opener of fresh, empty data, which it removes when t
	// ends. Nothing has opened the data yet, so that the first call of the
	// Opener is also what creates its tables or indexes.
	New func(t *testing.T) Opener
	// LosesUpdates says that the engine under the store reads and then
	// writes where it is asked for one conditional update, so that of two at
	// once both may report success and one is lost. The races then run as
	// ever, but are held only to what a client of such an engine can still
	// keep: at least one wins, all who win see the same outcome, nothing
	// fails. No engine meant for production sets this.
	LosesUpdates bool
}

// Run runs the suite; each promise is a subtest of t, each on its own data.
func Run(t *testing.T, f Factory) {
	s := &suite{factory: f}
	for _, group := range []struct {
		name  string
		tests []test
	}{
		{"users", s.users()},
		{"counters", s.counters()},
		{"clients", s.clients()},
		{"families", s.families()},
		{"rotate", s.rotations()},
		{"revoke", s.revocations()},
		{"denylist", s.denylist()},
		{"outbox", s.outbox()},
		{"keys", s.keys()},
		{"anchors", s.anchors()},
		{"steady", s.steadyTime()},
		{"places", s.places()},
		{"sweep", s.sweep()},
		{"store", s.whole()},
		{"put", s.puts()},
		{"faults", s.repeats()},
	} {
		t.Run(group.name, func(t *testing.T) {
			for _, test := range group.tests {
				t.Run(test.name, test.run)
			}
		})
	}
}

type suite struct {
	factory Factory
}

type test struct {
	name string
	run  func(t *testing.T)
}

// fresh opens one store on fresh data.
func (s *suite) fresh(t *testing.T) store.Store {
	t.Helper()
	return s.replicas(t, 1)[0]
}

// replicas opens n stores on the same fresh data.
func (s *suite) replicas(t *testing.T, n int) []store.Store {
	t.Helper()
	open := s.factory.New(t)
	stores := make([]store.Store, n)
	for i := range stores {
		st, err := open(t.Context())
		if err != nil {
			t.Fatalf("opening replica %d: %v", i, err)
		}
		t.Cleanup(func() {
			if err := st.Close(); err != nil {
				t.Errorf("closing replica %d: %v", i, err)
			}
		})
		stores[i] = st
	}
	return stores
}

// wonOnce holds a race for one conditional write to having one winner.
func (s *suite) wonOnce(t *testing.T, wins int64) {
	t.Helper()
	if s.factory.LosesUpdates {
		if wins < 1 {
			t.Errorf("nobody won; at least one must")
		}
		return
	}
	if wins != 1 {
		t.Errorf("%d won; exactly one must", wins)
	}
}

// ok fails the test at once unless err is nil.
func ok(t *testing.T, err error) {
	t.Helper()
	if err != nil {
		t.Fatalf("unexpected error: %v", err)
	}
}

// is fails the test unless err is want.
func is(t *testing.T, err, want error) {
	t.Helper()
	if !errors.Is(err, want) {
		t.Errorf("error is %v; want %v", err, want)
	}
}

// same fails the test unless got equals want, lists without elements counting
// as nil. Times must be equal in their location too: a store answers in UTC.
func same[T any](t *testing.T, what string, got, want T) {
	t.Helper()
	g, w := reflect.New(reflect.TypeFor[T]()).Elem(), reflect.New(reflect.TypeFor[T]()).Elem()
	g.Set(reflect.ValueOf(&got).Elem())
	w.Set(reflect.ValueOf(&want).Elem())
	dropEmpty(g)
	dropEmpty(w)
	if !reflect.DeepEqual(g.Interface(), w.Interface()) {
		t.Errorf("%s\n got %+v\nwant %+v", what, g.Interface(), w.Interface())
	}
}

// dropEmpty sets every empty list in the record v, or in the records of the
// list v, to nil.
func dropEmpty(v reflect.Value) {
	switch v.Kind() {
	case reflect.Slice:
		if v.Len() == 0 {
			v.SetZero()
			return
		}
		fresh := reflect.MakeSlice(v.Type(), v.Len(), v.Len())
		reflect.Copy(fresh, v)
		v.Set(fresh)
		for i := range v.Len() {
			dropEmpty(v.Index(i))
		}
	case reflect.Struct:
		for i := range v.NumField() {
			if v.Type().Field(i).IsExported() {
				dropEmpty(v.Field(i))
			}
		}
	}
}
