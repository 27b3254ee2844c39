package userfile

import (
	"encoding/json"
	"errors"
	"fmt"
	"io"
)

// readDocument yields the users of a file that is one JSON document: an object
// with a list "users", or such a list. system is the name of its system, and
// parse parses one of its users.
func readDocument(r io.Reader, system string, parse func(text []byte, line *Line) error, yield func(Line, error) bool) {
	lines := &lineCounter{r: r}
	d := json.NewDecoder(lines)
	place := Place{}
	fail := func(err error) {
		at := wrongAt(d, err)
		place.Line = lines.at(at)
		if _, ok := errors.AsType[*json.SyntaxError](err); ok {
			err = errors.New("what stands there does not belong there")
		}
		yield(Line{}, unread(place, fmt.Errorf("not a file of users as %s exports it, at byte %d: %w", system, at, inWords(err))))
	}
	whole, err := findUsers(d)
	if err != nil {
		fail(err)
		return
	}
	for d.More() {
		var text json.RawMessage
		place.User++
		if err := d.Decode(&text); err != nil {
			fail(err)
			return
		}
		place.Line = lines.at(d.InputOffset() - int64(len(text)))
		line := Line{Place: place}
		err := parseUser(text, &line, parse)
		if err != nil {
			err = &LineError{place, err}
		}
		if !yield(line, err) {
			return
		}
	}
	if err := finish(d, whole); err != nil {
		fail(err)
	}
}

// finish reads from the end of the list of users to that of the file, which may hold no
// further users. whole says that the list is the whole document.
func finish(d *json.Decoder, whole bool) error {
	if _, err := d.Token(); err != nil {
		return err
	}
	if !whole {
		again, err := skipToUsers(d)
		if again {
			err = errors.New(`"users" stands in it twice`)
		} else if err == nil {
			_, err = d.Token()
		}
		if err != nil {
			return err
		}
	}
	switch _, err := d.Token(); {
	case errors.Is(err, io.EOF):
		return nil
	case err != nil:
		return err
	}
	return errors.New("a second document: import each by itself")
}

// wrongAt returns the offset of the byte where d met err. The decoder stands before the
// value that it could not read, and has all of it that it has read in its buffer.
func wrongAt(d *json.Decoder, err error) int64 {
	at := d.InputOffset()
	if errors.Is(err, io.ErrUnexpectedEOF) {
		n, _ := io.Copy(io.Discard, d.Buffered())
		return at + n
	}
	var text json.RawMessage
	if syntax, ok := errors.AsType[*json.SyntaxError](json.NewDecoder(d.Buffered()).Decode(&text)); ok && errors.As(err, new(*json.SyntaxError)) {
		return at + syntax.Offset - 1
	}
	return at
}

func parseUser(text []byte, line *Line, parse func([]byte, *Line) error) error {
	if len(text) > maxLine {
		return fmt.Errorf("longer than %d bytes", maxLine)
	}
	return parse(text, line)
}

// findUsers reads up to the first user and skips everything before it. whole says
// that the list of users is the whole document.
func findUsers(d *json.Decoder) (whole bool, err error) {
	start, err := d.Token()
	if err != nil {
		return false, err
	}
	if start == json.Delim('[') {
		return true, nil // as Keycloak's admin API answers it
	}
	if start != json.Delim('{') {
		return false, errors.New("neither an object nor a list")
	}
	found, err := skipToUsers(d)
	if err == nil && !found {
		err = errors.New(`it has no list "users": export them too`)
	}
	return false, err
}

// skipToUsers reads members of an object up to the first of the users in it, or to
// the bracket that ends the object.
func skipToUsers(d *json.Decoder) (found bool, err error) {
	for d.More() {
		name, err := d.Token()
		if err != nil {
			return false, err
		}
		if name == "users" {
			if list, err := d.Token(); err != nil || list != json.Delim('[') {
				return false, errors.New(`"users" is no list`)
			}
			return true, nil
		}
		var skipped json.RawMessage
		if err := d.Decode(&skipped); err != nil {
			return false, err
		}
	}
	return false, nil
}

// lineCounter counts the lines of what was read, for byte offsets.
type lineCounter struct {
	r    io.Reader
	read int64
	// ends are the offsets of line breaks from the last asked offset on; passed
	// is the number of those before.
	ends   []int64
	passed int
}

func (c *lineCounter) Read(b []byte) (int, error) {
	n, err := c.r.Read(b)
	for i, char := range b[:n] {
		if char == '\n' {
			c.ends = append(c.ends, c.read+int64(i))
		}
	}
	c.read += int64(n)
	return n, err
}

// at returns the line of the byte at offset, which must not be before the last
// asked offset.
func (c *lineCounter) at(offset int64) int {
	for len(c.ends) > 0 && c.ends[0] < offset {
		c.ends, c.passed = c.ends[1:], c.passed+1
	}
	return c.passed + 1
}
