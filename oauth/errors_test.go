package oauth

import (
	"errors"
	"net/http/httptest"
	"slices"
	"strings"
	"testing"

	"github.com/keyturn/keyturn/internal/audit"
	"github.com/keyturn/keyturn/internal/clients"
	"github.com/keyturn/keyturn/internal/refusal"
)

func TestEveryRefusalIsAnErrorOfRFC6749(t *testing.T) {
	for _, code := range refusal.Codes() {
		rec := httptest.NewRecorder()
		e := refusal.New(code, audit.ReasonStore, "what to do")
		e.Cause = errors.New("inside")
		writeError(rec, e)
		if rec.Code < 400 || !strings.Contains(rec.Body.String(), `"error_description":"what to do"`) || strings.Contains(rec.Body.String(), "inside") {
			t.Errorf("code %d is answered as %d %s", code, rec.Code, rec.Body)
		}
		if (rec.Header().Get("Retry-After") != "") != e.Temporary() {
			t.Errorf("code %d says Retry-After %q", code, rec.Header().Get("Retry-After"))
		}
	}
}

func TestEveryGrantOfAClientIsServed(t *testing.T) {
	var served []string
	for _, g := range grants {
		served = append(served, g.name)
	}
	if !slices.Equal(served, clients.Grants()) {
		t.Errorf("clients can be registered for %q, and the grants are %q", clients.Grants(), served)
	}
}
