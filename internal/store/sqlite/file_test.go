package sqlite

import (
	"bytes"
	"context"
	"database/sql/driver"
	"errors"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"testing"

	"github.com/keyturn/keyturn/internal/clients"
	"github.com/keyturn/keyturn/keys"
)

func TestFileIsItsOwnersOnly(t *testing.T) {
	path := filepath.Join(t.TempDir(), "odd name?#%20é.db")
	s := open(t, path)
	if err := s.Ping(t.Context()); err != nil {
		t.Fatal(err)
	}
	for _, suffix := range []string{"", "-wal", "-shm"} {
		info, err := os.Stat(path + suffix)
		if err != nil {
			t.Fatal(err)
		}
		if mode := info.Mode().Perm(); mode != 0o600 {
			t.Errorf("%q has mode %o; want 600", info.Name(), mode)
		}
	}
}

// TestF5_CommitsAreSynced checks what power loss would: that the connection
// that writes syncs the log at every commit.
func TestF5_CommitsAreSynced(t *testing.T) {
	path := filepath.Join(t.TempDir(), "keyturn.db")
	open(t, path)
	c, err := file(path).connect(t.Context(), forWriting)
	if err != nil {
		t.Fatal(err)
	}
	defer c.Close()
	for pragma, want := range map[string]string{
		"PRAGMA synchronous": "2", "PRAGMA journal_mode": "wal", "PRAGMA secure_delete": "1",
	} {
		rows, err := c.QueryContext(t.Context(), pragma, nil)
		if err != nil {
			t.Fatal(err)
		}
		r := row{values: make([]driver.Value, 1)}
		if err := rows.Next(r.values); err != nil {
			t.Fatal(err)
		}
		expect(t, pragma, r.values[0], want)
		if err := rows.Close(); err != nil {
			t.Fatal(err)
		}
	}
}

// TestK4_ErasedPrivateHalfLeavesTheFile looks for the bytes of a private half
// in the file after it was erased.
func TestK4_ErasedPrivateHalfLeavesTheFile(t *testing.T) {
	path := filepath.Join(t.TempDir(), "keyturn.db")
	secret := []byte(strings.Repeat("private half ", 20))
	s, err := Open(t.Context(), path)
	if err != nil {
		t.Fatal(err)
	}
	k := keys.Record{KID: "k", Sealed: secret}
	steps := []error{s.CreateKey(t.Context(), k), s.Close()}
	if !bytes.Contains(contents(t, path), secret) {
		t.Fatal("the private half was never there")
	}
	k.Sealed = nil
	s = open(t, path)
	steps = append(steps, s.UpdateKey(t.Context(), k), s.Close())
	if err := errors.Join(steps...); err != nil {
		t.Fatal(err)
	}
	if bytes.Contains(contents(t, path), secret[:40]) {
		t.Error("the private half is still in the file")
	}
}

func contents(t *testing.T, path string) []byte {
	t.Helper()
	data, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	return data
}

// made returns the bytes of a store's file after a script and a change to it.
func made(t *testing.T, script string, change func(data []byte) []byte) []byte {
	t.Helper()
	path := filepath.Join(t.TempDir(), "made.db")
	s, err := Open(t.Context(), path)
	if err != nil {
		t.Fatal(err)
	}
	if script != "" {
		if _, err := runScript(t.Context(), s, script); err != nil {
			t.Fatal(err)
		}
	}
	if err := s.Close(); err != nil {
		t.Fatal(err)
	}
	data := contents(t, path)
	if change != nil {
		data = change(data)
	}
	return data
}

func runScript(ctx context.Context, s *Store, script string) (int, error) {
	return change(ctx, s, func(c *conn) (int, error) { return 0, c.script(script) })
}

