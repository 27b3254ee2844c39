package log

import (
	"context"
	"errors"
	"os"
	"path/filepath"
	"strings"
	"syscall"
	"testing"

	"github.com/keyturn/keyturn/internal/audit"
	"github.com/keyturn/keyturn/internal/audit/verify"
)

// openOn opens a log whose file fails as told.
func openOn(t *testing.T, path string, fail func(s *file)) *Log {
	t.Helper()
	l, err := Open(Options{Sink: path, Node: "host"})
	if err != nil {
		t.Fatal(err)
	}
	fail(l.sink.(*file))
	return l
}

func recordOne(l *Log) error {
	return l.Record(context.Background(), audit.Event{Action: audit.UserAdded, Outcome: audit.Success, UserID: "u"})
}

// lands writes b, or a part of it, and reports that nothing was written.
func lands(part func(b []byte) []byte, times *int) func(*os.File, []byte) (int, error) {
	return func(f *os.File, b []byte) (int, error) {
		if *times == 0 {
			return f.Write(b)
		}
		*times--
		if _, err := f.Write(part(b)); err != nil {
			return 0, err
		}
		return 0, syscall.EIO
	}
}

// TestA2_AWriteThatLandsThoughItFailed has the system report an error for what it
// wrote, whole or in part, on a file that can be cut, on one that cannot, and on
// one that cannot be read either. No number is used twice.
func TestA2_AWriteThatLandsThoughItFailed(t *testing.T) {
	whole := func(b []byte) []byte { return b }
	half := func(b []byte) []byte { return b[:len(b)/2] }
	for name, c := range map[string]struct {
		part    func([]byte) []byte
		uncut   bool
		unread  bool
		chains  int
		stands  bool // the failed event is in the log, and its caller knows
		inDoubt bool
	}{
		"whole":                          {part: whole, chains: 1},
		"half":                           {part: half, chains: 1},
		"whole, append-only":             {part: whole, uncut: true, chains: 1, stands: true},
		"half, append-only":              {part: half, uncut: true, chains: 1},
		"whole, append-only, unreadable": {part: whole, uncut: true, unread: true, chains: 2, inDoubt: true},
	} {
		t.Run(name, func(t *testing.T) {
			path := filepath.Join(t.TempDir(), "audit.log")
			times := 0
			l := openOn(t, path, func(s *file) {
				s.write = lands(c.part, &times)
				if c.uncut {
					s.truncate = func(*os.File, int64) error { return syscall.EPERM }
				}
				if c.unread {
					s.readAt = func(*os.File, []byte, int64) (int, error) { return 0, syscall.EIO }
				}
			})
			if err := recordOne(l); err != nil {
				t.Fatal(err)
			}
			times = 1
			err := recordOne(l)
			if (err == nil) != c.stands || errors.Is(err, audit.ErrInDoubt) != c.inDoubt {
				t.Errorf("the write that failed: %v", err)
			}
			l.sink.(*file).readAt = (*os.File).ReadAt
			for range 3 {
				if err := recordOne(l); err != nil {
					t.Fatal(err)
				}
			}
			if err := l.Close(); err != nil {
				t.Fatal(err)
			}
			rep, err := verify.Files([]string{path}, verify.Options{})
			if c.uncut && !c.stands && !c.inDoubt {
				// The half line cannot be taken off an append-only file.
				if err == nil || !strings.Contains(err.Error(), "not complete") {
					t.Errorf("got %v", err)
				}
				return
			}
			if err != nil || rep.Chains != c.chains {
				t.Errorf("%+v, %v", rep, err)
			}
		})
	}
}
