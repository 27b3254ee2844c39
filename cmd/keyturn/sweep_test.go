package main

import (
	"context"
	"encoding/json"
	"errors"
	"io"
	"net/http"
	"net/http/httptest"
	"net/url"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/spf13/pflag"

	"github.com/keyturn/keyturn/internal/audit"
	auditlog "github.com/keyturn/keyturn/internal/audit/log"
	"github.com/keyturn/keyturn/internal/config"
	"github.com/keyturn/keyturn/internal/store"
	"github.com/keyturn/keyturn/internal/store/mongodb"
	"github.com/keyturn/keyturn/internal/store/storetest"
	"github.com/keyturn/keyturn/keys"
	"github.com/keyturn/keyturn/oauth"
)

// openHere opens the deployment of the working directory as a server does.
func openHere(t *testing.T, stderr io.Writer) *deployment {
	t.Helper()
	fs := pflag.NewFlagSet("", pflag.ContinueOnError)
	config.AddFlags(fs)
	cfg, err := config.Load(fs, []string{"KEYTURN_ISSUER=https://login.example.com"})
	if err != nil {
		t.Fatal(err)
	}
	d, err := (&program{stderr: stderr}).open(t.Context(), cfg)
	if err != nil {
		t.Fatal(err)
	}
	return d
}

// TestAPepperThatIsMissingIsNoticedLater: accounts are imported beside a server.
func TestAPepperThatIsMissingIsNoticedLater(t *testing.T) {
	t.Chdir(t.TempDir())
	var said strings.Builder
	d := openHere(t, &said)
	defer d.close()
	d.lookForPepper(t.Context())
	if w := d.pepperWarning(); len(w) > 0 {
		t.Errorf("it warns of %v", w)
	}
	const kind = "$peppered$$2a$05$....................................................."
	if err := d.store.AnnounceHashKind(t.Context(), kind, time.Now()); err != nil {
		t.Fatal(err)
	}
	for range 2 {
		d.lookForPepper(t.Context())
	}
	if w := d.pepperWarning(); len(w) != 1 || strings.Count(said.String(), "pepper_file") != 1 {
		t.Errorf("it warns of %v and said %s", w, said.String())
	}
	if err := d.store.ForgetHashKind(t.Context(), kind, time.Now().Add(time.Hour)); err != nil {
		t.Fatal(err)
	}
	if d.lookForPepper(t.Context()); len(d.pepperWarning()) > 0 {
		t.Error("it warns still")
	}
}

// TestT1_AWrongMinutePurgesNothing has a server sweep while its clock is 45 days
// ahead, and one that was started so: sessions, denied tokens, spent assertions (which
// are denied too) and counters of failures are there when it is right again. One that is
// two hours behind purges nothing that was made by it.
func TestT1_AWrongMinutePurgesNothing(t *testing.T) {
	t.Chdir(t.TempDir())
	t.Cleanup(func() { wallClock = time.Now })
	d := openHere(t, t.Output())
	defer d.close()
	start := func() *services {
		if err := d.steadily(t.Context(), nil); err != nil {
			t.Fatal(err)
		}
		s, err := d.services(d.cfg.Issuer)
		if err != nil {
			t.Fatal(err)
		}
		return s
	}
	now := time.Now()
	expired, live := oauth.Family{ID: "expired", PurgeAt: now.Add(-time.Hour)}, oauth.Family{ID: "live", PurgeAt: now.Add(30 * 24 * time.Hour)}
	denyErr := d.store.DenyToken(t.Context(), oauth.DeniedToken{JTI: "spent", ExpireAt: now.Add(time.Hour)})
	_, countErr := d.store.AddCount(t.Context(), "failures", 7, now.Add(time.Hour))
	if err := errors.Join(d.store.Put(t.Context(), store.Records{Families: []oauth.Family{expired, live}}), denyErr, countErr); err != nil {
		t.Fatal(err)
	}
	s := start()
	wallClock = func() time.Time { return time.Now().Add(45 * 24 * time.Hour).Round(0) }
	d.sweep(t.Context(), s)
	d.keepTime(t.Context())
	d.sweep(t.Context(), start())
	wallClock = func() time.Time { return time.Now().Add(-2 * time.Hour).Round(0) }
	s = start()
	// Of a token that was made meanwhile, and lives for an hour.
	if err := d.store.DenyToken(t.Context(), oauth.DeniedToken{JTI: "behind", ExpireAt: wallClock().Add(time.Hour)}); err != nil {
		t.Fatal(err)
	}
	d.sweep(t.Context(), s)
	if denied, err := d.store.TokenDenied(t.Context(), "behind"); err != nil || !denied {
		t.Errorf("what was denied while the clock was behind: %t, %v", denied, err)
	}
	wallClock = time.Now
	_, liveErr := d.store.FamilyByID(t.Context(), "live")
	denied, deniedErr := d.store.TokenDenied(t.Context(), "spent")
	counts, countsErr := d.store.Counts(t.Context(), []string{"failures"})
	if err := errors.Join(liveErr, deniedErr, countsErr); err != nil || !denied || len(counts) != 1 || counts[0] != 7 {
		t.Errorf("after the wrong minute: %v; denied %t, counts %v", err, denied, counts)
	}
	if _, err := d.store.FamilyByID(t.Context(), "expired"); err == nil {
		t.Error("what had expired before it was not swept")
	}
}

// TestT1_ACopyBelievesNoWrongClock starts the first server on a copy, which has no time
// stored, with a clock that is 45 days ahead of the last that the copy knows of.
func TestT1_ACopyBelievesNoWrongClock(t *testing.T) {
	t.Chdir(t.TempDir())
	d := openHere(t, t.Output())
	defer d.close()
	const ahead = 45 * 24 * time.Hour
	head := audit.Anchor{Chain: "copied", Seq: 7, At: time.Now().Add(-ahead)}
	if err := errors.Join(d.store.SetAnchor(t.Context(), head), d.steadily(t.Context(), nil)); err != nil || d.clock.Offset() != 0 {
		t.Errorf("a store without keys has been served: %v, %v", d.clock.Offset(), err)
	}
	err := d.store.Put(t.Context(), store.Records{Keys: []keys.Record{{KID: "k", Alg: "ES256", CreatedAt: head.At}}})
	if err := errors.Join(err, d.steadily(t.Context(), nil)); err != nil || d.clock.Offset() < ahead {
		t.Errorf("the clock is taken to be off by %v, %v", d.clock.Offset(), err)
	}
	if past := d.past(); time.Until(past) > time.Hour-ahead {
		t.Errorf("what had expired by %v would be deleted", past)
	}
}

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
