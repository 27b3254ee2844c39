package server_test

import (
	"encoding/json"
	"testing"
)

// TestARefusedPasswordIsNamedAsItWasSent: the member of these bodies is new_password.
func TestARefusedPasswordIsNamedAsItWasSent(t *testing.T) {
	w := newWorld(t)
	token := w.login().Access
	for path, body := range map[string]map[string]string{
		"/auth/password": {"current_password": password, "new_password": "short"},
		"/auth/signup":   {"email": "grace@example.com", "password": "short"},
	} {
		rec := w.sendJSON("POST", path, token, body)
		var problem struct{ Field string }
		must(t, json.Unmarshal(rec.Body.Bytes(), &problem))
		want := map[string]string{"/auth/password": "new_password", "/auth/signup": "password"}[path]
		if rec.Code != 422 && rec.Code != 400 || problem.Field != want {
			t.Errorf("%s: status %d, field %q, want %q: %s", path, rec.Code, problem.Field, want, rec.Body)
		}
	}
}
