package server_test

import (
	"encoding/json"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strings"
	"testing"

	auditlog "github.com/keyturn/keyturn/internal/audit/log"
)

// logWorld has a real audit log and returns its path.
func logWorld(t *testing.T) (*world, string) {
	t.Helper()
	path := filepath.Join(t.TempDir(), "audit.log")
	log, err := auditlog.Open(auditlog.Options{Sink: path, Node: "test"})
	must(t, err)
	t.Cleanup(func() { log.Close() })
	return newWorldWith(t, log), path
}

// lastLine decodes the last line of a log into v.
func lastLine(t *testing.T, path string, v any) {
	t.Helper()
	content, err := os.ReadFile(path)
	must(t, err)
	lines := strings.Split(strings.TrimSpace(string(content)), "\n")
	must(t, json.Unmarshal([]byte(lines[len(lines)-1]), v))
}

// refreshFrom spends a refresh token from an address with a device.
func (w *world) refreshFrom(token, address, device string) *httptest.ResponseRecorder {
	r := httptest.NewRequest("POST", "/oauth/token", strings.NewReader(values{"grant_type": {"refresh_token"}, "refresh_token": {token}}.Encode()))
	r.Header.Set("Content-Type", "application/x-www-form-urlencoded")
	r.SetBasicAuth("shop", w.secret)
	r.RemoteAddr = address + ":40000"
	r.Header.Set("User-Agent", device)
	return w.serve(r)
}

func TestA1_AReuseNamesBothSides(t *testing.T) {
	w, path := logWorld(t)
	stolen := w.login().Refresh
	next := read[tokens](t, w.refreshFrom(stolen, "198.51.100.7", "Victim/1"), 200).Refresh
	read[tokens](t, w.refreshFrom(next, "198.51.100.7", "Victim/1"), 200)
	if rec := w.refreshFrom(stolen, "203.0.113.9", "Thief/1"); rec.Code != 400 {
		t.Fatalf("status %d: %s", rec.Code, rec.Body)
	}
	var line struct {
		Event   struct{ Action string }
		Keyturn struct {
			Previous struct {
				At        string
				IP        string
				UserAgent string `json:"user_agent"`
			}
			Generation int
			Presented  int `json:"presented_generation"`
		}
		Source    struct{ IP string }
		UserAgent struct{ Original string } `json:"user_agent"`
		Related   struct{ IP []string }
	}
	lastLine(t, path, &line)
	before := line.Keyturn.Previous
	if line.Event.Action != "token-reuse" || before.IP != "198.51.100.7" || before.UserAgent != "Victim/1" || before.At == "" ||
		line.Source.IP != "203.0.113.9" || line.UserAgent.Original != "Thief/1" ||
		strings.Join(line.Related.IP, " ") != "198.51.100.7 203.0.113.9" || line.Keyturn.Generation <= line.Keyturn.Presented {
		t.Errorf("%+v", line)
	}
}

func TestA1_AnEventBelongsToItsCallersTrace(t *testing.T) {
	w, path := logWorld(t)
	for header, want := range map[string]string{
		"00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01":                                                             "0af7651916cd43dd8448eb211c80319c",
		"cc-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01-more":                                                        "0af7651916cd43dd8448eb211c80319c",
		"00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01-more":                                                        "",
		"00-00000000000000000000000000000000-b7ad6b7169203331-01":                                                             "",
		"ff-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01":                                                             "",
		"00-0AF7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01":                                                             "",
		"00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-0\"":                                                            "",
		"00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01 and 00-0bf7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01": "",
		"nonsense": "",
	} {
		r := httptest.NewRequest("GET", "/oauth/userinfo", nil)
		r.Header["Traceparent"] = strings.Split(header, " and ")
		w.serve(r)
		var line struct{ Trace struct{ ID string } }
		lastLine(t, path, &line)
		if line.Trace.ID != want {
			t.Errorf("%q: trace %q, want %q", header, line.Trace.ID, want)
		}
	}
}
