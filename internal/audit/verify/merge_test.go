package verify_test

import (
	"bytes"
	"compress/gzip"
	"fmt"
	"os"
	"path/filepath"
	"runtime"
	"slices"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/klauspost/compress/zstd"
	"pgregory.net/rapid"

	"github.com/keyturn/keyturn/internal/audit"
	"github.com/keyturn/keyturn/internal/audit/audittest"
	"github.com/keyturn/keyturn/internal/audit/line"
	auditlog "github.com/keyturn/keyturn/internal/audit/log"
	"github.com/keyturn/keyturn/internal/audit/verify"
)

// chainAt returns the lines of a chain with an event at each of the times, in
// seconds after noon; the user of each is the name with the time.
func chainAt(f *audittest.Fixture, t testing.TB, name string, seconds ...int) []string {
	t.Helper()
	path := filepath.Join(t.TempDir(), name)
	var now atomic.Int64
	now.Store(int64(seconds[0]))
	l := f.Open(t, func(o *auditlog.Options) {
		o.Sink, o.Now = path, func() time.Time { return noon.Add(time.Duration(now.Load()) * time.Second) }
	})
	for _, s := range seconds {
		now.Store(int64(s))
		if err := l.Record(t.Context(), audit.Event{Action: audit.TokenIssued, Outcome: audit.Success, UserID: fmt.Sprint(name, s)}); err != nil {
			t.Fatal(err)
		}
	}
	audittest.Close(t, l)
	return audittest.ReadLines(t, path)
}

// cut returns the lines before that of the user, and those from it on.
func cut(lines []string, user string) (before, after []string) {
	i := slices.IndexFunc(lines, func(text string) bool { return userOf([]byte(text)) == user })
	return lines[:i], lines[i:]
}

func userOf(text []byte) string {
	e, _ := line.ParseEntry(text) // what is no event has no user
	return e.User.ID
}

// put writes lines to a file, compressed as its name says.
func put(t testing.TB, path string, lines []string) string {
	t.Helper()
	content := []byte(strings.Join(lines, "\n") + "\n")
	switch filepath.Ext(path) {
	case ".gz":
		var b bytes.Buffer
		z := gzip.NewWriter(&b)
		if _, err := z.Write(content); err != nil {
			t.Fatal(err)
		}
		if err := z.Close(); err != nil {
			t.Fatal(err)
		}
		content = b.Bytes()
	case ".zst":
		z, err := zstd.NewWriter(nil)
		if err != nil {
			t.Fatal(err)
		}
		content = z.EncodeAll(content, nil)
	}
	if err := os.WriteFile(path, content, 0o600); err != nil {
		t.Fatal(err)
	}
	return path
}

