package wellknown

import (
	"context"
	"encoding/json"
	"errors"
	"net/http"
	"net/http/httptest"
	"reflect"
	"strconv"
	"strings"
	"testing"
	"time"

	jose "github.com/go-jose/go-jose/v4"

	"github.com/keyturn/keyturn/internal/audit"
	"github.com/keyturn/keyturn/keys"
)

var start = time.Date(2026, 11, 1, 12, 0, 0, 0, time.UTC)

// keyStore keeps what one Keeper creates and changes.
type keyStore struct {
	records []keys.Record
	down    bool
}

func (s *keyStore) Keys(context.Context) ([]keys.Record, error) {
	if s.down {
		return nil, errors.New("store is down")
	}
	return append([]keys.Record(nil), s.records...), nil
}

func (s *keyStore) ArchivedKeys(context.Context) ([]keys.Record, error) { return nil, nil }

func (s *keyStore) CreateKey(_ context.Context, r keys.Record) error {
	s.records = append(s.records, r)
	return nil
}

func (s *keyStore) UpdateKey(_ context.Context, r keys.Record) error {
	for i := range s.records {
		if s.records[i].KID == r.KID {
			r.Version++
			s.records[i] = r
			return nil
		}
	}
	return keys.ErrNoKey
}

type discard struct{}

func (discard) Record(context.Context, audit.Event) error { return nil }

// server is a Keeper with its clock and the two handlers.
type server struct {
	keeper   *keys.Keeper
	store    *keyStore
	now      time.Time
	jwks     *JWKS
	metadata *Metadata
}

func testConfig(r *keys.Ring) Config {
	return Config{
		Issuer: "https://login.example.com", Grants: []string{"password", "refresh_token"},
		Scopes: []string{"openid", "email"}, Claims: []string{"sub", "email"},
		ResponseModes: []string{"query"}, Prompts: []string{"none", "login"}, Locales: []string{"en"},
		ClientAuth: []string{"client_secret_basic", "client_secret_post"},
		Published:  r.Published,
	}
}

func newServer(t testing.TB) *server {
	t.Helper()
	line, err := keys.NewMaster()
	if err != nil {
		t.Fatal(err)
	}
	masters, err := keys.ParseMasters([]byte(line))
	if err != nil {
		t.Fatal(err)
	}
	s := &server{store: &keyStore{}, now: start}
	clock := func() time.Time { return s.now }
	s.keeper, err = keys.NewKeeper(keys.Options{
		Store: s.store, Vault: masters.Vault(), Audit: discard{}, Now: clock,
		Policy: keys.Policy{
			Algs: []string{keys.ES256}, Interval: time.Hour, Lead: 10 * time.Minute, Poll: 15 * time.Second,
			Skew: 5 * time.Second, MaxAge: 5 * time.Minute, TokenTTL: 20 * time.Minute,
		},
	})
	if err != nil {
		t.Fatal(err)
	}
	s.jwks = NewJWKS(s.keeper.Ring())
	if s.metadata, err = NewMetadata(testConfig(s.keeper.Ring())); err != nil {
		t.Fatal(err)
	}
	return s
}

func (s *server) poll(t testing.TB) {
	t.Helper()
	if err := s.keeper.Poll(context.Background()); err != nil {
		t.Fatal(err)
	}
}

func ask(h http.Handler, method string, ifNoneMatch ...string) *httptest.ResponseRecorder {
	r := httptest.NewRequest(method, "/", nil)
	r.Header["If-None-Match"] = ifNoneMatch
	w := httptest.NewRecorder()
	h.ServeHTTP(w, r)
	return w
}

func TestJWKS(t *testing.T) {
	s := newServer(t)
	s.poll(t)
	w := ask(s.jwks, http.MethodGet)
	want := map[string]string{
		"Content-Type": "application/json", "Cache-Control": "public, max-age=300, stale-if-error=3600",
	}
	for name, value := range want {
		if got := w.Header().Get(name); w.Code != http.StatusOK || got != value {
			t.Errorf("%d, %s: %q, want %q", w.Code, name, got, value)
		}
	}
	var set jose.JSONWebKeySet
	if err := json.Unmarshal(w.Body.Bytes(), &set); err != nil || len(set.Keys) != 2 {
		t.Fatalf("%d keys, %v", len(set.Keys), err)
	}
	for i, key := range set.Keys {
		if !key.IsPublic() || key.Use != "sig" || key.Algorithm != keys.ES256 || key.KeyID != s.store.records[i].KID {
			t.Errorf("key %d: %+v", i, key)
		}
	}
}

