package mail

import (
	"context"
	"errors"
	"maps"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"
	"unicode"

	"github.com/keyturn/keyturn/internal/outbox"
	"github.com/keyturn/keyturn/internal/store/sqlite"
	"github.com/keyturn/keyturn/keys"
)

func must(t testing.TB, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}

// carrier takes letters, in the place of a server.
type carrier struct {
	mu      sync.Mutex
	got     []Message
	answers error
}

func (c *carrier) Send(_ context.Context, m Message) error {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.answers == nil {
		c.got = append(c.got, m)
	}
	return c.answers
}

// newPost returns a post, and a function that has it send for a while.
func newPost(t *testing.T, path string, c *carrier) (*Post, func(time.Duration)) {
	t.Helper()
	line, err := keys.NewMaster()
	must(t, err)
	masters, err := keys.ParseMasters([]byte(line))
	must(t, err)
	s, err := sqlite.Open(t.Context(), path)
	must(t, err)
	t.Cleanup(func() { s.Close() })
	words, err := NewWords(Brand{Name: "Engines"}, "de", "")
	must(t, err)
	p := &Post{
		Carrier: c, Words: words, Sealer: masters.Sealer(SealLetters), From: "no-reply@example.com", Domain: "example.com", Now: time.Now,
		Box: &outbox.Box{Store: s, Now: time.Now, OnError: func(err error) { t.Errorf("the store failed: %v", err) }},
	}
	p.Box.Kinds = map[string]outbox.Kind{LetterKind: p.Kind()}
	return p, func(d time.Duration) {
		ctx, cancel := context.WithCancel(context.Background())
		done := make(chan struct{})
		go func() { defer close(done); p.Box.Run(ctx) }()
		time.Sleep(d)
		cancel()
		<-done
	}
}

func (p *Post) waiting(t *testing.T) []outbox.Message {
	t.Helper()
	list, err := p.Box.Store.Messages(context.Background(), "", 100)
	must(t, err)
	return list
}

// TestLettersAreWrittenOnceAndRestSealed follows letters through the outbox.
func TestLettersAreWrittenOnceAndRestSealed(t *testing.T) {
	path := filepath.Join(t.TempDir(), "keyturn.db")
	synctest.Test(t, func(t *testing.T) {
		c := &carrier{answers: errors.New("greylisted")}
		p, run := newPost(t, path, c)
		l := Letter{ID: "event", Kind: Password, To: "ada@Example.net", Values: map[string]string{"device": "Firefox\r\nBcc: eve@example.com"}}
		for range 2 {
			must(t, p.Write(t.Context(), l))
		}
		must(t, p.Write(t.Context(), Letter{Kind: Confirm, To: "bob@example.org", Language: "fr-CA", Values: map[string]string{"link": "https://example.com/?a=b&c=d"}}))
		for _, m := range p.waiting(t) {
			if strings.Contains(string(m.Payload), "example") || m.To != "mail example.net" && m.To != "mail example.org" {
				t.Errorf("waiting: %+v", m)
			}
		}
		run(2 * time.Second)
		c.answers = nil
		run(time.Minute)
		if len(c.got) != 2 || len(p.waiting(t)) != 0 {
			t.Fatalf("%d letters arrived, %d wait", len(c.got), len(p.waiting(t)))
		}
		ada, bob := c.got[0], c.got[1]
		if ada.To != "ada@Example.net" {
			ada, bob = bob, ada
		}
		if ada.Language != "de" || !strings.Contains(ada.Text, "Firefox Bcc: eve@example.com") || ada.Subject != "Ihr Passwort bei Engines ist geändert" || !strings.HasSuffix(ada.ID, "@example.com") {
			t.Errorf("%+v", ada)
		}
		if bob.Language != "fr" || !strings.Contains(bob.Text, "\nhttps://example.com/?a=b&c=d\n") || !strings.Contains(bob.HTML, `href="https://example.com/?a=b&amp;c=d"`) || bob.ID == ada.ID {
			t.Errorf("%+v", bob)
		}
	})
}

