package log

import (
	"bytes"
	"context"
	"encoding/json"
	"strings"
	"testing"
	"time"
	"unicode/utf8"

	"github.com/keyturn/keyturn/internal/audit"
)

// full is an event in which every field is set.
var full = audit.Event{
	Action: audit.TokenReuse, Outcome: audit.Failure, Reason: audit.ReasonReusedToken,
	UserID: "u-1", UserEmail: "ada@example.org", ClientID: "app", SessionID: "s-1", TokenID: "j-1", KeyID: "k-1",
	Grant: "refresh_token", Scope: "openid email", HasGeneration: true, Generation: 7, Presented: 0, Count: 3, Detail: "both \"generations\"",
	Previous: audit.Use{At: time.Unix(0, 5), IP: "2001:db8::1", UserAgent: "Firefox/140"},
}

var fullRequest = audit.Request{ID: "r-1", IP: "192.0.2.7", UserAgent: "curl/8", TraceID: "0af7651916cd43dd8448eb211c80319c"}

func TestA1_ShapeOfALine(t *testing.T) {
	var out bytes.Buffer
	l, err := Open(Options{
		Writer: &out, Node: "host", Version: "1.2.3",
		Now: func() time.Time { return time.Date(2026, 11, 24, 1, 2, 3, 456, time.FixedZone("", 3600)) },
	})
	if err != nil {
		t.Fatal(err)
	}
	if err := l.Record(audit.WithRequest(context.Background(), fullRequest), full); err != nil {
		t.Fatal(err)
	}
	closeLog(t, l)
	want := `{"keyturn":{"chain":{"id":"` + l.Chain() + `","seq":0,"prev":"` + noHash + `"},` +
		`"client_id":"app","session_id":"s-1","jti":"j-1","kid":"k-1","grant_type":"refresh_token","scope":"openid email",` +
		`"generation":7,"presented_generation":0,"previous":{"at":"1970-01-01T00:00:00.000000005Z","ip":"2001:db8::1","user_agent":"Firefox/140"},"count":3,"detail":"both \"generations\""},` +
		`"@timestamp":"2026-11-24T00:02:03.000000456Z","ecs":{"version":"8.17.0"},` +
		`"event":{"kind":"event","action":"token-reuse","category":["authentication","session","intrusion_detection"],"type":["end","denied"],"outcome":"failure","reason":"reused_token"},` +
		`"user":{"id":"u-1","email":"ada@example.org"},"source":{"ip":"192.0.2.7"},"user_agent":{"original":"curl/8"},` +
		`"http":{"request":{"id":"r-1"}},"trace":{"id":"0af7651916cd43dd8448eb211c80319c"},"related":{"ip":["2001:db8::1","192.0.2.7"]},"service":{"name":"keyturn","version":"1.2.3","node":{"name":"` + l.Node() + `"}}}` + "\n"
	if out.String() != want {
		t.Errorf("got  %s\nwant %s", out.String(), want)
	}
}

func TestA1_WhatIsEmptyIsNotWritten(t *testing.T) {
	body := string(appendBody(nil, &audit.Event{Action: audit.ServerStarted}, &audit.Request{}, "", time.Unix(0, 0), lineSuffix("", "n")))
	want := `},"@timestamp":"1970-01-01T00:00:00.000000000Z","ecs":{"version":"8.17.0"},` +
		`"event":{"kind":"event","action":"server-started","category":["process"],"type":["start"],"outcome":"failure"},` +
		`"service":{"name":"keyturn","node":{"name":"n"}}}`
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
	line := appendChain(nil, newChainID(time.Now()), 1<<62, noHash)
	line = appendBody(line, &e, &r, strings.Repeat("a", maxJWS), time.Now(), lineSuffix(worst, worst))
	if len(line) > MaxLine {
		t.Errorf("%d bytes", len(line))
	}
	if !json.Valid(line) {
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
		line := appendChain(nil, newChainID(time.Now()), 5, noHash)
		line = appendBody(line, &e, &r, "", time.Now(), lineSuffix("1", "n"))
		if bytes.IndexFunc(line, func(r rune) bool { return r < ' ' || r == 0x7f || r == 0x2028 || r == 0x2029 }) >= 0 || !utf8.Valid(line) {
			t.Fatalf("not one clean line: %q", line)
		}
		if k, err := parseLine(line); err != nil || k.seq != 5 || k.checkpoint != nil {
			t.Fatalf("%v, %+v", err, k)
		}
		var got Entry
		if err := json.Unmarshal(line, &got); err != nil {
			t.Fatalf("%v: %s", err, line)
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
