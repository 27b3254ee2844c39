package e2e

import (
	"database/sql"
	"encoding/json"
	"net/http"
	"slices"
	"strings"
	"testing"

	_ "modernc.org/sqlite" // to damage what the server keeps
)

// tamper runs statements on the database of a deployment behind its servers' backs.
func (d *deployment) tamper(t *testing.T, statements ...string) {
	t.Helper()
	path, ok := strings.CutPrefix(d.store, "sqlite:")
	if !ok {
		t.Fatalf("%s is not a file", d.store)
	}
	db, err := sql.Open("sqlite", path+"?_pragma=busy_timeout(10000)")
	if err != nil {
		t.Fatal(err)
	}
	defer db.Close()
	for _, statement := range statements {
		if _, err := db.Exec(statement); err != nil {
			t.Fatalf("%s: %v", statement, err)
		}
	}
}

// noNewKeys has the database refuse new keys, and nothing else.
const noNewKeys = `CREATE TRIGGER no_new_keys BEFORE INSERT ON keys BEGIN SELECT RAISE(ABORT, 'no new keys'); END`

// health is what /readyz says.
type health struct {
	code     int
	Status   string
	Keys     string
	Warnings []string
}

func (s *server) health(t *testing.T) health {
	t.Helper()
	a := mustSend(t, "GET", s.url+"/readyz", nil, "")
	h := health{code: a.status}
	if err := json.Unmarshal([]byte(a.body), &h); err != nil {
		t.Fatalf("/readyz answered %q: %v", a.body, err)
	}
	return h
}

// logsError reports whether the log has a line of level error that says text.
func (s *server) logsError(text string) bool {
	for line := range strings.Lines(s.stderr.String()) {
		if strings.Contains(line, `"level":"error"`) && strings.Contains(line, text) {
			return true
		}
	}
	return false
}

// TestReadyWarnsOfTheSchedule lets a standby go missing, and then a turn be overdue,
// as the store takes no new keys. /readyz and the log tell; nobody is turned away;
// and when the store takes keys again all is well by itself.
func TestReadyWarnsOfTheSchedule(t *testing.T) {
	t.Parallel()
	s := openShop(t, newDeployment(t, "", shortLives...))
	if h := s.health(t); h.code != http.StatusOK || h.Status != "ok" || len(h.Warnings) > 0 {
		t.Fatalf("before: %+v", h)
	}
	s.tamper(t, noNewKeys)
	for _, code := range []string{"standby_missing", "turn_overdue"} {
		eventually(t, "/readyz warns of "+code, func() bool {
			h := s.health(t)
			if h.code != http.StatusOK || (h.Status == "warning") != (len(h.Warnings) > 0) {
				t.Fatalf("a warning became %+v", h)
			}
			return slices.Contains(h.Warnings, code)
		})
		eventually(t, "the log has "+code, func() bool { return s.logsError(code + ": ") })
		s.grant(t, s.confidential, "grant_type", "client_credentials")
	}
	if set, _, err := readKeySet(mustSend(t, "GET", s.url+"/.well-known/jwks.json", nil, "")); err != nil {
		t.Errorf("the key set: %v, %v", set, err)
	}
	s.tamper(t, "DROP TRIGGER no_new_keys")
	eventually(t, "all is well again", func() bool {
		h := s.health(t)
		return h.code == http.StatusOK && h.Status == "ok" && len(h.Warnings) == 0
	})
}

// TestReadyWithoutASigningKey takes every key out behind the server's back. A replica
// that cannot sign is not ready.
func TestReadyWithoutASigningKey(t *testing.T) {
	t.Parallel()
	s := openShop(t, newDeployment(t, "", shortLives...))
	s.tamper(t, noNewKeys, "UPDATE keys SET revoked_at = activate_at + 1, version = version + 1")
	eventually(t, "the replica is not ready", func() bool {
		h := s.health(t)
		return h.code == http.StatusServiceUnavailable && h.Keys == "none"
	})
	if a := mustSend(t, "GET", s.url+"/.well-known/jwks.json", nil, ""); a.status != http.StatusServiceUnavailable {
		t.Errorf("a key set without keys: status %d, %s", a.status, a.body)
	}
	s.tamper(t, "DROP TRIGGER no_new_keys")
	eventually(t, "it has made keys", s.ready)
	s.grant(t, s.confidential, "grant_type", "client_credentials")
}