// TestA3_ALetterIsWrittenOnlyWithItsEvent: what could not be recorded is not sent.
func TestA3_ALetterIsWrittenOnlyWithItsEvent(t *testing.T) {
	p, _ := newPost(t, filepath.Join(t.TempDir(), "keyturn.db"), &carrier{})
	full := errors.New("no space left on device")
	l := Letter{ID: "ada", Kind: Reset, To: "ada@example.net"}
	if err := p.WriteIf(t.Context(), l, func(context.Context) error { return full }); !errors.Is(err, full) || len(p.waiting(t)) != 0 {
		t.Errorf("%v, %d wait", err, len(p.waiting(t)))
	}
	recorded := 0
	for range 3 {
		must(t, p.WriteIf(t.Context(), l, func(context.Context) error { recorded++; return nil }))
	}
	if recorded != 3 || len(p.waiting(t)) != 1 {
		t.Errorf("recorded %d times, %d wait", recorded, len(p.waiting(t)))
	}
}

// TestWhatIsGivenUpIsTold: refused for good, over, not to be put into words, or sealed
// under a key that is gone; and it is kept until it can be told.
func TestWhatIsGivenUpIsTold(t *testing.T) {
	path := filepath.Join(t.TempDir(), "keyturn.db")
	synctest.Test(t, func(t *testing.T) {
		c := &carrier{answers: outbox.ErrFinal}
		p, run := newPost(t, path, c)
		full := errors.New("no space left on device")
		var told []string
		p.GiveUp = func(_ context.Context, l Letter, cause error) error {
			if full == nil {
				told = append(told, l.To+" "+cause.Error())
			}
			return full
		}
		p.Prepare = func(_ context.Context, l *Letter) (bool, error) {
			return l.To != "nobody@example.net", nil
		}
		must(t, p.Write(t.Context(), Letter{Kind: Device, To: "refused@example.net"}))
		must(t, p.Write(t.Context(), Letter{Kind: Reset, To: "late@example.net", Until: time.Now().Add(-time.Second)}))
		must(t, p.Write(t.Context(), Letter{Kind: "another", To: "another@example.net"}))
		must(t, p.Write(t.Context(), Letter{Kind: Reset, To: "nobody@example.net"}))
		run(3 * time.Second)
		if len(told) != 0 || len(p.waiting(t)) != 3 {
			t.Errorf("told %q, %d wait", told, len(p.waiting(t)))
		}
		full = nil
		run(time.Minute)
		slices.Sort(told)
		if len(told) != 3 || !strings.Contains(told[0], "another") || !strings.Contains(told[1], "over") || len(p.waiting(t)) != 0 || len(c.got) != 0 {
			t.Errorf("told %q, %d wait, %d sent", told, len(p.waiting(t)), len(c.got))
		}
		must(t, p.Write(t.Context(), Letter{Kind: Device, To: "ada@example.net"}))
		line, err := keys.NewMaster()
		must(t, err)
		others, err := keys.ParseMasters([]byte(line))
		must(t, err)
		p.Sealer = others.Sealer(SealLetters)
		told = nil
		run(3 * time.Second)
		if len(told) != 1 || !strings.Contains(told[0], "master key") {
			t.Errorf("told %q", told)
		}
	})
}

