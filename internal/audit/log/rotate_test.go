package log_test

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"syscall"
	"testing"
	"time"

	"github.com/keyturn/keyturn/internal/audit"
	"github.com/keyturn/keyturn/internal/audit/audittest"
	"github.com/keyturn/keyturn/internal/audit/line"
	auditlog "github.com/keyturn/keyturn/internal/audit/log"
	"github.com/keyturn/keyturn/internal/audit/verify"
)

// allFiles are the log and what it was rotated into.
func allFiles(f *audittest.Fixture, t *testing.T) []string {
	t.Helper()
	all, err := filepath.Glob(f.Path + "*")
	if err != nil {
		t.Fatal(err)
	}
	return all
}

// rotating opens a log of the fixture that rotates as r says.
func rotating(f *audittest.Fixture, t *testing.T, r auditlog.Rotation, change ...func(*auditlog.Options)) *auditlog.Log {
	t.Helper()
	return f.Open(t, append(change, func(o *auditlog.Options) { o.Rotation = r })...)
}

// TestA2_ManyWritersRotateOneFile has two logs with many callers each share a
// file that is rotated all the time: every event is there once, in files that
// are no larger than they may be, and all verify together.
func TestA2_ManyWritersRotateOneFile(t *testing.T) {
	const callers, each, size = 8, 25, 20_000
	f := audittest.NewFixture(t)
	var all sync.WaitGroup
	for range 2 {
		l := rotating(f, t, auditlog.Rotation{Size: size})
		defer audittest.Close(t, l)
		for range callers {
			all.Go(func() {
				for range each {
					if err := l.Record(t.Context(), audit.Event{Action: audit.UserRead, Outcome: audit.Success}); err != nil {
						t.Error(err)
					}
				}
			})
		}
	}
	all.Wait()
	files := allFiles(f, t)
	if len(files) < 5 {
		t.Errorf("%d files; want many", len(files))
	}
	events := 0
	for _, name := range files {
		content, err := os.ReadFile(name)
		if err != nil {
			t.Fatal(err)
		}
		if len(content) > size {
			t.Errorf("%s has %d bytes; want %d at most", name, len(content), size)
		}
		events += strings.Count(string(content), `"action":"user-read"`)
	}
	if events != 2*callers*each {
		t.Errorf("%d events in all files; want %d", events, 2*callers*each)
	}
	audittest.MustVerify(t, f.Options(), files...)
	slices.Reverse(files)
	audittest.MustVerify(t, f.Options(), files...)
}

// TestA2_AFileIsRotatedByItsAge tells the age from the file's first line, also
// of a file that was there before the log was opened.
func TestA2_AFileIsRotatedByItsAge(t *testing.T) {
	f := audittest.NewFixture(t)
	start := time.Now()
	var later atomic.Int64
	clock := func(o *auditlog.Options) { o.Now = func() time.Time { return start.Add(time.Duration(later.Load())) } }
	goOn := func(d time.Duration) { later.Add(int64(d)) }
	daily := auditlog.Rotation{Age: 24 * time.Hour}
	want := func(files int) {
		t.Helper()
		if got := allFiles(f, t); len(got) != files {
			t.Fatalf("%d files, want %d: %q", len(got), files, got)
		}
	}
	l := rotating(f, t, daily, clock)
	audittest.Record(t, l, 1)
	goOn(20 * time.Hour)
	audittest.Record(t, l, 1)
	audittest.Close(t, l)
	want(1)
	goOn(4*time.Hour - time.Second)
	l = rotating(f, t, daily, clock)
	audittest.Record(t, l, 1)
	want(1)
	goOn(time.Second)
	audittest.Record(t, l, 2)
	want(2)
	goOn(24 * time.Hour)
	audittest.Record(t, l, 1)
	want(3)
	audittest.Close(t, l)
	audittest.MustVerify(t, f.Options(), allFiles(f, t)...)
}

// TestA2_AFileRenamedByHandLiesBetweenRotatedOnes has the log rotate, be renamed
// by somebody else, and rotate again: in whatever order the files are named, every
// line is in its place.
func TestA2_AFileRenamedByHandLiesBetweenRotatedOnes(t *testing.T) {
	f := audittest.NewFixture(t)
	start := time.Now()
	var later atomic.Int64
	l := rotating(f, t, auditlog.Rotation{Age: time.Hour}, func(o *auditlog.Options) {
		o.Now = func() time.Time { return start.Add(time.Duration(later.Load())) }
	})
	for hour := range 6 {
		later.Store(int64(time.Duration(hour) * 61 * time.Minute))
		audittest.Record(t, l, 3)
		if hour%2 == 1 {
			if err := errors.Join(os.Rename(f.Path, fmt.Sprintf("%s-by-hand-%d", f.Path, hour)), l.Reopen()); err != nil {
				t.Fatal(err)
			}
		}
	}
	audittest.Close(t, l)
	files := allFiles(f, t)
	if len(files) < 6 {
		t.Fatalf("only %d files: %q", len(files), files)
	}
	audittest.MustVerify(t, f.Options(), files...)
	slices.Reverse(files)
	audittest.MustVerify(t, f.Options(), files...)
}

