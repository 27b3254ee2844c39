package problem_test

import (
	"errors"
	"net/http/httptest"
	"strings"
	"testing"
	"time"

	"github.com/keyturn/keyturn/internal/audit"
	"github.com/keyturn/keyturn/internal/problem"
	"github.com/keyturn/keyturn/internal/refusal"
)

func TestEveryRefusalIsAProblem(t *testing.T) {
	for _, code := range refusal.Codes() {
		rec := httptest.NewRecorder()
		e := refusal.New(code, audit.ReasonStore, "what to do")
		e.Cause, e.Field, e.RetryAfter, e.UserID = errors.New("inside"), "name", 90*time.Second, "uid-1"
		problem.Refuse(rec, e)
		if rec.Code < 400 || !strings.Contains(rec.Body.String(), `"detail":"what to do","field":"name"`) {
			t.Errorf("code %d is answered as %d %s", code, rec.Code, rec.Body)
		}
		for _, inside := range []string{"inside", "uid-1", audit.ReasonStore.String() + `"`} {
			if strings.Contains(rec.Body.String(), inside) {
				t.Errorf("code %d tells %q: %s", code, inside, rec.Body)
			}
		}
		if wait := rec.Header().Get("Retry-After"); (wait == "90") != e.Temporary() {
			t.Errorf("code %d says Retry-After %q", code, wait)
		}
	}
}
