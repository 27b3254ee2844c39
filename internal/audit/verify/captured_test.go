package verify_test

import (
	"encoding/json"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/keyturn/keyturn/internal/audit/audittest"
	"github.com/keyturn/keyturn/internal/audit/verify"
)

// capture puts lines into those of a container's runtime, pieces of size bytes,
// among operational lines on standard error.
func capture(t *testing.T, lines []string, size int, wrap func(piece, stream string, more bool) string) string {
	t.Helper()
	var out []string
	for i, text := range lines {
		for len(text) > size {
			out = append(out, wrap(text[:size], "stdout", true))
			if i == 2 { // the streams share the capture
				out = append(out, wrap(`{"level":"warn","message":"in between"}`, "stderr", false))
			}
			text = text[size:]
		}
		out = append(out, wrap(text, "stdout", false), wrap(`{"level":"info","message":"serving"}`, "stderr", false))
	}
	return audittest.WriteLines(t, out)
}

var captures = map[string]func(piece, stream string, more bool) string{
	"Docker": func(piece, stream string, more bool) string {
		if !more {
			piece += "\n"
		}
		b, err := json.Marshal(piece)
		if err != nil {
			panic(err)
		}
		return fmt.Sprintf(`{"log":%s,"stream":%q,"time":"2026-11-28T20:00:00.123456789Z"}`, b, stream)
	},
	"another writer of Docker's form": func(piece, stream string, more bool) string {
		if !more {
			piece += "\n"
		}
		b, err := json.Marshal(piece)
		if err != nil {
			panic(err)
		}
		return fmt.Sprintf(` { "time" : "2026-11-28T20:00:00Z", "attrs": {"log": "x"}, "stream": %q, "log": %s } `, stream, b)
	},
	"Kubernetes": func(piece, stream string, more bool) string {
		return "2026-11-28T20:00:00.123456789+00:00 " + stream + map[bool]string{true: " P ", false: " F "}[more] + piece
	},
}

// TestA2_ALogThatAContainersRuntimeCaptured verifies it as it stands there, and
// finds what was changed in it, or is of another form.
func TestA2_ALogThatAContainersRuntimeCaptured(t *testing.T) {
	f, lines := tampered(t)
	for name, wrap := range captures {
		for _, size := range []int{100, 1 << 20} {
			t.Run(fmt.Sprintf("%s, pieces of %d", name, size), func(t *testing.T) {
				path := capture(t, lines, size, wrap)
				written := audittest.ReadLines(t, path)
				besides := 0
				for _, w := range written {
					if strings.Contains(w, "stderr") {
						besides++
					}
				}
				noted := fmt.Sprintf("%d lines of an operational log", besides)
				rep := audittest.MustVerify(t, f.Options(), path)
				if rep.Lines != 16 || rep.Anchored != 1 || !strings.Contains(strings.Join(rep.Notes, "\n"), noted) {
					t.Errorf("%+v; want a note of %s", rep, noted)
				}
				n := 0
				rep, err := verify.Each([]string{path}, f.Options(), func([]byte) error { n++; return nil })
				if err != nil || rep.Lines != 16 || n != 16 || !strings.Contains(strings.Join(rep.Notes, "\n"), noted) {
					t.Errorf("%d lines: %+v, %v", n, rep, err)
				}
				// What is being written has no newline yet.
				for _, cut := range []int{1, 10, 80, len(wrap(lines[0], "stdout", false)) - 2} {
					now := filepath.Join(t.TempDir(), "now.log")
					if err := os.WriteFile(now, []byte(text(written)+wrap(lines[0], "stdout", false)[:cut]), 0o600); err != nil {
						t.Fatal(err)
					}
					if _, err := verify.Files([]string{now}, f.Options()); err != nil {
						t.Errorf("with %d bytes of the next line: %v", cut, err)
					}
				}
				for i := 0; i < len(written); i += 1 + len(written)/5 {
					mixed := append(append(append([]string{}, written[:i+1]...), lines[0]), written[i+1:]...)
					_, err := verify.Files([]string{audittest.WriteLines(t, mixed)}, f.Options())
					if err == nil || !strings.Contains(err.Error(), fmt.Sprintf(":%d: the line is not in the form of the first", i+2)) {
						t.Errorf("with a plain line after line %d: %v", i+1, err)
					}
				}
				for i := range written {
					changed := append(append([]string{}, written[:i]...), written[i+1:]...)
					_, err := verify.Files([]string{audittest.WriteLines(t, changed)}, f.Options())
					if operational := strings.Contains(written[i], "stderr"); (err == nil) != operational {
						t.Errorf("without line %d: %v: %s", i+1, err, written[i])
					}
				}
			})
		}
	}
}

// TestA2_ACapturedLineSaysOneThing has no line of Docker's form in which one reader
// finds the line of the log, and another something else.
func TestA2_ACapturedLineSaysOneThing(t *testing.T) {
	for _, raw := range []string{
		`{"log":"a\n","log":"b\n"}`, `{"log":"a\n","stream":"stdout","stream":"stderr"}`, `{"LOG":"a\n"}`,
		`{"log":"a\n"} {"log":"b\n"}`, `{"log":"a\n"`, `{"log":1}`, `{"log":null}`, `["log"]`, `{"log"`, `{}`, `"log"`, ``,
	} {
		if verify.FormOf([]byte(raw)) != nil {
			t.Errorf("%s passes for a captured line", raw)
		}
	}
}

func FuzzFormOf(f *testing.F) {
	for _, wrap := range captures {
		f.Add([]byte(wrap("{}", "stdout", true)))
	}
	f.Fuzz(func(t *testing.T, raw []byte) {
		if form := verify.FormOf(raw); form != nil {
			form(raw)
		}
	})
}