// TestA2_OneReplicaDeletedOldFiles has the log of one replica go further back than
// that of another, whose first file is gone: nothing is wrong with that, while a
// beginning that was cut off within a log is.
func TestA2_OneReplicaDeletedOldFiles(t *testing.T) {
	a, b := audittest.NewFixture(t), audittest.NewFixture(t)
	b.Signer, b.Anchors = a.Signer, a.Anchors
	start := time.Now()
	var later atomic.Int64
	clock := func(o *auditlog.Options) { o.Now = func() time.Time { return start.Add(time.Duration(later.Load())) } }
	first := a.Open(t, clock)
	audittest.Record(t, first, 2)
	later.Store(int64(time.Hour))
	second := rotating(b, t, auditlog.Rotation{Age: time.Hour}, clock)
	audittest.Record(t, second, 2)
	later.Store(int64(3 * time.Hour))
	audittest.Record(t, second, 2)
	audittest.Record(t, first, 2)
	audittest.Close(t, first)
	audittest.Close(t, second)
	kept := allFiles(b, t)
	slices.Sort(kept) // the log itself, and what was rotated
	if len(kept) != 2 {
		t.Fatalf("files: %q", kept)
	}
	files := []string{a.Path, kept[0]}
	audittest.MustFind(t, a.Options(), 1, "are in none of the files", files...)
	o := a.Options()
	o.Since = start.Add(3*time.Hour - time.Minute)
	audittest.MustFind(t, o, 1, "only, after what --since says", files...)
	o.Since = start.Add(3 * time.Hour)
	audittest.MustVerify(t, o, files...)
	nothing := func([]byte) error { return nil }
	if rep, err := verify.Each(files, o, nothing); err != nil || len(rep.Notes) == 0 {
		t.Errorf("line by line: %v, notes %q", err, rep.Notes)
	}

	text, err := os.ReadFile(kept[0])
	if err != nil {
		t.Fatal(err)
	}
	one, err := os.OpenFile(a.Path, os.O_APPEND|os.O_WRONLY, 0)
	if err != nil {
		t.Fatal(err)
	}
	_, err = one.Write(text) // as a collector of both would have it
	if err = errors.Join(err, one.Close()); err != nil {
		t.Fatal(err)
	}
	_, err = verify.Files([]string{a.Path}, a.Options())
	_, each := verify.Each([]string{a.Path}, a.Options(), nothing)
	for _, err := range []error{err, each} {
		if err == nil || !strings.Contains(err.Error(), "are missing; it was begun") {
			t.Errorf("in one log: %v", err)
		}
	}
}

// TestRotatedFilesAreKeptByNumberAndByAge deletes what is beyond, and nothing
// that only looks like a rotated file; what is left verifies.
func TestRotatedFilesAreKeptByNumberAndByAge(t *testing.T) {
	f := audittest.NewFixture(t)
	stamp := func(ago time.Duration) string { return "." + time.Now().UTC().Add(-ago).Format(line.RotatedLayout) }
	strangers := []string{
		".1", ".gz", ".20060102", stamp(72*time.Hour) + ".gz", strings.Replace(stamp(72*time.Hour), "Z", "0Z", 1), ".dir" + stamp(72*time.Hour),
	}
	for _, name := range strangers {
		if err := os.WriteFile(f.Path+name, nil, 0o600); err != nil {
			t.Fatal(err)
		}
	}
	directory := f.Path + stamp(71*time.Hour)
	if err := os.Mkdir(directory, 0o700); err != nil {
		t.Fatal(err)
	}
	expired := f.Path + stamp(49*time.Hour)
	if err := os.WriteFile(expired, nil, 0o600); err != nil {
		t.Fatal(err)
	}
	l := rotating(f, t, auditlog.Rotation{Size: 1, Keep: 100, KeepAge: 48 * time.Hour})
	if _, err := os.Stat(expired); !errors.Is(err, os.ErrNotExist) {
		t.Errorf("a file beyond its age is there after the start: %v", err)
	}
	audittest.Record(t, l, 9)
	audittest.Close(t, l)
	l = rotating(f, t, auditlog.Rotation{Size: 1, Keep: 3})
	audittest.Record(t, l, 9)
	audittest.Close(t, l)
	for _, name := range append(strangers, strings.TrimPrefix(directory, f.Path)) {
		if _, err := os.Stat(f.Path + name); err != nil {
			t.Errorf("a file that is not Keyturn's is gone: %v", err)
		}
	}
	old, err := line.RotatedFiles(f.Path)
	if err != nil || len(old) != 3 {
		t.Fatalf("%d rotated files (%v); want 3", len(old), err)
	}
	files := []string{f.Path}
	for _, o := range old {
		files = append(files, o.Path)
	}
	o := f.Options()
	o.Since = time.Now()
	rep := audittest.MustVerify(t, o, files...)
	if len(rep.Notes) != 2 || !strings.Contains(rep.Notes[0], "in none of the files: 1 ") || !strings.Contains(rep.Notes[1], "begins here with line") {
		t.Errorf("the report does not say what is missing: %+v", rep)
	}
}

