package transport_test

import (
	"crypto/hmac"
	"crypto/sha256"
	"crypto/tls"
	"encoding/hex"
	"encoding/json"
	"errors"
	"io"
	"log"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"time"

	"github.com/keyturn/keyturn/internal/mail"
	"github.com/keyturn/keyturn/internal/mail/transport"
	"github.com/keyturn/keyturn/internal/outbox"
)

func TestAWebhookTakesLetters(t *testing.T) {
	status := http.StatusNoContent
	var got mail.Message
	secret, at := []byte(strings.Repeat("s", 32)), time.Unix(1764432000, 0)
	hook := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		body, err := io.ReadAll(r.Body)
		must(t, err)
		mac := hmac.New(sha256.New, secret)
		mac.Write([]byte("1764432000." + string(body)))
		if want := "t=1764432000,v1=" + hex.EncodeToString(mac.Sum(nil)); r.Header.Get("Keyturn-Signature") != want || r.Header.Get("Content-Type") != "application/json" {
			t.Errorf("%v, want %s", r.Header, want)
		}
		must(t, json.Unmarshal(body, &got))
		w.Header().Set("Location", "/elsewhere")
		w.WriteHeader(status)
	}))
	defer hook.Close()
	by := &transport.Webhook{URL: hook.URL + "/?key=hidden", Secret: secret, Now: func() time.Time { return at }}
	must(t, by.Send(t.Context(), letter()))
	if got != letter() {
		t.Errorf("%+v", got)
	}
	for code, final := range map[int]bool{400: true, 413: true, 422: true, 302: false, 401: false, 404: false, 410: false, 429: false, 500: false, 503: false} {
		status = code
		if err := by.Send(t.Context(), letter()); err == nil || errors.Is(err, outbox.ErrFinal) != final {
			t.Errorf("%d: %v", code, err)
		}
	}
	hook.Close()
	if err := by.Send(t.Context(), letter()); err == nil || strings.Contains(err.Error(), "hidden") {
		t.Errorf("nobody there: %v", err)
	}
}

// TestAWebhookIsReached finds out whether it can be connected to, and sends nothing.
func TestAWebhookIsReached(t *testing.T) {
	asked := func(http.ResponseWriter, *http.Request) { t.Error("something was sent") }
	hook, secured := httptest.NewServer(http.HandlerFunc(asked)), httptest.NewUnstartedServer(http.HandlerFunc(asked))
	secured.Config.ErrorLog = log.New(io.Discard, "", 0)
	secured.StartTLS()
	defer secured.Close()
	by := &transport.Webhook{URL: hook.URL + "/?key=hidden"}
	must(t, by.Check(t.Context()))
	hook.Close()
	if err := by.Check(t.Context()); err == nil || strings.Contains(err.Error(), "hidden") {
		t.Errorf("nobody there: %v", err)
	}
	by.URL = secured.URL
	if _, ok := errors.AsType[*tls.CertificateVerificationError](by.Check(t.Context())); !ok {
		t.Error("a certificate that nothing vouches for will do")
	}
}
