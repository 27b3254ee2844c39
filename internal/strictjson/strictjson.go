// Package strictjson decodes JSON that security depends on. encoding/json
// matches a member's name in any case, uses the last of repeated members, and
// reads half of a surrogate pair as U+FFFD, so that two readers of one text can see
// two different things (RFC 8725 §2.4, RFC 8259 §4, §8.2). This package requires
// exact names, each once, on every level, and whole characters.
package strictjson

import (
	"encoding/json"
	"errors"
	"fmt"
	"reflect"
	"strings"
	"sync"
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
	errEncoding  = errors.New("it is not valid UTF-8")
	errSurrogate = errors.New("it has half of a surrogate pair (\\uD800 to \\uDFFF)")
)

// Unmarshal is like json.Unmarshal, but refuses a text with a repeated name in
// any object, with half of a surrogate pair in any string, or with a name on its
// first level that differs only in case from one of v, a pointer to a struct.
func Unmarshal(text []byte, v any) error { return unmarshal(text, v, false, true) }

// UnmarshalSigned is like Unmarshal, but also refuses null for a name of v: readers
// differ in whether such a member is there.
func UnmarshalSigned(text []byte, v any) error { return unmarshal(text, v, false, false) }

// UnmarshalKnown is like Unmarshal, but also refuses names on the first level
// that v does not have.
func UnmarshalKnown(text []byte, v any) error { return unmarshal(text, v, true, true) }

func unmarshal(text []byte, v any, known, null bool) error {
	if !utf8.Valid(text) {
		return errEncoding
	}
	names := namesOf(reflect.TypeOf(v))
	misfit := json.Unmarshal(text, v)
	top, nulls, err := check(text, misfit, maxDepth)
	if err != nil {
		return err
	}
	for _, name := range top {
		if err := names.meet(name, known); err != nil {
			return err
		}
	}
	for _, name := range nulls {
		if names[name] && !null {
			return member(name, "is null")
		}
	}
	return misfit
}

// Check returns an error if a text is not JSON, is nested deeper than depth, has a
// repeated name in any object, or half of a surrogate pair in any string.
func Check(text []byte, depth int) error {
	_, _, err := check(text, json.Unmarshal(text, new(syntax)), depth)
	return err
}

// names are the member names of a struct. It is nil for other types, which
// accept any name.
type names map[string]bool

// met has the names of the types met so far, all of them types of this program.
var met sync.Map // of reflect.Type to names

func namesOf(t reflect.Type) names {
	if n, ok := met.Load(t); ok {
		return n.(names)
	}
	n := findNames(t)
	met.Store(t, n)
	return n
}

func findNames(t reflect.Type) names {
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