// TestT1_AWrongClockDeletesNoLog opens a log while the clock is days ahead of what
// elapsed time confirms.
func TestT1_AWrongClockDeletesNoLog(t *testing.T) {
	f := audittest.NewFixture(t)
	kept := f.Path + "." + time.Now().UTC().Add(-49*time.Hour).Format(line.RotatedLayout)
	if err := os.WriteFile(kept, nil, 0o600); err != nil {
		t.Fatal(err)
	}
	ago := func(d time.Duration) func() time.Time {
		return func() time.Time { return time.Now().Add(-d) }
	}
	audittest.Close(t, rotating(f, t, auditlog.Rotation{KeepAge: 48 * time.Hour, Confirmed: ago(45 * 24 * time.Hour)}))
	if _, err := os.Stat(kept); err != nil {
		t.Errorf("a file that only the clock calls too old: %v", err)
	}
	audittest.Close(t, rotating(f, t, auditlog.Rotation{KeepAge: 48 * time.Hour, Confirmed: ago(0)}))
	if _, err := os.Stat(kept); !errors.Is(err, os.ErrNotExist) {
		t.Errorf("a file that is too old is there: %v", err)
	}
}

// TestA3_ARotationThatFailsStopsNothing gives the file a name that leaves no
// room for a time.
func TestA3_ARotationThatFailsStopsNothing(t *testing.T) {
	f := audittest.NewFixture(t)
	f.Path = filepath.Join(filepath.Dir(f.Path), strings.Repeat("a", 240))
	var mu sync.Mutex
	var said []string
	l := rotating(f, t, auditlog.Rotation{Size: 1, Keep: 1}, func(o *auditlog.Options) {
		o.OnError = func(err error) {
			mu.Lock()
			defer mu.Unlock()
			said = append(said, err.Error())
		}
	})
	audittest.Record(t, l, 9)
	audittest.Close(t, l)
	if len(said) != 1 || !strings.Contains(said[0], "could not be rotated; it goes on as it is") {
		t.Errorf("the operational log was told %q", said)
	}
	audittest.MustVerify(t, f.Options(), f.Path)
}

// TestALinkToTheLogStays rotates what a link leads to.
func TestALinkToTheLogStays(t *testing.T) {
	f := audittest.NewFixture(t)
	real := filepath.Join(t.TempDir(), "real.log")
	if err := os.Symlink(real, f.Path); err != nil {
		t.Fatal(err)
	}
	l := rotating(f, t, auditlog.Rotation{Size: 1})
	audittest.Record(t, l, 3)
	audittest.Close(t, l)
	if to, err := os.Readlink(f.Path); err != nil || to != real {
		t.Errorf("the link leads to %q (%v)", to, err)
	}
	old, err := line.RotatedFiles(real)
	if err != nil || len(old) < 2 {
		t.Fatalf("%d rotated files (%v)", len(old), err)
	}
	files := []string{real}
	for _, o := range old {
		files = append(files, o.Path)
	}
	audittest.MustVerify(t, f.Options(), files...)
}

// TestA2_ARotatedLogStaysTheServers: whoever rotates, a command of root's for one, the
// new file has the owner and the mode of the one before.
func TestA2_ARotatedLogStaysTheServers(t *testing.T) {
	f := audittest.NewFixture(t)
	l := rotating(f, t, auditlog.Rotation{Size: 1})
	defer audittest.Close(t, l)
	record := func() {
		if err := l.Record(t.Context(), audit.Event{Action: audit.UserRead, Outcome: audit.Success}); err != nil {
			t.Fatal(err)
		}
	}
	record()
	owner := os.Getuid()
	if owner == 0 {
		owner = 65534 // root alone may give a file away
	}
	if err := os.Chown(f.Path, owner, -1); err != nil {
		t.Fatal(err)
	}
	if err := os.Chmod(f.Path, 0o640); err != nil {
		t.Fatal(err)
	}
	for range 2 {
		record()
	}
	info, err := os.Stat(f.Path)
	if err != nil {
		t.Fatal(err)
	}
	if got := info.Sys().(*syscall.Stat_t); len(allFiles(f, t)) < 3 || info.Mode() != 0o640 || int(got.Uid) != owner {
		t.Errorf("%d files, the newest with mode %v of user %d; want 0640 of %d", len(allFiles(f, t)), info.Mode(), got.Uid, owner)
	}
}
