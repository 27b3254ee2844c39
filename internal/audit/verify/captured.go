package verify

import (
	"bytes"
	"encoding/json"
	"time"

	"github.com/keyturn/keyturn/internal/audit/line"
)

// A container runtime captures a log that goes to a stream and wraps each line:
// Docker's json-file driver in JSON ({"log":"…\n","stream":"stdout","time":"…"}),
// the runtimes of Kubernetes in a prefix ("TIME stdout F …"). Both split long lines.
// The first line of a file decides for all of them: otherwise a line in one of these
// forms could be put into a plain file and pass for the program's operational log.

// captured is a line of a captured stream.
type captured struct {
	text []byte
	// more says that the line continues in the next one of the same stream.
	more   bool
	stream string
}

// unwrap parses a line as one kind of runtime wrote it. It returns false for any
// other line.
type unwrap func(raw []byte) (c captured, ok bool)

// formOf returns the form of a file with that first line, or nil if it was not
// captured.
func formOf(first []byte) unwrap {
	for _, form := range []unwrap{fromDocker, fromCRI} {
		if _, ok := form(first); ok {
			return form
		}
	}
	return nil
}

// fromDocker accepts any JSON object with a string "log", because other writers of
// this form add members and space. A member that stands twice would show other readers
// another line than the one that is checked.
func fromDocker(raw []byte) (c captured, ok bool) {
	d := json.NewDecoder(bytes.NewReader(raw))
	if open, err := d.Token(); err != nil || open != json.Delim('{') {
		return c, false
	}
	members := map[string]json.RawMessage{}
	for d.More() {
		name, err := d.Token()
		if err != nil {
			return c, false
		}
		var value json.RawMessage
		if _, twice := members[name.(string)]; twice || d.Decode(&value) != nil {
			return c, false
		}
		members[name.(string)] = value
	}
	if _, err := d.Token(); err != nil || len(bytes.TrimSpace(raw[d.InputOffset():])) > 0 {
		return c, false
	}
	var text *string
	if json.Unmarshal(members["log"], &text) != nil || text == nil {
		return c, false
	}
	_ = json.Unmarshal(members["stream"], &c.stream) // else it is not from standard error
	ended := false
	c.text, ended = bytes.CutSuffix([]byte(*text), []byte{'\n'})
	c.more = !ended
	return c, true
}

const maxCRIStart = 64

func fromCRI(raw []byte) (c captured, ok bool) {
	at, rest, ok := bytes.Cut(raw[:min(len(raw), maxCRIStart)], []byte{' '})
	if !ok || len(at) < len("2006-01-02T15:04:05Z") {
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

// operational reports whether a captured line is from the program's operational log,
// which goes to standard error and shares the capture with the audit log.
func (c captured) operational(whole []byte) bool {
	return c.stream == "stderr" && !line.IsPiece(whole) && !line.IsWhole(whole)
}