func TestLogsAreMergedByTime(t *testing.T) {
	const early, late = ".20261124T120002.000000000Z", ".20261124T120004.000000000Z"
	for name, c := range map[string]struct {
		files func(t *testing.T, f *audittest.Fixture, dir string) []string
		want  string
		notes int
	}{
		"two replicas": {func(t *testing.T, f *audittest.Fixture, dir string) []string {
			return []string{put(t, dir+"/b", chainAt(f, t, "b", 1, 2, 3, 5)), put(t, dir+"/a", chainAt(f, t, "a", 0, 2, 2, 4))}
		}, "a0 b1 a2 a2 b2 b3 a4 b5", 0},
		"rotated and compressed": {func(t *testing.T, f *audittest.Fixture, dir string) []string {
			b1, b := cut(chainAt(f, t, "b", 1, 2, 3, 5), "b2")
			b2, b3 := cut(b, "b5")
			return []string{put(t, dir+"/b", b3), put(t, dir+"/a", chainAt(f, t, "a", 0, 4)), put(t, dir+"/b"+late+".zst", b2), put(t, dir+"/b"+early+".gz", b1)}
		}, "a0 b1 b2 b3 a4 b5", 0},
		"rotated by another program, the clock set back between": {func(t *testing.T, f *audittest.Fixture, dir string) []string {
			a1, a2 := cut(chainAt(f, t, "a", 0, 10, 5, 6), "a5")
			return []string{put(t, dir+"/a", a2), put(t, dir+"/a.1.gz", a1), put(t, dir+"/b", chainAt(f, t, "b", 7, 11))}
		}, "a0 b7 a10 a5 a6 b11", 0},
		"a clock set back": {func(t *testing.T, f *audittest.Fixture, dir string) []string {
			return []string{put(t, dir+"/a", chainAt(f, t, "a", 0, 10, 5, 6, 12)), put(t, dir+"/b", chainAt(f, t, "b", 1, 11))}
		}, "a0 b1 a10 a5 a6 b11 a12", 0},
		"a clock that was ahead": {func(t *testing.T, f *audittest.Fixture, dir string) []string {
			return []string{put(t, dir+"/a", chainAt(f, t, "a", 0, 600, 2, 3)), put(t, dir+"/b", chainAt(f, t, "b", 1, 4))}
		}, "a0 b1 b4 a600 a2 a3", 0},
		"an unfinished last line": {func(t *testing.T, f *audittest.Fixture, dir string) []string {
			a := put(t, dir+"/a", chainAt(f, t, "a", 0, 2))
			content, err := os.ReadFile(a)
			if err == nil {
				err = os.WriteFile(a, append(content, content[:200]...), 0o600)
			}
			if err != nil {
				t.Fatal(err)
			}
			return []string{a, put(t, dir+"/b", chainAt(f, t, "b", 1, 3))}
		}, "a0 b1 a2 b3", 1},
		"an empty file": {func(t *testing.T, f *audittest.Fixture, dir string) []string {
			if err := os.WriteFile(dir+"/c", nil, 0o600); err != nil {
				t.Fatal(err)
			}
			return []string{put(t, dir+"/a", chainAt(f, t, "a", 0, 2)), dir + "/c", put(t, dir+"/b", chainAt(f, t, "b", 1))}
		}, "a0 b1 a2", 0},
	} {
		t.Run(name, func(t *testing.T) {
			f := audittest.NewFixture(t)
			files := c.files(t, f, t.TempDir())
			want := audittest.MustVerify(t, f.Options(), files...)
			if len(want.Notes) != c.notes {
				t.Errorf("notes are %q", want.Notes)
			}
			var users []string
			n := 0
			take := func(text []byte) error {
				n++
				if user := userOf(text); user != "" {
					users = append(users, user)
				}
				return nil
			}
			got, err := verify.Each(files, f.Options(), take)
			if err != nil || got.Lines != want.Lines || got.Bytes != want.Bytes || got.Anchored != want.Anchored || !slices.Equal(got.Notes, want.Notes) {
				t.Errorf("%+v, %v; file by file it is %+v", got, err, want)
			}
			if got := strings.Join(users, " "); got != c.want || n != int(want.Lines)+c.notes {
				t.Errorf("%d lines, the users %s; want %d, %s", n, got, int(want.Lines)+c.notes, c.want)
			}
			users = nil
			if err := verify.Lines(files, take); err != nil || strings.Join(users, " ") != c.want {
				t.Errorf("unchecked the users are %s (%v), want %s", users, err, c.want)
			}
		})
	}
}

// TestAChangedLineIsNamedInItsFile changes a line of the second of two logs.
func TestAChangedLineIsNamedInItsFile(t *testing.T) {
	f := audittest.NewFixture(t)
	dir := t.TempDir()
	lines := chainAt(f, t, "b", 1, 3, 5)
	i := slices.IndexFunc(lines, func(text string) bool { return userOf([]byte(text)) == "b3" })
	lines[i] = strings.Replace(lines[i], `"b3"`, `"c3"`, 1)
	files := []string{put(t, dir+"/a", chainAt(f, t, "a", 0, 2, 4)), put(t, dir+"/b", lines)}
	_, want := verify.Files(files, f.Options())
	_, got := verify.Each(files, f.Options(), func([]byte) error { return nil })
	if got == nil || got.Error() != want.Error() || !strings.Contains(got.Error(), dir+"/b") {
		t.Errorf("got %v, want %v", got, want)
	}
}

