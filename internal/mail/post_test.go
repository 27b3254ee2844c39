package mail_test

import (
	"context"
	"errors"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/keyturn/keyturn/internal/mail"
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
	got     []mail.Message
	answers error
}

func (c *carrier) Send(_ context.Context, m mail.Message) error {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.answers == nil {
		c.got = append(c.got, m)
	}
	return c.answers
}

// newPost returns a post, and a function that has it send for a while.
func newPost(t *testing.T, path string, c *carrier) (*mail.Post, func(time.Duration)) {
	t.Helper()
	line, err := keys.NewMaster()
	must(t, err)
	masters, err := keys.ParseMasters([]byte(line))
	must(t, err)
	s, err := sqlite.Open(t.Context(), path)
	must(t, err)
	t.Cleanup(func() { s.Close() })
	words, err := mail.NewWords(mail.Brand{Name: "Engines", Site: "https://login.example.com"}, "de", "")
	must(t, err)
	p := &mail.Post{
		Carrier: c, Words: words, Sealer: masters.Sealer(mail.SealLetters), From: "no-reply@example.com", Domain: "example.com", Now: time.Now,
		Box: &outbox.Box{Store: s, Now: time.Now, OnError: func(err error) { t.Errorf("the store failed: %v", err) }},
	}
	p.Box.Kinds = map[string]outbox.Kind{mail.LetterKind: p.Kind()}
	return p, func(d time.Duration) {
		ctx, cancel := context.WithCancel(context.Background())
		done := make(chan struct{})
		go func() { defer close(done); p.Box.Run(ctx) }()
		time.Sleep(d)
		cancel()
		<-done
	}
}

func waiting(t *testing.T, p *mail.Post) []outbox.Message {
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
		l := mail.Letter{ID: "event", Kind: mail.Password, To: "ada@Example.net", Values: map[string]string{"device": "Firefox\r\nBcc: eve@example.com"}}
		for range 2 {
			must(t, p.Write(t.Context(), l))
		}
		must(t, p.Write(t.Context(), mail.Letter{ID: "1", Kind: mail.Confirm, To: "bob@example.org", Language: "fr-CA", Token: "kt_x"}))
		for _, m := range waiting(t, p) {
			if strings.Contains(string(m.Payload), "example") || m.To != "mail example.net" && m.To != "mail example.org" {
				t.Errorf("waiting: %+v", m)
			}
		}
		run(2 * time.Second)
		c.answers = nil
		run(time.Minute)
		if len(c.got) != 2 || len(waiting(t, p)) != 0 {
			t.Fatalf("%d letters arrived, %d wait", len(c.got), len(waiting(t, p)))
		}
		ada, bob := c.got[0], c.got[1]
		if ada.To != "ada@Example.net" {
			ada, bob = bob, ada
		}
		if ada.Language != "de" || !strings.Contains(ada.Text, "Firefox Bcc: eve@example.com") || ada.Subject != "Ihr bisheriges Passwort bei Engines gilt nicht mehr" || !strings.HasSuffix(ada.ID, "@example.com") {
			t.Errorf("%+v", ada)
		}
		if bob.Language != "fr" || !strings.Contains(bob.Text, "\nhttps://login.example.com/account/confirm?token=kt_x&ui_locales=fr\n") || !strings.Contains(bob.HTML, `href="https://login.example.com/account/confirm?token=kt_x&amp;ui_locales=fr"`) || bob.ID == ada.ID {
			t.Errorf("%+v", bob)
		}
	})
}

// TestA3_ALetterIsWrittenOnlyWithItsEvent: what could not be recorded is not sent.
func TestA3_ALetterIsWrittenOnlyWithItsEvent(t *testing.T) {
	p, _ := newPost(t, filepath.Join(t.TempDir(), "keyturn.db"), &carrier{})
	full := errors.New("no space left on device")
	l := mail.Letter{ID: "ada", Kind: mail.Reset, To: "ada@example.net"}
	if err := p.WriteIf(t.Context(), l, func(context.Context) ([]byte, error) { return nil, full }); !errors.Is(err, full) || len(waiting(t, p)) != 0 {
		t.Errorf("%v, %d wait", err, len(waiting(t, p)))
	}
	recorded := 0
	for range 3 {
		must(t, p.WriteIf(t.Context(), l, func(context.Context) ([]byte, error) { recorded++; return nil, nil }))
	}
	if recorded != 3 || len(waiting(t, p)) != 1 {
		t.Errorf("recorded %d times, %d wait", recorded, len(waiting(t, p)))
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
		var mu sync.Mutex // letters are given up side by side
		p.GiveUp = func(_ context.Context, l mail.Letter, cause error) error {
			mu.Lock()
			defer mu.Unlock()
			if full == nil {
				told = append(told, l.To+" "+cause.Error())
			}
			return full
		}
		p.Prepare = func(_ context.Context, l *mail.Letter) (bool, error) {
			return l.To != "nobody@example.net", nil
		}
		must(t, p.Write(t.Context(), mail.Letter{ID: "2", Kind: mail.Device, To: "refused@example.net"}))
		must(t, p.Write(t.Context(), mail.Letter{ID: "3", Kind: mail.Reset, To: "late@example.net", Until: time.Now().Add(-time.Second)}))
		must(t, p.Write(t.Context(), mail.Letter{ID: "4", Kind: "another", To: "another@example.net"}))
		must(t, p.Write(t.Context(), mail.Letter{ID: "5", Kind: mail.Reset, To: "nobody@example.net"}))
		run(3 * time.Second)
		if len(told) != 0 || len(waiting(t, p)) != 3 {
			t.Errorf("told %q, %d wait", told, len(waiting(t, p)))
		}
		full = nil
		run(time.Minute)
		slices.Sort(told)
		if len(told) != 3 || !strings.Contains(told[0], "another") || !strings.Contains(told[1], "over") || len(waiting(t, p)) != 0 || len(c.got) != 0 {
			t.Errorf("told %q, %d wait, %d sent", told, len(waiting(t, p)), len(c.got))
		}
		must(t, p.Write(t.Context(), mail.Letter{ID: "6", Kind: mail.Device, To: "ada@example.net"}))
		line, err := keys.NewMaster()
		must(t, err)
		others, err := keys.ParseMasters([]byte(line))
		must(t, err)
		p.Sealer = others.Sealer(mail.SealLetters)
		told = nil
		run(3 * time.Second)
		if len(told) != 1 || !strings.Contains(told[0], "master key") {
			t.Errorf("told %q", told)
		}
	})
}
