// Package strictjson decodes JSON that security depends on. encoding/json
// matches a member's name in any case and uses the last of repeated members, so
// that two readers of one text can see two different things (RFC 8725 §2.4, RFC
// 8259 §4). This package requires exact names, each once, on every level.
package strictjson

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"reflect"
	"strings"
	"unicode/utf8"
)

// maxDepth bounds the nesting of a text.
const maxDepth = 32

// maxShown bounds the bytes of a name in an error.
const maxShown = 64

// MemberError says what is wrong with a member's name.
type MemberError struct {
	// Name is the name, truncated. What says what is wrong with it.
	Name, What string
}

// Error returns a text that names the member.
func (e *MemberError) Error() string { return fmt.Sprintf("the member %q %s", e.Name, e.What) }

func member(name, what string) error {
	return &MemberError{strings.ToValidUTF8(name[:min(len(name), maxShown)], ""), what}
}

// ErrDeep means that a text is nested too deep.
var ErrDeep = errors.New("it is nested too deep")

var (
	errTrailing = errors.New("there is more than one JSON value")
	errEncoding = errors.New("it is not valid UTF-8")
)

// Unmarshal is like json.Unmarshal, but refuses a text with a repeated name in
// any object, or with a name on its first level that differs only in case from
// one of v, a pointer to a struct.
func Unmarshal(text []byte, v any) error { return unmarshal(text, v, false) }

// UnmarshalKnown is like Unmarshal, but also refuses names on the first level
// that v does not have.
func UnmarshalKnown(text []byte, v any) error { return unmarshal(text, v, true) }

func unmarshal(text []byte, v any, known bool) error {
	if !utf8.Valid(text) {
		return errEncoding
	}
	names := namesOf(reflect.TypeOf(v))
	top, err := check(text, maxDepth)
	if err != nil {
		return err
	}
	for _, name := range top {
		if err := names.meet(name, known); err != nil {
			return err
		}
	}
	return json.Unmarshal(text, v)
}

// Check returns an error if a text is not JSON, is nested deeper than depth, or
// has a repeated name in any object.
func Check(text []byte, depth int) error {
	_, err := check(text, depth)
	return err
}

// names are the member names of a struct. It is nil for other types, which
// accept any name.
type names map[string]bool

func namesOf(t reflect.Type) names {
	for t != nil && t.Kind() == reflect.Pointer {
		t = t.Elem()
	}
	if t == nil || t.Kind() != reflect.Struct {
		return nil
	}
	n := names{}
	for _, field := range reflect.VisibleFields(t) {
		name, _, _ := strings.Cut(field.Tag.Get("json"), ",")
		if name != "" && name != "-" && field.IsExported() {
			n[name] = true
		}
	}
	return n
}

// meet checks one name of a text.
func (n names) meet(name string, known bool) error {
	if n == nil || n[name] {
		return nil
	}
	for has := range n {
		if strings.EqualFold(has, name) {
			return member(name, fmt.Sprintf("is written %q", has))
		}
	}
	if known {
		return member(name, "is not known here")
	}
	return nil
}

// level is an open object or array.
type level struct {
	seen   map[string]bool // nil for an array
	isName bool            // the next token is a name
}

// check walks the text and returns the names on its first level.
func check(text []byte, depth int) (top []string, err error) {
	d := json.NewDecoder(bytes.NewReader(text))
	var open []level
	for {
		token, err := d.Token()
		if err != nil {
			if err == io.EOF && len(text) > 0 {
				err = io.ErrUnexpectedEOF
			}
			return nil, err
		}
		if name, ok := token.(string); ok && len(open) > 0 && open[len(open)-1].isName {
			in := &open[len(open)-1]
			if in.seen[name] {
				return nil, member(name, "is given more than once")
			}
			in.seen[name], in.isName = true, false
			if len(open) == 1 {
				top = append(top, name)
			}
			continue
		}
		switch token {
		case json.Delim('{'):
			open = append(open, level{seen: map[string]bool{}, isName: true})
			if len(open) > depth {
				return nil, ErrDeep
			}
			continue
		case json.Delim('['):
			open = append(open, level{})
			if len(open) > depth {
				return nil, ErrDeep
			}
			continue
		case json.Delim('}'), json.Delim(']'):
			open = open[:len(open)-1]
		}
		if len(open) == 0 {
			if _, err := d.Token(); err != io.EOF {
				return nil, errTrailing
			}
			return top, nil
		}
		in := &open[len(open)-1]
		in.isName = in.seen != nil
	}
}