// TestChainsBeyondThoseToldApart takes files for one log rather than lose count.
func TestChainsBeyondThoseToldApart(t *testing.T) {
	f := audittest.NewFixture(t)
	dir := t.TempDir()
	all, ok := verify.Sorted([]string{put(t, dir+"/a", chainAt(f, t, "a", 0)), put(t, dir+"/b", chainAt(f, t, "b", 1))})
	if !ok {
		t.Fatal("not sorted")
	}
	if logs, ok := verify.LogsOf(all, 2); !ok || !slices.Equal(logs, []int{0, 1}) {
		t.Errorf("got %v, %v", logs, ok)
	}
	if logs, ok := verify.LogsOf(all, 1); ok {
		t.Errorf("got %v", logs)
	}
}

// TestMergeLosesAndMovesNothing merges logs whose clocks jump at random.
func TestMergeLosesAndMovesNothing(t *testing.T) {
	dir := t.TempDir()
	rapid.Check(t, func(r *rapid.T) {
		clocks := rapid.SliceOfN(rapid.SliceOfN(rapid.IntRange(-3, 9), 1, 20), 1, 4).Draw(r, "steps")
		var files []string
		steady := true
		total := 0
		for i, steps := range clocks {
			var lines []string
			at := noon
			for n, step := range steps {
				steady = steady && step >= 0
				at = at.Add(time.Duration(step) * time.Second)
				lines = append(lines, string(lineOf(audit.Event{Action: audit.UserRead, Outcome: audit.Success, UserID: fmt.Sprintf("%d/%d", i, n)}, audit.Request{}, at)))
			}
			total += len(steps)
			files = append(files, put(t, fmt.Sprintf("%s/%d", dir, i), lines))
		}
		next := make([]int, len(clocks))
		var last time.Time
		err := verify.Lines(files, func(text []byte) error {
			var log, n int
			if _, err := fmt.Sscanf(userOf(text), "%d/%d", &log, &n); err != nil {
				return err
			}
			if n != next[log] {
				return fmt.Errorf("line %d of log %d, want %d", n, log, next[log])
			}
			next[log]++
			total--
			at := line.Time(text)
			if steady && at.Before(last) {
				return fmt.Errorf("%v after %v", at, last)
			}
			last = at
			return nil
		})
		if err != nil || total != 0 {
			r.Fatalf("%v, %d lines are missing", err, total)
		}
	})
}

// TestMergeHoldsNoLog reads logs that are much larger than what is allocated.
func TestMergeHoldsNoLog(t *testing.T) {
	dir := t.TempDir()
	const n = 20_000
	var files []string
	size := int64(0)
	for i := range int64(2) {
		var b bytes.Buffer
		at, suffix := line.Beginning(line.NewChainID(noon), noon), line.Suffix("1", "host:/log")
		var text []byte
		for seq := range int64(n) {
			now := noon.Add(time.Duration(2*seq+i) * time.Second)
			text, at = at.Append(text[:0], line.AppendBody(nil, &audittest.Full, &audittest.FullRequest, "", now, suffix), now)
			b.Write(text)
		}
		size += int64(b.Len())
		files = append(files, filepath.Join(dir, fmt.Sprint(i)))
		if err := os.WriteFile(files[i], b.Bytes(), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	var before, after runtime.MemStats
	runtime.ReadMemStats(&before)
	lines := 0
	var last time.Time
	if err := verify.Lines(files, func(text []byte) error {
		if at := line.Time(text); at.After(last) {
			last = at
			lines++
		}
		return nil
	}); err != nil {
		t.Fatal(err)
	}
	runtime.ReadMemStats(&after)
	if lines != 2*n {
		t.Errorf("%d lines in order, want %d", lines, 2*n)
	}
	if took := int64(after.TotalAlloc - before.TotalAlloc); took > size/4 {
		t.Errorf("%d bytes allocated for logs of %d", took, size)
	} else {
		t.Logf("%d bytes allocated for logs of %d", took, size)
	}
}
