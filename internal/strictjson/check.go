package strictjson

import (
	"bytes"
	"encoding/json"
	"errors"
	"io"
	"strconv"
	"unicode/utf16"
)

// level is an open object or array.
type level struct {
	seen   map[string]bool // nil for an array
	isName bool            // the next string is a name
}

// check walks the text and returns the names on its first level, and those of them
// that are null. decoded is what encoding/json found wrong with the text. Of a text that is
// JSON check needs to know no more than where strings, objects and arrays begin and end.
func check(text []byte, decoded error, depth int) (top, nulls []string, err error) {
	if len(text) == 0 {
		return nil, nil, io.EOF
	}
	if malformed, ok := errors.AsType[*json.SyntaxError](decoded); ok {
		if malformed.Error() == "unexpected end of JSON input" { // it has no name in encoding/json
			return nil, nil, io.ErrUnexpectedEOF
		}
		return nil, nil, malformed
	}
	var open []level
	for i := 0; i < len(text); i++ {
		switch text[i] {
		case '{':
			open = append(open, level{seen: map[string]bool{}, isName: true})
		case '[':
			open = append(open, level{})
		case '}', ']':
			open = open[:len(open)-1]
		case ',':
			in := &open[len(open)-1]
			in.isName = in.seen != nil
		case 'n': // outside a string, it begins null
			if len(open) == 1 && open[0].seen != nil {
				nulls = append(nulls, top[len(top)-1])
			}
		case '"':
			length, err := stringLength(text[i:])
			if err != nil {
				return nil, nil, err
			}
			quoted := text[i : i+length]
			i += length - 1
			if len(open) == 0 || !open[len(open)-1].isName {
				continue
			}
			in := &open[len(open)-1]
			name := unquote(quoted)
			if in.seen[name] {
				return nil, nil, member(name, "is given more than once")
			}
			in.seen[name], in.isName = true, false
			if len(open) == 1 {
				top = append(top, name)
			}
		}
		if len(open) > depth {
			return nil, nil, ErrDeep
		}
	}
	return top, nulls, nil
}

// syntax is any JSON value; it is not kept.
type syntax struct{}

func (*syntax) UnmarshalJSON([]byte) error { return nil }

// stringLength returns the length of the string that the text begins with, its
// quotes included.
func stringLength(text []byte) (int, error) {
	i := 1
	for text[i] != '"' {
		if text[i] != '\\' {
			i++
			continue
		}
		first := escapedUnit(text[i:])
		switch {
		case !utf16.IsSurrogate(first):
			i += 2
		case utf16.DecodeRune(first, escapedUnit(text[i+len(`\u0000`):])) == '\uFFFD':
			return 0, errSurrogate
		default:
			i += 2 * len(`\u0000`)
		}
	}
	return i + 1, nil
}

// escapedUnit returns the UTF-16 code unit of the escape \uXXXX that the text begins
// with, or 0 if it begins with something else.
func escapedUnit(text []byte) rune {
	if len(text) < len(`\u0000`) || text[0] != '\\' || text[1] != 'u' {
		return 0
	}
	unit, err := strconv.ParseUint(string(text[2:6]), 16, 16)
	if err != nil {
		return 0
	}
	return rune(unit)
}

// unquote returns the characters of a string.
func unquote(quoted []byte) (s string) {
	if bytes.IndexByte(quoted, '\\') < 0 {
		return string(quoted[1 : len(quoted)-1])
	}
	if err := json.Unmarshal(quoted, &s); err != nil {
		panic(err) // check found the text to be JSON
	}
	return s
}
