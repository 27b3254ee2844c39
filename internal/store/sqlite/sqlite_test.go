package sqlite

import (
	"context"
	"path/filepath"
	"testing"

	"github.com/keyturn/keyturn/internal/store"
	"github.com/keyturn/keyturn/internal/store/storetest"
)

func TestStore(t *testing.T) {
	storetest.Run(t, storetest.Factory{New: func(t *testing.T) storetest.Opener {
		path := filepath.Join(t.TempDir(), "keyturn.db")
		return func(ctx context.Context) (store.Store, error) { return Open(ctx, path) }
	}})
}

// TestAPanicInAReadCostsNoConnection lets a read panic on each connection, in
// the midst of a statement's rows: all are there again, see what is written
// since, and let the store close.
func TestAPanicInAReadCostsNoConnection(t *testing.T) {
	s, err := Open(t.Context(), filepath.Join(t.TempDir(), "keyturn.db"))
	if err != nil {
		t.Fatal(err)
	}
	panicking := func() (p any) {
		defer func() { p = recover() }()
		_, _ = read(t.Context(), s, func(c *conn) ([]int, error) {
			return list(c, countUsers, func(*row) int { panic("in a read") })
		})
		return nil
	}
	for range cap(s.readers) {
		if p := panicking(); p != "in a read" {
			t.Errorf("the caller sees the panic %v", p)
		}
	}
	if n := len(s.readers); n != cap(s.readers) {
		t.Fatalf("%d of %d connections are left", n, cap(s.readers))
	}
	if err := s.CreateFamily(t.Context(), family("since")); err != nil {
		t.Fatal(err)
	}
	for range cap(s.readers) { // they take turns
		if !stored(t, s, "since")[0] {
			t.Error("a connection stands where the panic left it")
		}
	}
	if err := s.Close(); err != nil {
		t.Error(err)
	}
}