func TestUnusableFilesAreRefusedAndLeftAlone(t *testing.T) {
	for name, c := range map[string]struct {
		data []byte
		want string
	}{
		"not a database":    {[]byte(strings.Repeat("these are notes, not a database\n", 200)), "damaged or not a database"},
		"very short":        {[]byte("x"), "damaged or not a database"},
		"another program's": {made(t, "PRAGMA application_id = 77", nil), "another program's database"},
		"nobody's":          {made(t, "PRAGMA application_id = 0", nil), "another program's database"},
		"a later version's": {made(t, "PRAGMA user_version = 1000000", nil), "schema version 1000000"},
		"cut off": {made(t, "", func(data []byte) []byte {
			return data[:len(data)/2]
		}), "damaged"},
		"overwritten in the middle": {made(t, "", func(data []byte) []byte {
			copy(data[len(data)/2:], bytes.Repeat([]byte{0xa5}, 8192))
			return data
		}), "damaged"},
	} {
		t.Run(name, func(t *testing.T) {
			path := filepath.Join(t.TempDir(), "keyturn.db")
			if err := os.WriteFile(path, c.data, 0o600); err != nil {
				t.Fatal(err)
			}
			s, err := Open(t.Context(), path)
			if err == nil {
				t.Fatalf("it was opened: %v", s.Close())
			}
			text := err.Error()
			for _, want := range []string{path, c.want, "nothing was changed"} {
				if !strings.Contains(text, want) {
					t.Errorf("the error does not say %q: %s", want, text)
				}
			}
			if strings.Contains(text, "\n") {
				t.Errorf("the error is not one line: %q", text)
			}
			if !bytes.Equal(contents(t, path), c.data) {
				t.Error("the file was changed")
			}
			if beside, _ := filepath.Glob(path + "*"); len(beside) != 1 {
				t.Errorf("left beside the file: %q", beside)
			}
		})
	}
}

func TestUnusablePathsAreRefused(t *testing.T) {
	dir := t.TempDir()
	for _, path := range []string{"", dir, filepath.Join(dir, "no", "such", "directory.db")} {
		s, err := Open(t.Context(), path)
		if err == nil {
			t.Errorf("%q was opened: %v", path, s.Close())
			continue
		}
		if !strings.Contains(err.Error(), "sqlite") || !strings.Contains(err.Error(), path) {
			t.Errorf("%q: the error does not name it: %v", path, err)
		}
	}
}

func TestOpeningCanBeCancelled(t *testing.T) {
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	if s, err := Open(ctx, filepath.Join(t.TempDir(), "keyturn.db")); !errors.Is(err, context.Canceled) {
		t.Errorf("store %v, error %v; want %v", s, err, context.Canceled)
	}
}

// TestRefusedFileKeepsItsLog checks that what another program has not yet
// moved from its write-ahead log into its database stays where it is.
func TestRefusedFileKeepsItsLog(t *testing.T) {
	from := filepath.Join(t.TempDir(), "theirs.db")
	s := open(t, from)
	if _, err := runScript(t.Context(), s, "PRAGMA application_id = 77"); err != nil {
		t.Fatal(err)
	}
	path := filepath.Join(t.TempDir(), "keyturn.db")
	before := map[string][]byte{}
	for _, suffix := range []string{"", "-wal"} {
		before[suffix] = contents(t, from+suffix)
		if err := os.WriteFile(path+suffix, before[suffix], 0o600); err != nil {
			t.Fatal(err)
		}
	}
	if s, err := Open(t.Context(), path); err == nil {
		t.Fatalf("it was opened: %v", s.Close())
	} else if !strings.Contains(err.Error(), "another program's") {
		t.Errorf("error is %v", err)
	}
	for suffix, data := range before {
		if !bytes.Equal(contents(t, path+suffix), data) {
			t.Errorf("the file%s was changed", suffix)
		}
	}
}

