// Package mailtest is an SMTP server for tests.
package mailtest

import (
	"bufio"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/tls"
	"crypto/x509"
	"encoding/base64"
	"encoding/pem"
	"fmt"
	"io"
	"math/big"
	"mime"
	"mime/multipart"
	"mime/quotedprintable"
	"net"
	netmail "net/mail"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"
)

// Username and Password are what the server lets in.
const (
	Username = "keyturn"
	Password = "secret"
)

// Server is an SMTP server with STARTTLS and AUTH PLAIN, that takes letters only from who
// used both.
type Server struct {
	Port int
	// Roots vouch for its certificate, which PEM has.
	Roots *x509.CertPool
	PEM   []byte
	// Hung is told when it hangs.
	Hung chan struct{}

	cert    tls.Certificate
	mu      sync.Mutex
	inClear bool
	answers map[string]string
	letters []string
}

// New starts a server on 127.0.0.1, which ends with the test.
func New(t testing.TB) *Server {
	t.Helper()
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	must(t, err)
	template := &x509.Certificate{SerialNumber: big.NewInt(1), NotAfter: time.Now().Add(time.Hour), IPAddresses: []net.IP{net.IPv4(127, 0, 0, 1)}, IsCA: true, BasicConstraintsValid: true}
	der, err := x509.CreateCertificate(rand.Reader, template, template, &key.PublicKey, key)
	must(t, err)
	s := &Server{
		Roots: x509.NewCertPool(), PEM: pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: der}), Hung: make(chan struct{}, 1),
		cert: tls.Certificate{Certificate: [][]byte{der}, PrivateKey: key}, answers: map[string]string{},
	}
	s.Roots.AppendCertsFromPEM(s.PEM)
	at, err := net.Listen("tcp", "127.0.0.1:0")
	must(t, err)
	s.Port = at.Addr().(*net.TCPAddr).Port
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
	return s
}

// Answer has the server answer a command so, by its verb; "" is its greeting, END the end
// of a letter. The answers drop and hang are not said but done, and no text is what it
// answers else.
func (s *Server) Answer(verb, text string) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.answers[verb] = text
}

// InClear has it offer no STARTTLS.
func (s *Server) InClear() {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.inClear = true
}

// Taken are the letters that it took.
func (s *Server) Taken() []string {
	s.mu.Lock()
	defer s.mu.Unlock()
	return slices.Clone(s.letters)
}

// Letter waits until the server has taken n letters, and returns the last one's text.
func (s *Server) Letter(t testing.TB, n int) string {
	t.Helper()
	for until := time.Now().Add(time.Minute); len(s.Taken()) < n; {
		if time.Now().After(until) {
			t.Fatalf("%d letters came, want %d", len(s.Taken()), n)
		}
		time.Sleep(10 * time.Millisecond)
	}
	return text(t, s.Taken()[n-1])
}

// text is the plain text of a letter.
func text(t testing.TB, letter string) string {
	t.Helper()
	m, err := netmail.ReadMessage(strings.NewReader(letter))
	must(t, err)
	_, params, err := mime.ParseMediaType(m.Header.Get("Content-Type"))
	must(t, err)
	part, err := multipart.NewReader(m.Body, params["boundary"]).NextRawPart()
	must(t, err)
	var body io.Reader = part
	switch part.Header.Get("Content-Transfer-Encoding") {
	case "quoted-printable":
		body = quotedprintable.NewReader(part)
	case "base64":
		body = base64.NewDecoder(base64.StdEncoding, part)
	}
	said, err := io.ReadAll(body)
	must(t, err)
	return strings.ReplaceAll(string(said), "\r\n", "\n")
}

func (s *Server) answer(verb, usual string) string {
	s.mu.Lock()
	defer s.mu.Unlock()
	if a := s.answers[verb]; a != "" {
		return a
	}
	return usual
}

func (s *Server) serve(c net.Conn) {
	defer func() { c.Close() }()
	r := bufio.NewReader(c)
	say := func(text string) bool {
		switch text {
		case "drop":
			return false
		case "hang":
			s.Hung <- struct{}{}
			_, _ = r.ReadByte() // until the other side closes
			return false
		}
		_, err := fmt.Fprint(c, text+"\r\n")
		return err == nil
	}
	secure, in := false, false
	s.mu.Lock()
	clear := s.inClear
	s.mu.Unlock()
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
		case verb == "EHLO" && !secure && !clear:
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
			if strings.Contains(line, base64.StdEncoding.EncodeToString([]byte("\x00"+Username+"\x00"+Password))) {
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
			end := s.answer("END", "250 taken")
			if strings.HasPrefix(end, "250") || end == "drop" {
				s.mu.Lock()
				s.letters = append(s.letters, letter.String())
				s.mu.Unlock()
			}
			if !say(end) {
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

func must(t testing.TB, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}
