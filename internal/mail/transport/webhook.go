package transport

import (
	"bytes"
	"context"
	"crypto/hmac"
	"crypto/sha256"
	"crypto/tls"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"net/http/httptrace"
	"strconv"
	"time"

	"github.com/keyturn/keyturn/internal/mail"
	"github.com/keyturn/keyturn/internal/outbox"
)

// SignatureHeader has the time of a request and the HMAC-SHA-256 of the time, a dot and
// the body, as in t=1764432000,v1=HEX.
const SignatureHeader = "Keyturn-Signature"

// Webhook takes letters as JSON, and sends them its own way.
type Webhook struct {
	URL    string
	Secret []byte
	Now    func() time.Time
}

// client follows no redirect: a letter opens an account.
var client = &http.Client{
	Timeout:       patience,
	CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse },
}

// Send implements mail.Carrier. It takes 400, 413 and 422 for a refusal of the letter.
func (w *Webhook) Send(ctx context.Context, m mail.Message) error {
	body, err := json.Marshal(m)
	if err != nil {
		return err
	}
	req, err := http.NewRequestWithContext(ctx, http.MethodPost, w.URL, bytes.NewReader(body))
	if err != nil {
		return errors.New("the webhook's address cannot be used") // it may hold a secret
	}
	at := strconv.FormatInt(w.Now().Unix(), 10)
	req.Header.Set("Content-Type", "application/json")
	req.Header.Set(SignatureHeader, "t="+at+",v1="+hex.EncodeToString(w.sign(at, body)))
	res, err := client.Do(req)
	if err != nil {
		return errors.Unwrap(err) // without the address
	}
	defer res.Body.Close()
	err = fmt.Errorf("the webhook answered %d; redirects are not followed", res.StatusCode)
	switch code := res.StatusCode; {
	case code/100 == 2:
		return nil
	case code == http.StatusBadRequest, code == http.StatusRequestEntityTooLarge, code == http.StatusUnprocessableEntity:
		return fmt.Errorf("%w: %w", outbox.ErrFinal, err)
	}
	return err
}

// Check connects to the webhook, with TLS and by way of a proxy as Send does, and sends
// nothing.
func (w *Webhook) Check(ctx context.Context) error {
	reached := false
	ctx = httptrace.WithClientTrace(ctx, &httptrace.ClientTrace{GotConn: func(c httptrace.GotConnInfo) {
		reached = true
		c.Conn.Close()
	}})
	req, err := http.NewRequestWithContext(ctx, http.MethodGet, w.URL, nil)
	if err != nil {
		return errors.New("the webhook's address cannot be used") // it may hold a secret
	}
	// By HTTP/1 the request is the first to go over the connection.
	fresh := &http.Transport{Proxy: http.ProxyFromEnvironment, TLSNextProto: map[string]func(string, *tls.Conn) http.RoundTripper{}}
	res, err := (&http.Client{Timeout: patience, Transport: fresh}).Do(req)
	switch {
	case reached:
		return nil
	case err != nil:
		return errors.Unwrap(err) // without the address
	}
	return res.Body.Close()
}

func (w *Webhook) sign(at string, body []byte) []byte {
	mac := hmac.New(sha256.New, w.Secret)
	mac.Write([]byte(at + "."))
	mac.Write(body)
	return mac.Sum(nil)
}
