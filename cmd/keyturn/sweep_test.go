package main

import (
	"context"
	"encoding/json"
	"net/http"
	"net/http/httptest"
	"net/url"
	"path/filepath"
	"strings"
	"testing"

	"github.com/spf13/pflag"

	auditlog "github.com/keyturn/keyturn/internal/audit/log"
	"github.com/keyturn/keyturn/internal/config"
	"github.com/keyturn/keyturn/internal/store/mongodb"
	"github.com/keyturn/keyturn/internal/store/storetest"
)

// TestF2_AServerThatEndsSettlesItsRefreshes stops a server right after an
// outage: the session whose refresh was carried out, but not answered, goes on
// with the token that its client holds, under the next server and without a
// retry window.
func TestF2_AServerThatEndsSettlesItsRefreshes(t *testing.T) {
	t.Chdir(t.TempDir())
	p := &program{stderr: t.Output()}
	fs := pflag.NewFlagSet("", pflag.ContinueOnError)
	config.AddFlags(fs)
	cfg, err := config.Load(fs, []string{
		"KEYTURN_ISSUER=https://login.example.com", "KEYTURN_STORE=sqlite:" + filepath.Join(t.TempDir(), "keyturn.db"), "KEYTURN_RETRY_WINDOW=0s",
	})
	if err != nil {
		t.Fatal(err)
	}
	inner, err := openStore(t.Context(), cfg.Store.Reveal(), mongodb.Options{})
	if err != nil {
		t.Fatal(err)
	}
	faulty := storetest.NewFaulty(inner)
	d := &deployment{ctx: t.Context(), cfg: cfg, log: p.logger(cfg), store: faulty}
	if d.audit, err = d.openAudit(auditlog.Options{Sink: cfg.AuditLog}, d.store); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := d.close(); err != nil {
			t.Error(err)
		}
	})
	start := func() *services {
		s, err := d.services(cfg.Issuer)
		if err == nil {
			err = s.keeper.Poll(t.Context())
		}
		if err != nil {
			t.Fatal(err)
		}
		return s
	}
	s := start()
	if err := d.makeDemo(s); err != nil {
		t.Fatal(err)
	}
	made, err := readDemo()
	if err != nil {
		t.Fatal(err)
	}
	ask := func(s *services, form url.Values) (status int, refreshToken string) {
		r := httptest.NewRequest(http.MethodPost, "/oauth/token", strings.NewReader(form.Encode()))
		r.Header.Set("Content-Type", "application/x-www-form-urlencoded")
		r.SetBasicAuth(made.ClientID, made.ClientSecret)
		w := httptest.NewRecorder()
		s.oauth.Token(w, r)
		var answer struct {
			RefreshToken string `json:"refresh_token"`
		}
		if err := json.Unmarshal(w.Body.Bytes(), &answer); err != nil {
			t.Fatalf("%d %s", w.Code, w.Body)
		}
		return w.Code, answer.RefreshToken
	}
	_, held := ask(s, url.Values{"grant_type": {"password"}, "username": {made.Email}, "password": {made.Password}})
	refresh := url.Values{"grant_type": {"refresh_token"}, "refresh_token": {held}}
	faulty.Inject(func(method string) storetest.Fault {
		if method == "RotateFamily" {
			return storetest.Persists
		}
		return storetest.None
	})
	if status, _ := ask(s, refresh); status != http.StatusServiceUnavailable {
		t.Fatalf("a refresh in an outage: %d", status)
	}
	faulty.Inject(nil)
	over, end := context.WithCancel(t.Context())
	end()
	d.settleLast(over, s)
	if status, _ := ask(start(), refresh); status != http.StatusOK {
		t.Errorf("the token that the client holds, after the restart: %d", status)
	}
}
