package line

import (
	"bytes"
	"strings"
	"testing"
	"time"

	"github.com/keyturn/keyturn/internal/audit"
)

var benchEvent = audit.Event{
	Action: audit.TokenRefreshed, Outcome: audit.Success, UserID: "0193a1c2-7f3e-7c11-9c7a-3f1d6a0b5e42", UserEmail: "ada@example.org",
	ClientID: "shop", SessionID: "0193a1c2-7f3e-7c11-9c7a-3f1d6a0b5e43", TokenID: "0193a1c2-7f3e-7c11-9c7a-3f1d6a0b5e44",
	Grant: "refresh_token", Scope: "openid email", HasGeneration: true, Generation: 4, Presented: 3,
}

var benchRequest = audit.Request{
	ID: "0193a1c2-7f3e-7c11-9c7a-3f1d6a0b5e45", IP: "192.0.2.7",
	UserAgent: "Mozilla/5.0 (X11; Linux x86_64; rv:140.0) Gecko/20100101 Firefox/140.0",
}

func BenchmarkEncode(b *testing.B) {
	suffix, now := Suffix("1.2.3", "host:/var/log/keyturn/audit.log"), time.Now()
	var buf []byte
	b.ReportAllocs()
	for b.Loop() {
		buf = AppendBody(buf[:0], &benchEvent, &benchRequest, "", now, suffix)
	}
}

func TestParseLineRefuses(t *testing.T) {
	good := string(AppendBody(appendChain(nil, NewChainID(time.Unix(1e9, 0)), 9, NoHash, ""), &benchEvent, &audit.Request{}, "", time.Unix(1e9, 0), Suffix("1", "n")))
	if _, err := Parse([]byte(good)); err != nil {
		t.Fatal(err)
	}
	for _, c := range []struct {
		from, to string
		want     error
	}{
		{`{"keyturn"`, `{ "keyturn"`, errNotALine},
		{`"seq":9`, `"seq":09`, errBadSeq},
		{`"seq":9`, `"seq":`, errBadSeq},
		{`"seq":9`, `"seq":-9`, errBadSeq},
		{`"seq":9`, `"seq":1234567890123456789`, errBadSeq},
		{`"seq":9`, `"seq": 9`, errBadSeq},
		{`-7`, `-G`, errBadID},
		{`-`, `_`, errBadID},
		{`"prev":"`, `"prev":"F`, errBadPrev},
		{`"prev":"`, `"prev":null,"`, errNotALine},
		{`"}}}`, `"}`, errUnclosed},
	} {
		text := strings.Replace(good, c.from, c.to, 1)
		if text == good {
			t.Fatalf("nothing was changed by %s", c.from)
		}
		if _, err := Parse([]byte(text)); err != c.want {
			t.Errorf("%s for %s: got %v, want %v", c.to, c.from, err, c.want)
		}
	}
	for n := range len(good) {
		if _, err := Parse([]byte(good[:n])); err == nil && n < len(good)-1 {
			t.Errorf("%d bytes of a line passed for one", n)
		}
	}
}

func FuzzParseLine(f *testing.F) {
	id := NewChainID(time.Unix(1e9, 0))
	good := AppendBody(appendChain(nil, id, 12, NoHash, NoHash), &benchEvent, &benchRequest, "a.b.c", time.Unix(1e9, 0), Suffix("1", "n"))
	f.Add(good)
	f.Add(AppendBody(appendChain(nil, id, 0, NoHash, ""), &audit.Event{}, &audit.Request{}, "", time.Unix(0, 0), Suffix("", `q"\`)))
	f.Add([]byte(idKey))
	f.Fuzz(func(t *testing.T, text []byte) {
		k, err := Parse(text)
		Time(text)
		Node(text)
		if err != nil {
			return
		}
		start := appendChain(nil, string(k.ID), k.Seq, string(k.Prev), string(k.Foreign))
		if !bytes.HasPrefix(text, start) || string(text[k.prevAt():][:HashLen]) != string(k.Prev) {
			t.Errorf("%q was read as %q", text, start)
		}
		Begun(k.ID)
	})
}

func TestTheChainsIDTellsItsTime(t *testing.T) {
	now := time.Date(2026, 11, 24, 1, 2, 3, int(456*time.Millisecond), time.UTC)
	id := NewChainID(now)
	if got, ok := Begun([]byte(id)); !ok || !got.Equal(now) || !isUUID([]byte(id)) {
		t.Errorf("%s: %v %v", id, got, ok)
	}
}
