// Package transport carries letters: to an SMTP server, or to a webhook.
package transport

import (
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"net"
	"time"

	gomail "github.com/wneessen/go-mail"

	"github.com/keyturn/keyturn/internal/mail"
	"github.com/keyturn/keyturn/internal/outbox"
)

// Security says how a connection to an SMTP server is protected.
type Security string

// The ways. A server that does not offer STARTTLS is not sent to in the clear.
const (
	StartTLS Security = "starttls"
	TLS      Security = "tls"
	Plain    Security = "none"
)

// SMTP is a server that takes letters.
type SMTP struct {
	Host     string
	Port     int
	Security Security
	// Username and Password are empty where the server asks for none.
	Username, Password string
	// TLS is nil but in tests.
	TLS *tls.Config
}

// patience bounds the beginning of a connection, and the sending of a letter.
const patience = 40 * time.Second

// unavailable is the answer of a server that takes nothing from anybody (RFC 5321 §4.2.2).
const unavailable = 421

// Send implements mail.Carrier.
func (s *SMTP) Send(ctx context.Context, l mail.Message) error {
	m := gomail.NewMsg()
	if err := errors.Join(m.From(l.From), m.To(l.To)); err != nil {
		return fmt.Errorf("%w: %w", outbox.ErrFinal, err)
	}
	m.Subject(l.Subject)
	m.SetDate()
	m.SetMessageIDWithValue(l.ID)
	m.SetGenHeader("Auto-Submitted", "auto-generated") // RFC 3834 §5
	m.SetBodyString(gomail.TypeTextPlain, l.Text)
	m.AddAlternativeString(gomail.TypeTextHTML, l.HTML)
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	c, err := s.client(ctx)
	if err != nil {
		return err
	}
	err = c.DialAndSendWithContext(ctx, m)
	var refused *gomail.SendError
	switch {
	case errors.As(err, &refused) && refused.ErrorCode() >= 500:
		return fmt.Errorf("%w: %w", outbox.ErrFinal, err)
	case err != nil && m.IsDelivered():
		return nil // the server took it, and broke off before it said goodbye
	case errors.As(err, &refused) && refused.ErrorCode() >= 400 && refused.ErrorCode() != unavailable:
		return fmt.Errorf("%w: %w", outbox.ErrDeferred, err)
	}
	return err
}

// Check connects and logs in, and sends nothing.
func (s *SMTP) Check(ctx context.Context) error {
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	c, err := s.client(ctx)
	if err == nil {
		err = c.DialWithContext(ctx)
	}
	if err != nil {
		return err
	}
	return c.Close()
}

// client returns a client whose connection ends with ctx, whatever becomes of it.
func (s *SMTP) client(ctx context.Context) (*gomail.Client, error) {
	dial := func(dialing context.Context, network, addr string) (net.Conn, error) {
		conn, err := new(net.Dialer).DialContext(dialing, network, addr)
		if err == nil {
			context.AfterFunc(ctx, func() { conn.Close() })
		}
		return conn, err
	}
	o := []gomail.Option{gomail.WithPort(s.Port), gomail.WithTimeout(patience)}
	switch s.Security {
	case TLS:
		o = append(o, gomail.WithSSL()) // with a dialer of its own, by which it knows that it may log in
	case Plain:
		o = append(o, gomail.WithTLSPolicy(gomail.NoTLS), gomail.WithDialContextFunc(dial))
	default:
		o = append(o, gomail.WithTLSPolicy(gomail.TLSMandatory), gomail.WithDialContextFunc(dial))
	}
	if s.TLS != nil {
		o = append(o, gomail.WithTLSConfig(s.TLS))
	}
	if s.Username != "" {
		o = append(o, gomail.WithSMTPAuth(gomail.SMTPAuthAutoDiscover), gomail.WithUsername(s.Username), gomail.WithPassword(s.Password))
	}
	return gomail.NewClient(s.Host, o...)
}
