package sqlite

import (
	"os"
	"path/filepath"
	"testing"
	"time"
)

// TestStorageOfASessionStaysConstant refreshes one session thousands of times:
// it stays one row, and the file, once all is in it, no larger.
func TestStorageOfASessionStaysConstant(t *testing.T) {
	path := filepath.Join(t.TempDir(), "keyturn.db")
	s, err := Open(t.Context(), path)
	if err != nil {
		t.Fatal(err)
	}
	if err := s.CreateFamily(t.Context(), family("f")); err != nil {
		t.Fatal(err)
	}
	// closed returns the size of the file when nothing is left beside it.
	closed := func() int64 {
		t.Helper()
		if err := s.Close(); err != nil {
			t.Fatal(err)
		}
		info, err := os.Stat(path)
		if err != nil {
			t.Fatal(err)
		}
		if s, err = Open(t.Context(), path); err != nil {
			t.Fatal(err)
		}
		return info.Size()
	}
	before := closed()
	const refreshes = 3000
	for n := range int64(refreshes) {
		f, err := s.FamilyByID(t.Context(), "f")
		if err != nil {
			t.Fatal(err)
		}
		r := rotation(f, n)
		r.At = began.Add(time.Duration(n) * time.Hour)
		r.IdleExpiresAt, r.PurgeAt = r.At.Add(48*time.Hour), r.At.Add(721*time.Hour) // moves the index too
		if _, err := rotate(t.Context(), s, f, r); err != nil {
			t.Fatal(err)
		}
	}
	after := closed()
	defer s.Close()
	all, err := s.AllFamilies(t.Context(), "", 10)
	if err != nil || len(all) != 1 || all[0].Generation != refreshes {
		t.Fatalf("%+v, %v; want one family of generation %d", all, err, refreshes)
	}
	if after != before {
		t.Errorf("the file grew from %d to %d bytes", before, after)
	}
}
