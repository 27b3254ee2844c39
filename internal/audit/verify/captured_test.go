package verify_test

import (
	"encoding/json"
	"fmt"
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
	"Kubernetes": func(piece, stream string, more bool) string {
		return "2026-11-28T20:00:00.123456789+00:00 " + stream + map[bool]string{true: " P ", false: " F "}[more] + piece
	},
}

// TestA2_ALogThatAContainersRuntimeCaptured verifies it as it stands there, and
// finds what was changed in it.
func TestA2_ALogThatAContainersRuntimeCaptured(t *testing.T) {
	f, lines := tampered(t)
	for name, wrap := range captures {
		for _, size := range []int{100, 1 << 20} {
			t.Run(fmt.Sprintf("%s, pieces of %d", name, size), func(t *testing.T) {
				path := capture(t, lines, size, wrap)
				if rep := audittest.MustVerify(t, f.Options(), path); rep.Lines != 16 || rep.Anchored != 1 {
					t.Errorf("%+v", rep)
				}
				nothing := func([]byte) error { return nil }
				if rep, err := verify.Each([]string{path}, f.Options(), nothing); err != nil || rep.Lines != 16 {
					t.Errorf("%+v, %v", rep, err)
				}
				written := audittest.ReadLines(t, path)
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

func FuzzUncapture(f *testing.F) {
	for _, wrap := range captures {
		f.Add([]byte(wrap("{}", "stdout", true)))
	}
	f.Fuzz(func(t *testing.T, raw []byte) { verify.Uncapture(raw) })
}
