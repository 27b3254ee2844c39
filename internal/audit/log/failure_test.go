package log_test

import (
	"bytes"
	"context"
	"errors"
	"io"
	"os"
	"os/signal"
	"path/filepath"
	"strings"
	"sync"
	"syscall"
	"testing"

	"github.com/keyturn/keyturn/internal/audit"
	"github.com/keyturn/keyturn/internal/audit/audittest"
	"github.com/keyturn/keyturn/internal/audit/line"
	auditlog "github.com/keyturn/keyturn/internal/audit/log"
	"github.com/keyturn/keyturn/internal/audit/verify"
)

// limited is a writer with room for so many more bytes.
type limited struct {
	bytes.Buffer
	mu   sync.Mutex
	room int
}

// refill makes room while the log is at work.
func (w *limited) refill(room int) {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.room = room
}

var errFull = errors.New("no room")

func (w *limited) Write(b []byte) (int, error) {
	w.mu.Lock()
	defer w.mu.Unlock()
	n := min(len(b), w.room)
	w.room -= n
	w.Buffer.Write(b[:n])
	if n < len(b) {
		return n, errFull
	}
	return n, nil
}

func TestA3_AFailedWriteFailsTheRecord(t *testing.T) {
	w := &limited{}
	l, err := auditlog.Open(auditlog.Options{Writer: w, Node: "n"})
	if err != nil {
		t.Fatal(err)
	}
	if err := l.Record(t.Context(), audit.Event{Action: audit.UserRead, Detail: "lost"}); !errors.Is(err, errFull) {
		t.Errorf("got %v", err)
	}
	w.room = 1 << 20
	audittest.Record(t, l, 2)
	audittest.Close(t, l)
	path := audittest.WriteLines(t, audittest.SplitLines(w.String()))
	if rep := audittest.MustVerify(t, verify.Options{}, path); rep.Lines != 2 || strings.Contains(w.String(), "lost") {
		t.Errorf("%+v", rep)
	}
}

func TestA3_OfATornBatchEveryCallerLearnsItsPart(t *testing.T) {
	w := &limited{room: 1 << 20}
	l, err := auditlog.Open(auditlog.Options{Writer: w, Node: "n"})
	if err != nil {
		t.Fatal(err)
	}
	audittest.Record(t, l, 1)
	w.room = 3*w.Len() + 50
	var wg sync.WaitGroup
	var mu sync.Mutex
	written := 1
	for range 20 {
		wg.Go(func() {
			if err := l.Record(context.Background(), audit.Event{Action: audit.TokenIssued, Outcome: audit.Success, UserID: "u1", ClientID: "app"}); err == nil {
				mu.Lock()
				written++
				mu.Unlock()
			}
		})
	}
	wg.Wait()
	w.room = 1 << 20
	audittest.Record(t, l, 1)
	written++
	audittest.Close(t, l)

	// The torn line stands alone; without it the chain is whole.
	var whole []string
	torn := 0
	for _, text := range audittest.SplitLines(w.String()) {
		if line.IsWhole([]byte(text)) {
			whole = append(whole, text)
		} else {
			torn++
		}
	}
	rep := audittest.MustVerify(t, verify.Options{}, audittest.WriteLines(t, whole))
	if rep.Lines != int64(written) || torn == 0 {
		t.Errorf("%d lines and %d torn ones for %d acknowledged events", rep.Lines, torn, written)
	}
}

func TestA3_AFullDisk(t *testing.T) {
	l, err := auditlog.Open(auditlog.Options{Sink: "/dev/full", Node: "n"})
	if err != nil {
		t.Fatal(err)
	}
	if err := l.Record(t.Context(), audit.Event{Action: audit.UserRead}); !errors.Is(err, syscall.ENOSPC) {
		t.Errorf("got %v", err)
	}
	audittest.Close(t, l)
}

