package e2e

import (
	"encoding/base64"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync/atomic"
	"testing"
)

// TestAnEndIsToldByTheNextServer ends a session by a command after the server was
// killed, so that nobody is there to tell the application, whose first answer is lost too.
func TestAnEndIsToldByTheNextServer(t *testing.T) {
	t.Parallel()
	told := make(chan string, 10)
	var answers atomic.Int64
	app := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if answers.Add(1) == 1 {
			w.WriteHeader(http.StatusBadGateway)
			return
		}
		told <- r.FormValue("logout_token")
	}))
	t.Cleanup(app.Close)
	d := newDeployment(t, "", "--client-jwks-networks", "127.0.0.0/8")
	s := openShop(t, d)
	by := s.addClient(t, "wiki", "--grant", "password", "--grant", "refresh_token", "--scope", "openid", "--backchannel-logout-uri", app.URL+"/ended")
	id, _ := s.begin(t, by)
	s.kill(t)
	s.logout(t, 1, "users", "logout", email)
	s.server = s.again(t)
	var token string
	eventually(t, "the application is told", func() bool {
		select {
		case token = <-told:
			return true
		default:
			return false
		}
	})
	payload, err := base64.RawURLEncoding.DecodeString(strings.Split(token, ".")[1])
	if err != nil || !strings.Contains(string(payload), `"sid":"`+id+`"`) || !strings.Contains(string(payload), `"aud":"wiki"`) {
		t.Errorf("it is told %s (%v), not of %s", payload, err, id)
	}
	s.stop(t)
	if len(told) != 0 {
		t.Error("it is told once more")
	}
	s.checkAudit(t)
}
