package server_test

import (
	"encoding/json"
	"io"
	"maps"
	"net/http/httptest"
	"strings"
	"testing"
	"testing/iotest"

	"github.com/keyturn/keyturn/internal/audit"
)

// TestMembersOfBodiesAreThereOrNot has one rule for every route that takes JSON: a
// member that is needed and missing, null, empty or no text makes the body one that is
// malformed, and nothing else is decided about it.
func TestMembersOfBodiesAreThereOrNot(t *testing.T) {
	w := newWorld(t)
	token := w.login().Access
	for path, route := range map[string]struct {
		event    audit.Action
		needed   map[string]any
		optional []string
	}{
		"/auth/login":    {audit.TokenRefused, map[string]any{"email": email, "password": password}, nil},
		"/auth/refresh":  {audit.TokenRefused, map[string]any{"refresh_token": "kt_rt_x"}, nil},
		"/auth/reset":    {audit.ResetRedeemed, map[string]any{"token": "kt_pr_x", "new_password": "another long sentence"}, nil},
		"/auth/password": {audit.PasswordChanged, map[string]any{"current_password": password, "new_password": "another long sentence"}, nil},
		"/auth/signup":   {audit.UserSignedUp, map[string]any{"email": "eve@example.com", "password": "a long enough sentence"}, []string{"username", "first_name", "last_name"}},
	} {
		changed := func(name string, value any, is bool) map[string]any {
			body := maps.Clone(route.needed)
			if body[name] = value; !is {
				delete(body, name)
			}
			return body
		}
		refused := func(name string, body any) {
			t.Helper()
			w.journal.take()
			rec := w.sendJSON("POST", path, token, body)
			var p struct{ Type, Field, Detail string }
			must(t, json.Unmarshal(rec.Body.Bytes(), &p))
			if rec.Code != 400 || !strings.HasSuffix(p.Type, "#malformed-body") || p.Field != name || !strings.Contains(p.Detail, `"`+name+`"`) {
				t.Errorf("%s %v: %d %s", path, body, rec.Code, rec.Body)
			}
			if events := w.journal.take(); len(events) != 1 || events[0].Action != route.event || events[0].Reason != audit.ReasonMalformedBody {
				t.Errorf("%s %v: events %+v", path, body, events)
			}
		}
		for name := range route.needed {
			refused(name, changed(name, nil, false))
			refused(name, changed(name, nil, true))
			refused(name, changed(name, "", true))
			for _, value := range []any{1, true, []string{"a"}, map[string]string{"a": "b"}, json.Number("1e400")} {
				refused(name, changed(name, value, true))
			}
		}
		for _, name := range route.optional {
			refused(name, changed(name, 1, true))
			for _, value := range []any{nil, ""} {
				body := changed(name, value, true)
				body["password"] = "short" // so that no account is made
				if rec := w.sendJSON("POST", path, "", body); rec.Code != 422 || !strings.Contains(rec.Body.String(), `"field":"password"`) {
					t.Errorf("%s %v: %d %s", path, body, rec.Code, rec.Body)
				}
			}
		}
	}
}

// brokenOff are hang-ups in the middle of the body at every route that takes JSON:
// nobody sent a malformed one.
func brokenOff() (rows []decided) {
	for path, action := range map[string]audit.Action{
		"/auth/login":        audit.TokenRefused,
		"/auth/login/factor": audit.TokenRefused,
		"/auth/refresh":      audit.TokenRefused,
		"/auth/reset":        audit.ResetRedeemed,
		"/auth/password":     audit.PasswordChanged,
		"/auth/signup":       audit.UserSignedUp,
		"/auth/factors":      audit.FactorEnrolled,
		"/auth/me":           audit.UserChanged,
	} {
		rows = append(rows, decided{path + ", broken off", func(w *world, held tokens) *httptest.ResponseRecorder {
			r := httptest.NewRequest("POST", path, io.MultiReader(strings.NewReader(`{"em`), iotest.ErrReader(io.ErrUnexpectedEOF)))
			r.Header.Set("Content-Type", "application/json")
			r.Header.Set("Authorization", "Bearer "+held.Access)
			return w.serve(r)
		}, 400, action, "body_unreadable"})
	}
	return rows
}