func TestA3_ABrokenPipe(t *testing.T) {
	r, w, err := os.Pipe()
	if err != nil {
		t.Fatal(err)
	}
	defer w.Close()
	l, err := auditlog.Open(auditlog.Options{Writer: w, Node: "n"})
	if err != nil {
		t.Fatal(err)
	}
	audittest.Record(t, l, 1)
	if err := r.Close(); err != nil {
		t.Fatal(err)
	}
	if err := l.Record(t.Context(), audit.Event{Action: audit.UserRead}); !errors.Is(err, syscall.EPIPE) {
		t.Errorf("got %v", err)
	}
	audittest.Close(t, l)
}

// limitFiles makes the kernel end every file of this process at size bytes. It
// returns the way back.
func limitFiles(t *testing.T, size int64) func() {
	t.Helper()
	signal.Ignore(syscall.SIGXFSZ) // the write then fails with EFBIG
	var old syscall.Rlimit
	if err := syscall.Getrlimit(syscall.RLIMIT_FSIZE, &old); err != nil {
		t.Fatal(err)
	}
	limit := old
	limit.Cur = uint64(size)
	if err := syscall.Setrlimit(syscall.RLIMIT_FSIZE, &limit); err != nil {
		t.Fatal(err)
	}
	return func() {
		if err := syscall.Setrlimit(syscall.RLIMIT_FSIZE, &old); err != nil {
			t.Error(err)
		}
		signal.Reset(syscall.SIGXFSZ)
	}
}

func TestA3_AHalfWrittenBatchIsTakenBack(t *testing.T) {
	f := audittest.NewFixture(t)
	l := f.Open(t)
	audittest.Record(t, l, 3)
	before, err := os.Stat(f.Path)
	if err != nil {
		t.Fatal(err)
	}
	lift := limitFiles(t, before.Size()+100)
	failed := l.Record(t.Context(), audit.Event{Action: audit.UserRead, Detail: "lost"})
	lift()
	if !errors.Is(failed, syscall.EFBIG) {
		t.Errorf("got %v", failed)
	}
	after, err := os.Stat(f.Path)
	if err != nil {
		t.Fatal(err)
	}
	if after.Size() != before.Size() {
		t.Errorf("%d bytes of the failed line are left", after.Size()-before.Size())
	}
	audittest.Record(t, l, 3)
	audittest.Close(t, l)
	audittest.MustVerify(t, f.Options(), f.Path)
	if strings.Contains(strings.Join(f.Lines(t), ""), "lost") {
		t.Error("the refused event is in the file")
	}
}

func TestA3_AFailedReopenKeepsTheOldFile(t *testing.T) {
	dir := filepath.Join(t.TempDir(), "log")
	if err := os.Mkdir(dir, 0o700); err != nil {
		t.Fatal(err)
	}
	path := filepath.Join(dir, "audit.log")
	l, err := auditlog.Open(auditlog.Options{Sink: path, Node: "n"})
	if err != nil {
		t.Fatal(err)
	}
	audittest.Record(t, l, 1)
	moved := dir + ".old"
	if err := os.Rename(dir, moved); err != nil {
		t.Fatal(err)
	}
	if err := l.Reopen(); !errors.Is(err, os.ErrNotExist) {
		t.Errorf("got %v", err)
	}
	audittest.Record(t, l, 1)
	audittest.Close(t, l)
	if rep := audittest.MustVerify(t, verify.Options{}, filepath.Join(moved, "audit.log")); rep.Lines != 2 {
		t.Errorf("%+v", rep)
	}
}

func TestAWriterThatLiesIsNotBelieved(t *testing.T) {
	l, err := auditlog.Open(auditlog.Options{Writer: shortWriter{}, Node: "n"})
	if err != nil {
		t.Fatal(err)
	}
	if err := l.Record(t.Context(), audit.Event{Action: audit.UserRead}); !errors.Is(err, io.ErrShortWrite) {
		t.Errorf("got %v", err)
	}
	audittest.Close(t, l)
}

// shortWriter takes half and says nothing.
type shortWriter struct{}

func (shortWriter) Write(b []byte) (int, error) { return len(b) / 2, nil }