func TestJWKSChangesWithTheKeysAndOnlyThen(t *testing.T) {
	s := newServer(t)
	s.poll(t)
	first := ask(s.jwks, http.MethodGet)
	s.now = s.now.Add(15 * time.Second)
	s.poll(t)
	again := ask(s.jwks, http.MethodGet)
	if first.Body.String() != again.Body.String() || first.Header().Get("Etag") != again.Header().Get("Etag") {
		t.Error("the same keys, another document")
	}
	if err := s.keeper.Revoke(context.Background(), s.store.records[0].KID, "stolen"); err != nil {
		t.Fatal(err)
	}
	s.poll(t)
	after := ask(s.jwks, http.MethodGet, first.Header().Get("Etag"))
	if after.Code != http.StatusOK || strings.Contains(after.Body.String(), s.store.records[0].KID) {
		t.Errorf("%d: a revoked key is still served", after.Code)
	}
}

// Neither the key set nor the algorithms in the metadata may be kept for longer than
// the replica can know them.
func TestCacheLifeWhenTheStoreIsLost(t *testing.T) {
	s := newServer(t)
	s.poll(t)
	s.store.down = true
	for _, c := range []struct {
		after time.Duration
		want  string
	}{
		{4*time.Minute + 55*time.Second, "max-age=300,"},
		{4*time.Minute + 55*time.Second + time.Millisecond, "max-age=299,"},
		{9 * time.Minute, "max-age=55,"},
		{time.Hour, "max-age=0,"},
	} {
		s.now = start.Add(c.after)
		for name, h := range map[string]http.Handler{"jwks": s.jwks, "metadata": s.metadata} {
			if got := ask(h, http.MethodGet).Header().Get("Cache-Control"); !strings.Contains(got, c.want) {
				t.Errorf("after %v, %s: %s, want %s", c.after, name, got, c.want)
			}
		}
	}
}

func TestK3_EmptySetIsNeverServed(t *testing.T) {
	s := newServer(t)
	for _, h := range []http.Handler{s.jwks, s.metadata} {
		for _, method := range []string{http.MethodGet, http.MethodHead} {
			w := ask(h, method, "*")
			if w.Code != http.StatusServiceUnavailable || w.Header().Get("Retry-After") == "" ||
				w.Header().Get("Content-Type") != "application/problem+json" || w.Header().Get("Cache-Control") != "no-store" {
				t.Errorf("%s: %d %v", method, w.Code, w.Header())
			}
			var problem struct {
				Type   string
				Status int
			}
			if json.Unmarshal(w.Body.Bytes(), &problem) != nil || problem.Status != 503 || !strings.Contains(problem.Type, "/problems.md#") {
				t.Errorf("body %s", w.Body)
			}
		}
	}
}

func TestConditionalRequests(t *testing.T) {
	s := newServer(t)
	s.poll(t)
	for name, h := range map[string]http.Handler{"jwks": s.jwks, "metadata": s.metadata} {
		full := ask(h, http.MethodGet)
		tag := full.Header().Get("Etag")
		if !strings.HasPrefix(tag, `"`) || !strings.HasSuffix(tag, `"`) || len(tag) < 20 {
			t.Fatalf("%s: ETag %s is not a strong one", name, tag)
		}
		for _, c := range []struct {
			header []string
			want   int
		}{
			{nil, 200},
			{[]string{""}, 200},
			{[]string{`"other"`}, 200},
			{[]string{strings.Trim(tag, `"`)}, 200},
			{[]string{tag}, 304},
			{[]string{"W/" + tag}, 304},
			{[]string{"*"}, 304},
			{[]string{`"a, b" , W/"c",` + tag}, 304},
			{[]string{`"a"`, tag}, 304},
		} {
			for _, method := range []string{http.MethodGet, http.MethodHead} {
				w := ask(h, method, c.header...)
				if w.Code != c.want || w.Header().Get("Etag") != tag || w.Header().Get("Cache-Control") == "" {
					t.Errorf("%s: %s with %q: %d, %v", name, method, c.header, w.Code, w.Header())
				}
				empty := c.want == 304 || method == http.MethodHead
				if empty != (w.Body.Len() == 0) {
					t.Errorf("%s: %s with %q: body of %d bytes", name, method, c.header, w.Body.Len())
				}
			}
		}
		get, head := served(t, h, http.MethodGet), served(t, h, http.MethodHead)
		if !reflect.DeepEqual(head, get) || get.Get("Content-Length") != strconv.Itoa(full.Body.Len()) {
			t.Errorf("%s: HEAD %v, GET %v; the document has %d bytes", name, head, get, full.Body.Len())
		}
	}
}

// served returns the headers that a client gets of a handler behind net/http, which
// writes some itself, but the date.
func served(t *testing.T, h http.Handler, method string) http.Header {
	t.Helper()
	srv := httptest.NewServer(h)
	defer srv.Close()
	r, err := http.NewRequestWithContext(t.Context(), method, srv.URL, nil)
	if err != nil {
		t.Fatal(err)
	}
	resp, err := srv.Client().Do(r)
	if err != nil {
		t.Fatal(err)
	}
	resp.Body.Close()
	resp.Header.Del("Date")
	return resp.Header
}

