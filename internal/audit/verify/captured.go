package verify

import (
	"bytes"
	"encoding/json"
	"time"

	"github.com/keyturn/keyturn/internal/audit/line"
)

// A container runtime captures a log that goes to a stream and wraps each line:
// Docker's json-file driver in JSON ({"log":"…\n","stream":"stdout","time":"…"}),
// the runtimes of Kubernetes in a prefix ("TIME stdout F …"). Both split long
// lines.

// captured is a line of a captured stream.
type captured struct {
	text []byte
	// more says that the line continues in the next one of the same stream.
	more   bool
	stream string
}

const (
	dockerStart = `{"log":"`
	maxCRIStart = 64
)

// uncapture parses a line as a container runtime wrote it. It returns false for
// any other line.
func uncapture(raw []byte) (c captured, ok bool) {
	if bytes.HasPrefix(raw, []byte(dockerStart)) {
		var d struct {
			Log    *string `json:"log"`
			Stream string  `json:"stream"`
		}
		if json.Unmarshal(raw, &d) != nil || d.Log == nil {
			return c, false
		}
		text, whole := bytes.CutSuffix([]byte(*d.Log), []byte{'\n'})
		return captured{text, !whole, d.Stream}, true
	}
	// A Keyturn line begins with a brace, a time does not.
	at, rest, ok := bytes.Cut(raw[:min(len(raw), maxCRIStart)], []byte{' '})
	if !ok || len(at) < len("2006-01-02T15:04:05Z") || at[0] == '{' {
		return c, false
	}
	if _, err := time.Parse(time.RFC3339Nano, string(at)); err != nil {
		return c, false
	}
	stream, rest, ok := bytes.Cut(rest, []byte{' '})
	if !ok || string(stream) != "stdout" && string(stream) != "stderr" {
		return c, false
	}
	tags, _, ok := bytes.Cut(rest, []byte{' '})
	if !ok {
		return c, false
	}
	// Tags are separated by colons; the first says whether the line is complete.
	tag, _, _ := bytes.Cut(tags, []byte{':'})
	if string(tag) != "F" && string(tag) != "P" {
		return c, false
	}
	start := len(at) + len(stream) + len(tags) + 3
	return captured{raw[start:], string(tag) == "P", string(stream)}, true
}

// foreign reports whether a captured line is from the program's operational log,
// which goes to standard error and shares the capture with the audit log.
func (c captured) foreign(whole []byte) bool {
	return c.stream == "stderr" && !line.IsPiece(whole) && !line.IsWhole(whole)
}
