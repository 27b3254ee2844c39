package server_test

import (
	"context"
	"encoding/json"
	"errors"
	"io"
	"net/http"
	"net/http/httptest"
	"net/netip"
	"net/url"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/rs/zerolog"

	"github.com/keyturn/keyturn/internal/audit"
	"github.com/keyturn/keyturn/internal/audit/audittest"
	"github.com/keyturn/keyturn/internal/clientip"
	"github.com/keyturn/keyturn/internal/clients"
	"github.com/keyturn/keyturn/internal/decision"
	"github.com/keyturn/keyturn/internal/devices"
	"github.com/keyturn/keyturn/internal/dpop"
	"github.com/keyturn/keyturn/internal/firstparty"
	"github.com/keyturn/keyturn/internal/mail/mailtest"
	"github.com/keyturn/keyturn/internal/pages"
	"github.com/keyturn/keyturn/internal/passwords"
	"github.com/keyturn/keyturn/internal/server"
	"github.com/keyturn/keyturn/internal/store"
	"github.com/keyturn/keyturn/internal/store/sqlite"
	"github.com/keyturn/keyturn/internal/throttle"
	"github.com/keyturn/keyturn/keys"
	"github.com/keyturn/keyturn/oauth"
	"github.com/keyturn/keyturn/users"
	"github.com/keyturn/keyturn/wellknown"
)

const (
	issuer   = "http://localhost:8080"
	email    = "ada@example.com"
	password = "the analytical engine weaves"
	callback = "https://app.example.com/callback?from=keyturn"
)

// journal is an audit log that remembers, and fails when told to. What it takes
// must be in the vocabulary.
type journal struct {
	t      testing.TB
	mu     sync.Mutex
	events []audit.Event
	broken bool
	// quiet is set while what is done belongs to the preparations.
	quiet bool
	// meanwhile is called, if it is set, before an event is taken.
	meanwhile func()
}

func (j *journal) Record(ctx context.Context, e audit.Event) error {
	if err := ctx.Err(); err != nil {
		return err
	}
	if j.meanwhile != nil {
		j.meanwhile()
	}
	j.mu.Lock()
	defer j.mu.Unlock()
	if j.broken {
		return errors.New("no space left on device")
	}
	if err := audittest.Check(e); err != nil {
		j.t.Errorf("%v: %+v", err, e)
	}
	j.events = append(j.events, e)
	return nil
}

func (j *journal) take() []audit.Event {
	j.mu.Lock()
	defer j.mu.Unlock()
	taken := j.events
	j.events = nil
	return taken
}

func (j *journal) breakDown(broken bool) {
	j.mu.Lock()
	defer j.mu.Unlock()
	j.broken = broken
}

// world is a whole server over a real store, without a listener.
type world struct {
	t       testing.TB
	audit   audit.Recorder
	handler http.Handler
	server  *server.Server
	// steadyOff is how far elapsed time is from the clock.
	steadyOff time.Duration
	// wallOff is how wrong the clock is of what issues and judges tokens.
	wallOff time.Duration
	// inside is how many failures the operators were told of.
	inside *atomic.Int64
	// last is what was asked last, by method and path.
	last string
	// needsNonce has proofs need a nonce, from the next build on, and proofClock is how
	// far the clock is off that they are judged by.
	needsNonce bool
	proofClock time.Duration
	// passwordGrantOff switches the password grant off at the next build.
	passwordGrantOff bool
	requireFactor    []string
	// signUpOff closes the sign-up at the next build.
	signUpOff bool
	// deletionGrace is that of the next build.
	deletionGrace time.Duration
	// smtp takes letters, from the next build on, if it is not nil; see mailed.
	smtp    *mailtest.Server
	store   store.Store
	users   *users.Service
	uid     string
	journal *journal
	secret  string
	keeper  *keys.Keeper
	masters *keys.Masters
	// master is the line that masters was read from.
	master string
	// timeout is how long a request may take.
	timeout time.Duration
	// under is what requests are made under, if it is not nil.
	under context.Context
}

func newWorld(t testing.TB) *world {
	j := &journal{t: t}
	w := newWorldWith(t, j)
	w.journal = j
	j.take()
	return w
}

// newWorldWith is a world whose events go to rec.
func newWorldWith(t testing.TB, rec audit.Recorder) *world {
	t.Helper()
	return newWorldOn(t, openSQLite(t), rec)
}

// openSQLite opens an empty store, of tables that were made once: the race
// detector makes a tenth of a second of making them.
func openSQLite(t testing.TB) store.Store {
	t.Helper()
	path := filepath.Join(t.TempDir(), "keyturn.db")
	empty, err := emptySQLite()
	must(t, err)
	must(t, os.WriteFile(path, empty, 0o600))
	s, err := sqlite.Open(t.Context(), path)
	must(t, err)
	t.Cleanup(func() { s.Close() })
	return s
}

