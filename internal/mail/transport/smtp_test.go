package transport_test

import (
	"context"
	"crypto/tls"
	"crypto/x509"
	"errors"
	"strings"
	"testing"

	"github.com/keyturn/keyturn/internal/mail"
	"github.com/keyturn/keyturn/internal/mail/mailtest"
	"github.com/keyturn/keyturn/internal/mail/transport"
	"github.com/keyturn/keyturn/internal/outbox"
)

func newMailServer(t *testing.T) (*mailtest.Server, *transport.SMTP) {
	s := mailtest.New(t)
	return s, &transport.SMTP{
		Host: "127.0.0.1", Port: s.Port, Username: mailtest.Username, Password: mailtest.Password,
		TLS: &tls.Config{RootCAs: s.Roots, ServerName: "127.0.0.1"},
	}
}

func must(t *testing.T, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}

func letter() mail.Message {
	return mail.Message{
		ID: "one@example.com", From: "Engines <no-reply@example.com>", To: "ada@example.net",
		Subject: "Réponse\r\nBcc: eve@example.com", Text: "Open https://example.com/x", HTML: "<p>Open</p>",
	}
}

func TestALetterArrives(t *testing.T) {
	s, by := newMailServer(t)
	must(t, by.Send(t.Context(), letter()))
	must(t, by.Check(t.Context()))
	got := s.Taken()
	if len(got) != 1 {
		t.Fatalf("%d letters", len(got))
	}
	for _, want := range []string{"Message-ID: <one@example.com>", "From: \"Engines\" <no-reply@example.com>", "To: <ada@example.net>", "Auto-Submitted: auto-generated", "https://example.com/x", "text/html"} {
		if !strings.Contains(got[0], want) {
			t.Errorf("%q is missing in\n%s", want, got[0])
		}
	}
	head, _, _ := strings.Cut(got[0], "\r\n\r\n")
	if strings.Contains(head, "\nBcc:") {
		t.Errorf("a subject began a header:\n%s", head)
	}
	for _, to := range []string{"a@example.net\r\nRCPT TO:<eve@example.com>", "a@example.net, eve@example.com", "no address"} {
		l := letter()
		l.To = to
		if err := by.Send(t.Context(), l); !errors.Is(err, outbox.ErrFinal) {
			t.Errorf("to %q: %v", to, err)
		}
	}
	if n := len(s.Taken()); n != 1 {
		t.Errorf("%d letters", n)
	}
}

// TestWhatAServerSays sorts its answers into those after which another try is of use.
func TestWhatAServerSays(t *testing.T) {
	for verb, answers := range map[string]map[string]bool{
		"":     {"421 busy": false, "554 no": false, "drop": false},
		"AUTH": {"535 wrong": false, "454 later": false},
		"MAIL": {"451 later": false},
		"RCPT": {"421 closing": false, "451 greylisted": false, "452 full": false, "550 no such user": true, "drop": false},
		"DATA": {"451 later": false, "554 spam": true, "drop": false},
		"END":  {"451 later": false, "554 spam": true, "drop": false},
	} {
		for answer, final := range answers {
			s, by := newMailServer(t)
			s.Answer(verb, answer)
			err := by.Send(t.Context(), letter())
			if err == nil || errors.Is(err, outbox.ErrFinal) != final {
				t.Errorf("%q to %s: %v; final should be %v", answer, verb, err, final)
			}
			refused := strings.HasPrefix(answer, "45") && (verb == "RCPT" || verb == "DATA" || verb == "END" || verb == "MAIL")
			if errors.Is(err, outbox.ErrDeferred) != refused {
				t.Errorf("%q to %s: %v; of this letter alone should be %v", answer, verb, err, refused)
			}
			if err != nil && strings.Contains(err.Error(), "secret") {
				t.Errorf("the error has the password: %v", err)
			}
		}
	}
	// Who took the letter and then hangs up has it.
	s, by := newMailServer(t)
	s.Answer("QUIT", "drop")
	must(t, by.Send(t.Context(), letter()))
}

// TestAServerThatHangsIsLeft: it accepts a connection and says nothing.
func TestAServerThatHangsIsLeft(t *testing.T) {
	s, by := newMailServer(t)
	s.Answer("", "hang")
	ctx, cancel := context.WithCancel(t.Context())
	go func() {
		<-s.Hung
		cancel()
	}()
	if err := by.Send(ctx, letter()); err == nil || errors.Is(err, outbox.ErrFinal) {
		t.Errorf("%v", err)
	}
}

// TestNothingGoesInTheClear meets a server without STARTTLS, and one of another name.
func TestNothingGoesInTheClear(t *testing.T) {
	s, by := newMailServer(t)
	s.InClear()
	if err := by.Send(t.Context(), letter()); err == nil || errors.Is(err, outbox.ErrFinal) {
		t.Errorf("without STARTTLS: %v", err)
	}
	s, by = newMailServer(t)
	by.TLS = &tls.Config{ServerName: "127.0.0.1"}
	if err := by.Send(t.Context(), letter()); err == nil || len(s.Taken()) != 0 {
		t.Errorf("under a certificate that nothing vouches for: %v", err)
	}
	if _, ok := errors.AsType[x509.UnknownAuthorityError](by.Check(t.Context())); !ok {
		t.Error("who checks is not told of the certificate")
	}
}