// TestContentLength serves documents of lengths about that up to which net/http
// counts by itself: none may come in chunks.
func TestContentLength(t *testing.T) {
	for _, length := range []int{0, 1, counted - 1, counted, counted + 1, 3 * counted} {
		h := NewStatic(make([]byte, length), "application/json", time.Hour)
		for _, method := range []string{http.MethodGet, http.MethodHead} {
			if got := served(t, h, method).Get("Content-Length"); got != strconv.Itoa(length) {
				t.Errorf("%s: Content-Length %q, want %d", method, got, length)
			}
		}
	}
}

func TestMetadata(t *testing.T) {
	s := newServer(t)
	s.poll(t)
	want := `{"issuer":"https://login.example.com",` +
		`"authorization_endpoint":"https://login.example.com/oauth/authorize",` +
		`"token_endpoint":"https://login.example.com/oauth/token",` +
		`"pushed_authorization_request_endpoint":"https://login.example.com/oauth/par",` +
		`"revocation_endpoint":"https://login.example.com/oauth/revoke",` +
		`"introspection_endpoint":"https://login.example.com/oauth/introspect",` +
		`"userinfo_endpoint":"https://login.example.com/oauth/userinfo",` +
		`"end_session_endpoint":"https://login.example.com/oauth/logout",` +
		`"backchannel_logout_supported":true,"backchannel_logout_session_supported":true,` +
		`"jwks_uri":"https://login.example.com/.well-known/jwks.json",` +
		`"response_types_supported":["code"],` +
		`"response_modes_supported":["query"],` +
		`"code_challenge_methods_supported":["S256"],` +
		`"prompt_values_supported":["none","login"],` +
		`"ui_locales_supported":["en"],` +
		`"authorization_response_iss_parameter_supported":true,` +
		`"request_parameter_supported":false,` +
		`"request_uri_parameter_supported":false,` +
		`"grant_types_supported":["password","refresh_token"],` +
		`"refresh_token_expiration_types_supported":["authorization","token_timeout"],` +
		`"scopes_supported":["openid","email"],` +
		`"claims_supported":["sub","email"],` +
		`"subject_types_supported":["public"],` +
		`"id_token_signing_alg_values_supported":["ES256"],` +
		`"token_endpoint_auth_methods_supported":["client_secret_basic","client_secret_post","none"],` +
		`"revocation_endpoint_auth_methods_supported":["client_secret_basic","client_secret_post","none"],` +
		`"introspection_endpoint_auth_methods_supported":["client_secret_basic","client_secret_post"]}`
	w := ask(s.metadata, http.MethodGet)
	if w.Body.String() != want {
		t.Errorf("got  %s\nwant %s", w.Body, want)
	}
	if got := w.Header().Get("Cache-Control"); got != "public, max-age=300, stale-if-error=3600" {
		t.Errorf("Cache-Control: %s", got)
	}
}

func TestMetadataAdvertisesOnlyWhatWorks(t *testing.T) {
	algs := []string{"ES256"}
	c := testConfig(nil)
	c.Published = func() keys.PublishedSet { return keys.PublishedSet{Algs: algs} }
	c.Scopes = []string{"email"}
	m, err := NewMetadata(c)
	if err != nil {
		t.Fatal(err)
	}
	body := ask(m, http.MethodGet).Body.String()
	if strings.Contains(body, "userinfo") || strings.Contains(body, "claims_supported") {
		t.Errorf("advertises UserInfo without the scope openid: %s", body)
	}
	algs = []string{"ES256", "EdDSA"}
	if body := ask(m, http.MethodGet).Body.String(); !strings.Contains(body, `["ES256","EdDSA"]`) {
		t.Errorf("a new algorithm is not there: %s", body)
	}
	for name, change := range map[string]func(*Config){
		"issuer": func(c *Config) { c.Issuer = "" },
		"grants": func(c *Config) { c.Grants = nil },
		"modes":  func(c *Config) { c.ResponseModes = nil },
		"auth":   func(c *Config) { c.ClientAuth = nil },
		"keys":   func(c *Config) { c.Published = nil },
	} {
		bad := c
		change(&bad)
		if _, err := NewMetadata(bad); err == nil {
			t.Errorf("accepted without %s", name)
		}
	}
}

// nowhere is a ResponseWriter that costs nothing.
type nowhere struct{ header http.Header }

func (n nowhere) Header() http.Header         { return n.header }
func (n nowhere) Write(b []byte) (int, error) { return len(b), nil }
func (n nowhere) WriteHeader(int)             {}

func BenchmarkJWKS(b *testing.B) {
	s := newServer(b)
	s.poll(b)
	body := ask(s.jwks, http.MethodGet).Body.Bytes()
	bare := http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
		w.Header().Set("Content-Type", "application/json")
		w.Write(body)
	})
	for _, c := range []struct {
		name    string
		handler http.Handler
	}{{"JWKS", s.jwks}, {"BareHandler", bare}} {
		b.Run(c.name, func(b *testing.B) {
			r := httptest.NewRequest(http.MethodGet, JWKSPath, nil)
			w := nowhere{header: make(http.Header)}
			b.ReportAllocs()
			for b.Loop() {
				c.handler.ServeHTTP(w, r)
			}
		})
	}
}