var emptySQLite = sync.OnceValues(func() ([]byte, error) {
	dir, err := os.MkdirTemp("", "keyturn")
	if err != nil {
		return nil, err
	}
	defer os.RemoveAll(dir)
	path := filepath.Join(dir, "keyturn.db")
	s, err := sqlite.Open(context.Background(), path)
	if err != nil {
		return nil, err
	}
	if err := s.Close(); err != nil {
		return nil, err
	}
	return os.ReadFile(path)
})

// newWorldOn is a world on an empty store.
func newWorldOn(t testing.TB, s store.Store, rec audit.Recorder) *world {
	t.Helper()
	line, err := keys.NewMaster()
	must(t, err)
	masters, err := keys.ParseMasters([]byte(line))
	must(t, err)
	w := newWorldIn(t, s, rec, masters, masters.Vault(), "ES256", time.Now)
	w.master = line
	return w
}

// newWorldIn is a world whose signing keys are in the vault, by a clock of their own.
func newWorldIn(t testing.TB, s store.Store, rec audit.Recorder, masters *keys.Masters, vault keys.Vault, alg string, now func() time.Time) *world {
	t.Helper()
	w := &world{t: t, store: s, audit: rec, timeout: 10 * time.Second, inside: new(atomic.Int64)}
	var err error
	w.keeper, err = keys.NewKeeper(keys.Options{
		Store: s, Vault: vault, Audit: w.audit, Now: now,
		Policy: keyPolicy(alg),
	})
	must(t, err)
	must(t, w.keeper.Poll(t.Context()))
	w.masters = masters
	w.handler = w.build()
	w.register()
	return w
}

func keyPolicy(alg string) keys.Policy {
	return keys.Policy{Algs: []string{alg}, Interval: 720 * time.Hour, Lead: 24 * time.Hour, Poll: 10 * time.Second, Skew: 30 * time.Second, MaxAge: 15 * time.Minute, TokenTTL: time.Hour}
}

func (w *world) build() http.Handler {
	settings := oauth.Settings{
		Issuer: issuer, Name: "The shop", TokenEndpoint: issuer + "/oauth/token", ClockSkew: 30 * time.Second, AccessTTL: time.Hour, RefreshIdleTTL: 48 * time.Hour, RefreshTTL: 720 * time.Hour, BrowserTTL: 12 * time.Hour, RememberTTL: 720 * time.Hour,
		RetryWindow: clients.RetryWindow(30 * time.Second), PasswordGrant: !w.passwordGrantOff, FirstPartyClient: "shop", RequireFactor: w.requireFactor,
	}
	hasher, err := passwords.NewHasher(passwords.Params{MemoryKiB: 64, Time: 1, Threads: 1}, 2)
	must(w.t, err)
	w.users, err = users.NewService(users.Service{
		Store: w.store, Hasher: hasher, Sessions: oauth.SessionEnder{Store: w.store, Audit: w.audit, Now: time.Now}, Audit: w.audit, Now: time.Now,
	})
	must(w.t, err)
	w.users.DeletionGrace = w.deletionGrace
	w.users.Sealer = w.masters.Sealer(users.SealFactors)
	if w.smtp != nil {
		w.users.Post, w.users.Letters, w.users.Links = w.letters(), throttle.New(w.store, time.Now), w.masters.Sealer(users.SealLinks)
		w.users.Notices, w.users.Devices = users.AllNotices, &devices.Memory{Counters: w.store, Now: time.Now}
	}
	fail := func(_ context.Context, err error) {
		w.inside.Add(1)
		w.t.Log("inside:", err)
	}
	proofClock := w.proofClock
	now := func() time.Time { return time.Now().Add(w.wallOff) }
	o := oauth.NewService(oauth.Options{
		Store: w.store, Families: oauth.NewFamilies(w.store, w.masters, settings, now, func() time.Time { return time.Now().Add(w.steadyOff) }), ClientKeys: clients.NewKeys(nil, time.Now),
		Proofs: dpop.NewChecker(w.masters, w.needsNonce, 30*time.Second, func() time.Time { return time.Now().Add(proofClock) }),
		Users:  w.users, Ring: w.keeper.Ring(),
		Audit: w.audit, Settings: settings, OnError: fail, Now: now,
	})
	shown, err := pages.New(pages.Options{
		Issuer: issuer, OAuth: o, Users: w.users, Recorder: decision.Recorder{Audit: w.audit, OnError: fail}, SignUp: !w.signUpOff, RememberTTL: 720 * time.Hour,
		Brand: pages.Brand{Name: "Engines", Logo: pages.Logo{Body: []byte("<svg xmlns='http://www.w3.org/2000/svg'/>"), Type: "image/svg+xml"}},
	})
	must(w.t, err)
	metadata, err := wellknown.NewMetadata(wellknown.Config{
		Issuer: issuer, Grants: clients.Grants(), Scopes: []string{"openid"}, ResponseModes: oauth.ResponseModes(), ClientAuth: []string{"client_secret_basic"}, Published: w.keeper.Ring().Published,
	})
	must(w.t, err)
	health := &server.Health{Store: w.store.Ping, Keys: func() (string, error) { return "", nil }, OnError: func(string, error) {}}
	w.server = server.New(server.Settings{
		HSTS: true, RequestTimeout: w.timeout, ShutdownTimeout: time.Second, CORSOrigins: []string{"https://app.example.com"},
		Clients: clientip.Finder{Trusted: []netip.Prefix{netip.MustParsePrefix("192.0.2.1/32")}},
	}, server.Handlers{
		OAuth: o, Pages: shown, SignUp: !w.signUpOff, Mail: w.smtp != nil,
		FirstParty: &firstparty.Handlers{OAuth: o, Users: w.users, Recorder: decision.Recorder{Audit: w.audit, OnError: fail}},
		JWKS:       wellknown.NewJWKS(w.keeper.Ring()), Metadata: metadata, Health: health,
	}, server.NewMetrics(), w.audit, zerolog.Nop())
	return w.server.Handler()
}

