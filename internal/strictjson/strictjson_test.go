package strictjson_test

import (
	"encoding/json"
	"errors"
	"strings"
	"testing"

	"github.com/keyturn/keyturn/internal/strictjson"
)

type claims struct {
	Subject string         `json:"sub"`
	Scope   string         `json:"scope,omitempty"`
	Rest    map[string]any `json:"rest,omitempty"`
}

func TestNamesAreMetExactlyAndOnce(t *testing.T) {
	for text, want := range map[string]string{
		`{"sub":"a"}`: "",
		` {"sub":"a","other":{"sub":1,"Sub":2}} `:      "",
		`{"sub":"a","Sub":"b"}`:                        `the member "Sub" is written "sub"`,
		`{"SUB":"b"}`:                                  `the member "SUB" is written "sub"`,
		`{"ſub":"b"}`:                                  `the member "ſub" is written "sub"`,
		`{"sub":"a","sub":"a"}`:                        `the member "sub" is given more than once`,
		`{"sub":"a","s\u0075b":"a"}`:                   `the member "sub" is given more than once`,
		`{"rest":{"x":1,"y":[{"x":1},{"z":1,"z":2}]}}`: `the member "z" is given more than once`,
		`{"sub":"a"}{}`:                                "invalid character '{' after top-level value",
		`{"sub":"a"`:                                   "unexpected EOF",
		``:                                             "EOF",
		`{"sub":"\ud83d\udd11 \\ud83d \\\"\u0022"}`:       "",
		`{"sub":"\ud83d"}`:                                `it has half of a surrogate pair (\uD800 to \uDFFF)`,
		`{"sub":"\udd11\ud83d"}`:                          `it has half of a surrogate pair (\uD800 to \uDFFF)`,
		`{"sub":"\ud83d\u0041"}`:                          `it has half of a surrogate pair (\uD800 to \uDFFF)`,
		`{"sub":"\ud83dx\udd11"}`:                         `it has half of a surrogate pair (\uD800 to \uDFFF)`,
		`{"rest":{"\uDFFF":1}}`:                           `it has half of a surrogate pair (\uD800 to \uDFFF)`,
		`{"rest":{"x":["a","b",{"x":1,"y":"x"}],"y":1}}`:  "",
		"{\"sub\":\"\xff\"}":                              "it is not valid UTF-8",
		strings.Repeat("[", 40) + strings.Repeat("]", 40): "it is nested too deep",
	} {
		var c claims
		err := strictjson.Unmarshal([]byte(text), &c)
		if got := errText(err); got != want {
			t.Errorf("%.60s: error %q, want %q", text, got, want)
		}
	}
	var c claims
	err := strictjson.UnmarshalKnown([]byte(`{"sub":"a","more":1}`), &c)
	if errText(err) != `the member "more" is not known here` {
		t.Errorf("a member that is not known: %v", err)
	}
	for text, want := range map[string]string{
		`{"sub":null}`:                         `the member "sub" is null`,
		`{"scope":"n","rest":null}`:            `the member "rest" is null`,
		`{"other":null,"rest":{"sub":[null]}}`: "",
		`{"sub":"null","other":[{"x":null}]}`:  "",
	} {
		if got := errText(strictjson.UnmarshalSigned([]byte(text), &c)); got != want {
			t.Errorf("%s: error %q, want %q", text, got, want)
		}
		if err := strictjson.Unmarshal([]byte(text), &c); err != nil {
			t.Errorf("%s: %v", text, err)
		}
	}
}

func errText(err error) string {
	if err == nil {
		return ""
	}
	return err.Error()
}

// FuzzUnmarshal holds what is taken to what encoding/json makes of it, and to
// having each name of the struct once.
func FuzzUnmarshal(f *testing.F) {
	f.Add(`{"sub":"a","scope":"b","rest":{"c":[1,{"d":null}]}}`)
	f.Add(`{"sub":"a","Sub":"b"}`)
	f.Add(`{"a":{"b":1,"b":2}}`)
	f.Add(`{"sub":"\ud83d\udd11","\ud83d":"\\"}`)
	f.Fuzz(func(t *testing.T, text string) {
		var got, want claims
		if err := strictjson.Unmarshal([]byte(text), &got); err != nil {
			var member *strictjson.MemberError
			if errors.As(err, &member) && !json.Valid([]byte(text)) && len(member.Name) > 64 {
				t.Fatalf("%q: %v", text, err)
			}
			return
		}
		if err := json.Unmarshal([]byte(text), &want); err != nil || got.Subject != want.Subject || got.Scope != want.Scope {
			t.Fatalf("%q: %+v, %+v, %v", text, got, want, err)
		}
		if strings.Contains(got.Subject, "\uFFFD") && !strings.Contains(text, "\uFFFD") && !strings.Contains(strings.ToLower(text), `\ufffd`) {
			t.Fatalf("%q: something that is no character became one: %q", text, got.Subject)
		}
		var members map[string]json.RawMessage
		if json.Unmarshal([]byte(text), &members) == nil {
			for name := range members {
				if name != "sub" && strings.EqualFold(name, "sub") {
					t.Fatalf("%q was taken", text)
				}
			}
		}
	})
}
