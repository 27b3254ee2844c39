package transport_test

import (
	"bufio"
	"context"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/tls"
	"crypto/x509"
	"errors"
	"fmt"
	"math/big"
	"net"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/keyturn/keyturn/internal/mail"
	"github.com/keyturn/keyturn/internal/mail/transport"
	"github.com/keyturn/keyturn/internal/outbox"
)

// mailServer is an SMTP server with STARTTLS and AUTH PLAIN.
type mailServer struct {
	t    *testing.T
	at   net.Listener
	cert tls.Certificate
	// offersTLS says that it has STARTTLS.
	offersTLS bool
	// answers overrides the answer to a command, by its verb; "drop" hangs up.
	mu      sync.Mutex
	answers map[string]string
	letters []string
	// hung is told when it hangs.
	hung chan struct{}
}

func newMailServer(t *testing.T) (*mailServer, *transport.SMTP) {
	t.Helper()
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	must(t, err)
	template := &x509.Certificate{SerialNumber: big.NewInt(1), NotAfter: time.Now().Add(time.Hour), IPAddresses: []net.IP{net.IPv4(127, 0, 0, 1)}, IsCA: true, BasicConstraintsValid: true}
	der, err := x509.CreateCertificate(rand.Reader, template, template, &key.PublicKey, key)
	must(t, err)
	parsed, err := x509.ParseCertificate(der)
	must(t, err)
	roots := x509.NewCertPool()
	roots.AddCert(parsed)
	at, err := net.Listen("tcp", "127.0.0.1:0")
	must(t, err)
	s := &mailServer{t: t, at: at, cert: tls.Certificate{Certificate: [][]byte{der}, PrivateKey: key}, offersTLS: true, answers: map[string]string{}, hung: make(chan struct{}, 1)}
	t.Cleanup(func() { at.Close() })
	go func() {
		for {
			c, err := at.Accept()
			if err != nil {
				return
			}
			go s.serve(c)
		}
	}()
	return s, &transport.SMTP{
		Host: "127.0.0.1", Port: at.Addr().(*net.TCPAddr).Port, Username: "keyturn", Password: "secret",
		TLS: &tls.Config{RootCAs: roots, ServerName: "127.0.0.1"},
	}
}

func (s *mailServer) answer(verb, usual string) string {
	s.mu.Lock()
	defer s.mu.Unlock()
	if a, ok := s.answers[verb]; ok {
		return a
	}
	return usual
}

func (s *mailServer) serve(c net.Conn) {
	defer func() { c.Close() }()
	r := bufio.NewReader(c)
	say := func(text string) bool {
		switch text {
		case "drop":
			return false
		case "hang":
			s.hung <- struct{}{}
			_, _ = r.ReadByte() // until the other side closes
			return false
		}
		_, err := fmt.Fprint(c, text+"\r\n")
		return err == nil
	}
	secure, in := false, false
	if !say(s.answer("", "220 ready")) {
		return
	}
	for {
		line, err := r.ReadString('\n')
		if err != nil {
			return
		}
		verb, _, _ := strings.Cut(strings.TrimSpace(line), " ")
		usual := "250 ok"
		switch verb = strings.ToUpper(verb); {
		case verb == "EHLO" && s.offersTLS && !secure:
			usual = "250-here\r\n250 STARTTLS"
		case verb == "EHLO":
			usual = "250-here\r\n250 AUTH PLAIN"
		case verb == "STARTTLS":
			if !say("220 go on") {
				return
			}
			c = tls.Server(c, &tls.Config{Certificates: []tls.Certificate{s.cert}})
			r, secure = bufio.NewReader(c), true
			continue
		case verb == "AUTH":
			usual = "535 no"
			if strings.Contains(line, "AGtleXR1cm4Ac2VjcmV0") { // \0keyturn\0secret
				usual, in = "235 in", true
			}
		case verb == "MAIL" && (!in || !secure):
			usual = "530 log in"
		case verb == "DATA":
			if a := s.answer("DATA", "354 go on"); !say(a) || !strings.HasPrefix(a, "354") {
				if a == "drop" {
					return
				}
				continue
			}
			var letter strings.Builder
			for line != ".\r\n" {
				if line, err = r.ReadString('\n'); err != nil {
					return
				}
				letter.WriteString(line)
			}
			s.mu.Lock()
			s.letters = append(s.letters, letter.String())
			s.mu.Unlock()
			if !say(s.answer("END", "250 taken")) {
				return
			}
			continue
		case verb == "QUIT":
			say(s.answer("QUIT", "221 bye"))
			return
		}
		if !say(s.answer(verb, usual)) {
			return
		}
	}
}

func (s *mailServer) taken() []string {
	s.mu.Lock()
	defer s.mu.Unlock()
	return append([]string(nil), s.letters...)
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
	got := s.taken()
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
	if n := len(s.taken()); n != 1 {
		t.Errorf("%d letters", n)
	}
}

// TestWhatAServerSays sorts its answers into those after which another try is of use.
func TestWhatAServerSays(t *testing.T) {
	for verb, answers := range map[string]map[string]bool{
		"":     {"421 busy": false, "554 no": false, "drop": false},
		"AUTH": {"535 wrong": false, "454 later": false},
		"MAIL": {"451 later": false},
		"RCPT": {"451 greylisted": false, "452 full": false, "550 no such user": true, "drop": false},
		"DATA": {"451 later": false, "554 spam": true, "drop": false},
		"END":  {"451 later": false, "554 spam": true, "drop": false},
	} {
		for answer, final := range answers {
			s, by := newMailServer(t)
			s.answers[verb] = answer
			err := by.Send(t.Context(), letter())
			if err == nil || errors.Is(err, outbox.ErrFinal) != final {
				t.Errorf("%q to %s: %v; final should be %v", answer, verb, err, final)
			}
			if err != nil && strings.Contains(err.Error(), "secret") {
				t.Errorf("the error has the password: %v", err)
			}
		}
	}
	// Who took the letter and then hangs up has it.
	s, by := newMailServer(t)
	s.answers["QUIT"] = "drop"
	must(t, by.Send(t.Context(), letter()))
}

// TestAServerThatHangsIsLeft: it accepts a connection and says nothing.
func TestAServerThatHangsIsLeft(t *testing.T) {
	s, by := newMailServer(t)
	s.answers[""] = "hang"
	ctx, cancel := context.WithCancel(t.Context())
	go func() {
		<-s.hung
		cancel()
	}()
	if err := by.Send(ctx, letter()); err == nil || errors.Is(err, outbox.ErrFinal) {
		t.Errorf("%v", err)
	}
}

// TestNothingGoesInTheClear meets a server without STARTTLS, and one of another name.
func TestNothingGoesInTheClear(t *testing.T) {
	s, by := newMailServer(t)
	s.offersTLS = false
	if err := by.Send(t.Context(), letter()); err == nil || errors.Is(err, outbox.ErrFinal) {
		t.Errorf("without STARTTLS: %v", err)
	}
	s, by = newMailServer(t)
	by.TLS = &tls.Config{ServerName: "127.0.0.1"}
	if err := by.Send(t.Context(), letter()); err == nil || len(s.taken()) != 0 {
		t.Errorf("under a certificate that nothing vouches for: %v", err)
	}
}