func (w *world) register() {
	u, err := w.users.Add(w.t.Context(), users.NewUser{Email: email, FirstName: "Ada", Password: password})
	must(w.t, err)
	w.uid = u.UID
	registry := &clients.Registry{Store: w.store, Audit: w.audit, AccessTTL: time.Hour, Now: time.Now}
	_, w.secret, err = registry.Add(w.t.Context(), clients.Client{
		ID: "shop", Grants: clients.Grants(), RedirectURIs: []string{callback}, PostLogoutRedirectURIs: []string{farewell}, Scope: []string{"openid", "email", "profile"}, Audience: []string{"https://api.example.com"},
	})
	must(w.t, err)
	_, _, err = registry.Add(w.t.Context(), clients.Client{
		ID: "native", Public: true, Grants: []string{"authorization_code", "refresh_token"}, Scope: []string{"openid", "email"},
		RedirectURIs: []string{"http://127.0.0.1/callback", "com.example.app:/callback"},
	})
	must(w.t, err)
	_, _, err = registry.Add(w.t.Context(), clients.Client{ID: "page", Public: true, Grants: []string{"password", "refresh_token"}, Scope: []string{"openid"}})
	must(w.t, err)
}

func must(t testing.TB, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}

// post sends a form, with the shop's credentials unless it names a client.
func (w *world) post(path string, form url.Values) *httptest.ResponseRecorder {
	r := httptest.NewRequest("POST", path, strings.NewReader(form.Encode()))
	r.Header.Set("Content-Type", "application/x-www-form-urlencoded")
	if !form.Has("client_id") {
		r.SetBasicAuth("shop", w.secret)
	}
	return w.serve(r)
}

// sendJSON sends a body, with an access token if there is one.
func (w *world) sendJSON(method, path, token string, body any) *httptest.ResponseRecorder {
	var content io.Reader
	if body != nil {
		text, err := json.Marshal(body)
		must(w.t, err)
		content = strings.NewReader(string(text))
	}
	r := httptest.NewRequest(method, path, content)
	r.Header.Set("Content-Type", "application/json")
	if token != "" {
		r.Header.Set("Authorization", "Bearer "+token)
	}
	return w.serve(r)
}

func (w *world) serve(r *http.Request) *httptest.ResponseRecorder {
	w.last = r.Method + " " + template(r.URL.Path)
	rec := httptest.NewRecorder()
	if w.under != nil {
		r = r.WithContext(w.under)
	}
	w.handler.ServeHTTP(rec, r)
	return rec
}

type tokens struct {
	Access  string `json:"access_token"`
	Refresh string `json:"refresh_token"`
}

func (w *world) login() tokens {
	w.t.Helper()
	return read[tokens](w.t, w.post("/oauth/token", url.Values{"grant_type": {"password"}, "username": {email}, "password": {password}}), 200)
}

func read[T any](t testing.TB, rec *httptest.ResponseRecorder, status int) T {
	t.Helper()
	var v T
	if rec.Code != status {
		t.Fatalf("status %d, want %d: %s", rec.Code, status, rec.Body)
	}
	must(t, json.Unmarshal(rec.Body.Bytes(), &v))
	return v
}

// elapse lets d go by on the clock of the test's bubble, and what is due then
// happen. Nobody waits for that: outside a bubble it panics.
func elapse(d time.Duration) {
	synctest.Wait()
	time.Sleep(d)
	synctest.Wait()
}
