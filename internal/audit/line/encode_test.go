package line

import (
	"bytes"
	"encoding/json"
	"strings"
	"testing"
	"time"
	"unicode/utf8"

	"github.com/keyturn/keyturn/internal/audit"
)

func TestA1_WhatIsEmptyIsNotWritten(t *testing.T) {
	body := string(AppendBody(nil, &audit.Event{Action: audit.ServerStarted}, &audit.Request{}, "", time.Unix(0, 0), Suffix("", "n")))
	want := `},"@timestamp":"1970-01-01T00:00:00.000000000Z","ecs":{"version":"9.4.0"},` +
		`"event":{"kind":"event","action":"server-started","dataset":"keyturn.audit","category":["process"],"type":["start"],"outcome":"failure"},` +
		`"related":{"hosts":["n"]},"host":{"name":"n"},"service":{"name":"keyturn","node":{"name":"n"}}}`
	if body != want {
		t.Errorf("got  %s\nwant %s", body, want)
	}
}

func TestA1_AnAddressThatIsNoneDoesNotStandAsOne(t *testing.T) {
	for ip, want := range map[string]string{
		"2001:db8::1": `"source":{"ip":"2001:db8::1"}`,
		"fe80::1%eth": `"source":{"address":"fe80::1%eth"}`,
		"pipe":        `"source":{"address":"pipe"}`,
	} {
		if got := string(appendRequest(nil, &audit.Request{IP: ip})); got != ","+want {
			t.Errorf("%s: got %s", ip, got)
		}
	}
}

func TestAppendStringEscapes(t *testing.T) {
	for in, want := range map[string]string{
		"plain ü 漢 😀":                  `"plain ü 漢 😀"`,
		"\"\\/\n\r\t\x00\x1f\x7f":      `"\"\\/\n\r\t\u0000\u001f\u007f"`,
		"\u0085\u009b\u2028\u2029":     `"\u0085\u009b\u2028\u2029"`,
		"\u202e\u2066\u200f\ufeff":     `"\u202e\u2066\u200f\ufeff"`,
		"a\xffb\xc3":                   "\"a\uFFFDb\uFFFD\"",
		`"},"event":{"action":"none"}`: `"\"},\"event\":{\"action\":\"none\"}"`,
	} {
		if got := string(appendString(nil, in, 100)); got != want {
			t.Errorf("%q: got %s, want %s", in, got, want)
		}
	}
}

func TestAppendStringCutsAtACharacter(t *testing.T) {
	for in, want := range map[string]string{
		"abcd":                     `"abcd"`,
		"abcde":                    `"abcd…"`,
		"abcü":                     `"abc…"`,
		"ab漢字":                     `"ab…"`,
		"a😀b":                      `"a…"`,
		"\x80\x80\x80\x80\x80\x80": "\"\uFFFD\uFFFD\uFFFD\uFFFD…\"",
	} {
		if got := string(appendString(nil, in, 4)); got != want {
			t.Errorf("%q: got %s, want %s", in, got, want)
		}
	}
}

func TestTheLongestLineFits(t *testing.T) {
	worst := strings.Repeat("\x01", 1<<20)
	e := audit.Event{
		Action: audit.Action(worst), Reason: audit.ReasonInvalidPasswordChangedAt, UserID: worst, UserEmail: worst, ClientID: worst, SessionID: worst, TokenID: worst,
		KeyID: worst, Grant: worst, Scope: worst, HasGeneration: true, Count: 1, Detail: worst,
		Previous: audit.Use{At: time.Now(), IP: worst, UserAgent: worst},
	}
	r := audit.Request{ID: worst, IP: worst, UserAgent: worst, TraceID: worst}
	text := appendChain(nil, NewChainID(time.Now()), 1<<62, NoHash, NoHash)
	text = AppendBody(text, &e, &r, strings.Repeat("a", MaxJWS), time.Now(), Suffix(worst, worst))
	if len(text) > Max {
		t.Errorf("%d bytes", len(text))
	}
	if !json.Valid(text) {
		t.Error("not valid JSON")
	}
}

// bounded is what a reader finds of a string that was written.
func bounded(s string, limit int) string {
	end := ""
	if len(s) > limit {
		s, end = s[:runeBoundary(s, limit)], "…"
	}
	var b strings.Builder
	for _, r := range s {
		b.WriteRune(r) // an invalid byte ranges as U+FFFD
	}
	return b.String() + end
}

func FuzzEncode(f *testing.F) {
	f.Add("wrong_password", "ada@example.org", "app", "a \"detail\"", "curl/8", "192.0.2.7")
	f.Add("\n", "\u2028", "\xff", strings.Repeat("ü", 600), strings.Repeat("\x00", 600), "}}")
	f.Fuzz(func(t *testing.T, action, email, client, detail, agent, ip string) {
		e := audit.Event{Action: audit.Action(action), UserEmail: email, ClientID: client, Detail: detail}
		r := audit.Request{IP: ip, UserAgent: agent}
		text := appendChain(nil, NewChainID(time.Now()), 5, NoHash, "")
		text = AppendBody(text, &e, &r, "", time.Now(), Suffix("1", "n"))
		if bytes.IndexFunc(text, func(r rune) bool { return r < ' ' || r == 0x7f || r == 0x2028 || r == 0x2029 }) >= 0 || !utf8.Valid(text) {
			t.Fatalf("not one clean line: %q", text)
		}
		if k, err := Parse(text); err != nil || k.Seq != 5 || k.Checkpoint != nil {
			t.Fatalf("%v, %+v", err, k)
		}
		var got Entry
		if err := json.Unmarshal(text, &got); err != nil {
			t.Fatalf("%v: %s", err, text)
		}
		for _, c := range []struct{ got, want string }{
			{string(got.Event.Outcome), "failure"},
			{string(got.Event.Action), bounded(action, maxWord)},
			{got.User.Email, bounded(email, maxEmail)},
			{got.Keyturn.Client, bounded(client, maxID)},
			{got.Keyturn.Detail, bounded(detail, maxText)},
			{got.UserAgent.Original, bounded(agent, maxUserAgent)},
			{got.Source.IP + got.Source.Address, bounded(ip, maxID)},
		} {
			if c.got != c.want {
				t.Errorf("got %q, want %q", c.got, c.want)
			}
		}
	})
}
