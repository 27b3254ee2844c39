package verify_test

import (
	"errors"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"pgregory.net/rapid"

	"github.com/keyturn/keyturn/internal/audit/audittest"
	"github.com/keyturn/keyturn/internal/audit/line"
	auditlog "github.com/keyturn/keyturn/internal/audit/log"
	"github.com/keyturn/keyturn/internal/audit/verify"
)

// interleaved writes two chains into one file, in turns, with a clock that never
// stands still.
func interleaved(t *testing.T) *audittest.Fixture {
	t.Helper()
	var ms atomic.Int64
	clock := func(o *auditlog.Options) {
		o.Now = func() time.Time {
			return time.Date(2026, 11, 24, 0, 0, 0, 0, time.UTC).Add(time.Duration(ms.Add(1)) * time.Millisecond)
		}
	}
	f := audittest.NewFixture(t)
	server := f.Open(t, clock)
	audittest.Record(t, server, 2)
	command := f.Open(t, clock)
	for range 8 {
		audittest.Record(t, command, 1)
		audittest.Record(t, server, 2)
	}
	audittest.Close(t, command)
	audittest.Record(t, server, 4)
	audittest.Close(t, server)
	return f
}

func chainOf(text string) string {
	k, err := line.Parse([]byte(text))
	if err != nil {
		panic(err)
	}
	return string(k.ID)
}

// expectation is where a manipulation must be found; 0 where only that it is.
type expectation struct {
	lines []string
	line  int
}

// manipulations change a good log in one place.
var manipulations = map[string]func(t *rapid.T, lines []string) expectation{
	"edit": func(t *rapid.T, lines []string) expectation {
		at := rapid.IntRange(0, len(lines)-1).Draw(t, "line")
		b := []byte(lines[at])
		i := rapid.IntRange(0, len(b)-1).Draw(t, "byte")
		b[i] = rapid.Byte().Filter(func(c byte) bool { return c != b[i] && c != '\n' }).Draw(t, "value")
		lines[at] = string(b)
		return expectation{lines, at + 1}
	},
	"split": func(t *rapid.T, lines []string) expectation {
		at := rapid.IntRange(0, len(lines)-1).Draw(t, "line")
		i := rapid.IntRange(0, len(lines[at])-1).Draw(t, "byte")
		lines[at] = lines[at][:i] + "\n" + lines[at][i+1:]
		return expectation{lines, 0}
	},
	"join": func(t *rapid.T, lines []string) expectation {
		at := rapid.IntRange(0, len(lines)-2).Draw(t, "line")
		lines[at] += lines[at+1]
		return expectation{slices.Delete(lines, at+1, at+2), 0}
	},
	"remove": func(t *rapid.T, lines []string) expectation {
		// The very first lines can have gone by rotation; see below.
		at := rapid.IntRange(1, len(lines)-1).Draw(t, "line")
		gone := chainOf(lines[at])
		lines = slices.Delete(lines, at, at+1)
		same := func(text string) bool { return chainOf(text) == gone }
		if next := slices.IndexFunc(lines[at:], same); next >= 0 {
			return expectation{lines, at + next + 1}
		}
		for i := len(lines) - 1; ; i-- {
			if same(lines[i]) {
				return expectation{lines, i + 1}
			}
		}
	},
	"repeat": func(t *rapid.T, lines []string) expectation {
		from := rapid.IntRange(0, len(lines)-1).Draw(t, "from")
		to := rapid.IntRange(from+1, len(lines)).Draw(t, "to")
		return expectation{slices.Insert(lines, to, lines[from]), to + 1}
	},
	"swap": func(t *rapid.T, lines []string) expectation {
		var swappable [][2]int // a line and the next one of its chain
		for i, text := range lines {
			if n := slices.IndexFunc(lines[i+1:], func(l string) bool { return chainOf(l) == chainOf(text) }); n >= 0 {
				swappable = append(swappable, [2]int{i, i + 1 + n})
			}
		}
		pair := rapid.SampledFrom(swappable).Draw(t, "pair")
		a, b := pair[0], pair[1]
		lines[a], lines[b] = lines[b], lines[a]
		return expectation{lines, a + 1}
	},
	"cut": func(t *rapid.T, lines []string) expectation {
		n := rapid.IntRange(0, len(lines)-1).Draw(t, "lines left")
		return expectation{lines[:n], 0}
	},
}

func TestA2_AnyManipulationIsFound(t *testing.T) {
	f := interleaved(t)
	good := f.Lines(t)
	o := f.Options()
	if rep := audittest.MustVerify(t, o, f.Path); rep.Chains != 2 || len(rep.Notes) != 0 || rep.Anchored != 2 {
		t.Fatalf("%+v", rep)
	}
	path := filepath.Join(t.TempDir(), "changed.log")
	for name, change := range manipulations {
		t.Run(name, func(t *testing.T) {
			rapid.Check(t, func(rt *rapid.T) {
				want := change(rt, slices.Clone(good))
				if err := os.WriteFile(path, []byte(strings.Join(want.lines, "\n")+"\n"), 0o600); err != nil {
					rt.Fatal(err)
				}
				_, err := verify.Files([]string{path}, o)
				var bad *verify.BadLine
				if !errors.As(err, &bad) {
					rt.Fatalf("not found: %v", err)
				}
				if want.line != 0 && bad.Line != int64(want.line) {
					rt.Fatalf("got %v, want line %d", bad, want.line)
				}
			})
		})
	}
}

// Lines missing at the very beginning are found as others are, unless who verifies
// says that older ones were deleted; it is then said which chains began earlier.
func TestA2_AMissingBeginningIsFound(t *testing.T) {
	f := interleaved(t)
	lines := f.Lines(t)
	for n := range lines {
		if n == 0 {
			continue
		}
		rest := audittest.WriteLines(t, lines[n:])
		for evidence, o := range map[string]verify.Options{"none": {}, "heads": {Heads: f.Anchors.All()}, "all": f.Options()} {
			_, err := verify.Files([]string{rest}, o)
			var bad *verify.BadLine
			if !errors.As(err, &bad) && (evidence != "none" || strings.Contains(lines[n], `"seq":0,`)) {
				t.Fatalf("without the first %d lines, with %s: %v", n, evidence, err)
			}
		}
		o := f.Options()
		o.Since = time.Date(2026, 11, 25, 0, 0, 0, 0, time.UTC)
		rep, err := verify.Files([]string{rest}, o)
		if err != nil {
			t.Fatalf("without the first %d lines: %v", n, err)
		}
		if len(rep.Notes) == 0 {
			t.Errorf("without the first %d lines: no note", n)
		}
	}
}