// TestEveryLetterHasItsWords holds the files of messages to each other and to the kinds.
func TestEveryLetterHasItsWords(t *testing.T) {
	w, err := NewWords(Brand{Name: "Engines <b>", Color: "#0b57d0", OnColor: "#ffffff", Support: "mailto:help@example.com", Privacy: "https://example.com/privacy"}, "en", "")
	must(t, err)
	want := map[string]bool{"dir": true, "support": true, "privacy": true}
	for _, kind := range kinds() {
		for _, part := range []string{"_subject", "_text", "_after"} {
			want[string(kind)+part] = true
		}
		if slices.Contains(linked, kind) {
			want[string(kind)+"_button"] = true
		}
	}
	for _, name := range facts {
		want["fact_"+name] = true
	}
	if len(w.languages.All) != 7 {
		t.Errorf("%v", w.languages.Tags())
	}
	for _, l := range w.languages.All {
		if keys := slices.Sorted(maps.Keys(want)); !slices.Equal(l.Keys(), keys) {
			t.Errorf("%s: %v, want %v", l.Lang, l.Keys(), keys)
		}
		for _, kind := range kinds() {
			m, err := w.put(Letter{Kind: kind, Language: l.Lang, Values: map[string]string{"link": "https://example.com/", "address": "192.0.2.7"}})
			must(t, err)
			for _, in := range []string{m.Text, m.HTML, m.Subject} {
				if strings.Contains(in, "%s") || strings.Contains(in, "ZgotmplZ") || !strings.Contains(in, "Engines") {
					t.Errorf("%s %s: %s", l.Lang, kind, in)
				}
			}
			if strings.Contains(m.HTML, "Engines <b>") || strings.Contains(m.Text, "https://example.com/\n") != slices.Contains(linked, kind) || !strings.Contains(m.HTML, "background:#0b57d0") && slices.Contains(linked, kind) {
				t.Errorf("%s %s: %s\n%s", l.Lang, kind, m.Text, m.HTML)
			}
		}
	}
}

// TestTemplatesOfOthers: a directory has templates for all kinds or one, and languages.
func TestTemplatesOfOthers(t *testing.T) {
	english, err := messageFiles.ReadFile("messages/en.json")
	must(t, err)
	dir := t.TempDir()
	write := func(name, text string) { must(t, os.WriteFile(filepath.Join(dir, name), []byte(text), 0o600)) }
	write("letter.txt", "{{.Body}} {{.Link}} from us")
	write("reset.html", "<b>{{.Subject}}</b>")
	write("it.json", strings.Replace(string(english), "Set a new password for %s", "Nuova password per %s", 1))
	w, err := NewWords(Brand{Name: "Engines"}, "it", dir)
	must(t, err)
	m, err := w.put(Letter{Kind: Reset, Values: map[string]string{"link": "https://example.com/"}})
	must(t, err)
	if m.HTML != "<b>Nuova password per Engines</b>" || !strings.HasSuffix(m.Text, "https://example.com/ from us\n") || m.Language != "it" {
		t.Errorf("%+v", m)
	}
	if m, err = w.put(Letter{Kind: Confirm}); err != nil || !strings.Contains(m.HTML, "<!doctype html>") {
		t.Errorf("%+v, %v", m, err)
	}
	for name, text := range map[string]string{"letter.html": "{{.Missing}}", "reset.txt": "{{if}}", "sw.json": "{}"} {
		dir = t.TempDir()
		write(name, text)
		if _, err := NewWords(Brand{Name: "Engines"}, "en", dir); err == nil {
			t.Errorf("%s is taken", name)
		}
	}
	if _, err := NewWords(Brand{}, "en", filepath.Join(dir, "missing")); err == nil {
		t.Error("a directory that is not there is taken")
	}
	if _, err := NewWords(Brand{}, "it", ""); err == nil {
		t.Error("a language that is not there is taken")
	}
}

func FuzzOneLine(f *testing.F) {
	for _, seed := range []string{"Firefox, Linux", "a\r\nb", "\u202e\u2028\x00", strings.Repeat("ä", 300), "\xff"} {
		f.Add(seed)
	}
	f.Fuzz(func(t *testing.T, value string) {
		got := oneLine(value)
		if strings.ContainsFunc(got, func(r rune) bool { return !unicode.IsGraphic(r) || unicode.Is(unicode.Cf, r) }) || len([]rune(got)) > mostValue+1 || oneLine(got) != got && len([]rune(got)) <= mostValue {
			t.Errorf("%q of %q", got, value)
		}
	})
}