// TestOnlyATakenValueIsTaken has the file refuse a record on other grounds, as a
// rule that somebody added to it may: no record is there, so none is said to be.
func TestOnlyATakenValueIsTaken(t *testing.T) {
	s := fresh(t)
	if _, err := runScript(t.Context(), s, `
		CREATE TRIGGER no_keys BEFORE INSERT ON keys BEGIN SELECT RAISE(ABORT, 'no keys here'); END;
		CREATE TRIGGER no_clients BEFORE INSERT ON clients BEGIN SELECT RAISE(ABORT, 'no clients here'); END`); err != nil {
		t.Fatal(err)
	}
	err := s.CreateKey(t.Context(), keys.Record{KID: "k"})
	if errors.Is(err, keys.ErrKeyExists) || err == nil || !strings.Contains(err.Error(), "no keys here") {
		t.Errorf("a key that was refused: %v", err)
	}
	err = s.CreateClient(t.Context(), client("c"))
	if errors.Is(err, clients.ErrExists) || err == nil || !strings.Contains(err.Error(), "no clients here") {
		t.Errorf("a client that was refused: %v", err)
	}
}

// TestAFileThatIsNotThereAnyMore renames, deletes and replaces the file of an
// open store, which must not go on with what nobody finds, and puts it back.
func TestAFileThatIsNotThereAnyMore(t *testing.T) {
	for name, act := range map[string]func(path string) error{
		"renamed": func(path string) error { return os.Rename(path, path+".old") },
		"replaced": func(path string) error {
			return errors.Join(os.Link(path, path+".old"), os.WriteFile(path+".new", nil, 0o600), os.Rename(path+".new", path))
		},
		"deleted": func(path string) error { return errors.Join(os.Link(path, path+".old"), os.Remove(path)) },
	} {
		t.Run(name, func(t *testing.T) {
			path := filepath.Join(t.TempDir(), "keyturn.db")
			s := open(t, path)
			if err := s.CreateClient(t.Context(), client("app")); err != nil {
				t.Fatal(err)
			}
			if err := act(path); err != nil {
				t.Fatal(err)
			}
			if err := s.CreateClient(t.Context(), client("ghost")); err == nil || !strings.Contains(err.Error(), "put the file back") {
				t.Errorf("a write: %v", err)
			}
			if _, err := s.Keys(t.Context()); err == nil {
				t.Error("the poll notices nothing")
			}
			if _, err := s.ClientByID(t.Context(), "app"); err == nil {
				t.Error("a read is answered")
			}
			if err := os.Rename(path+".old", path); err != nil {
				t.Fatal(err)
			}
			if err := s.Ping(t.Context()); err != nil {
				t.Errorf("after the file was put back: %v", err)
			}
			if _, err := s.ClientByID(t.Context(), "app"); err != nil {
				t.Errorf("a read after the file was put back: %v", err)
			}
			if _, err := s.ClientByID(t.Context(), "ghost"); !errors.Is(err, clients.ErrNotFound) {
				t.Errorf("the write that was refused: %v", err)
			}
		})
	}
}

// TestALogOfAnotherFile has a file that was put beside the log of the one that was there
// before, both of running servers: what looks like damage may be the log, and that is said.
func TestALogOfAnotherFile(t *testing.T) {
	full := filepath.Join(t.TempDir(), "full.db")
	create := func(s *Store, from, to int) {
		for n := from; n < to; n++ {
			if err := s.CreateClient(t.Context(), client(strconv.Itoa(n))); err != nil {
				t.Fatal(err)
			}
		}
	}
	s, err := Open(t.Context(), full)
	if err != nil {
		t.Fatal(err)
	}
	create(s, 0, 500)
	if err := s.Close(); err != nil { // the log is now in the file
		t.Fatal(err)
	}
	create(open(t, full), 500, 505)
	other := filepath.Join(t.TempDir(), "other.db")
	open(t, other)
	path := filepath.Join(t.TempDir(), "keyturn.db")
	if err := errors.Join(os.WriteFile(path, contents(t, other), 0o600), os.WriteFile(path+"-wal", contents(t, full+"-wal"), 0o600)); err != nil {
		t.Fatal(err)
	}
	if s, err = Open(t.Context(), path); err == nil {
		t.Fatalf("it was opened: %v", s.Close())
	}
	if text := err.Error(); !strings.Contains(text, "log beside it, "+path+"-wal, is not its own") || !strings.Contains(text, "nothing was changed") {
		t.Errorf("error is %v", err)
	}
}
