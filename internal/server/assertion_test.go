package server_test

import (
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"encoding/json"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"time"

	"github.com/go-jose/go-jose/v4"
	"github.com/go-jose/go-jose/v4/jwt"

	"github.com/keyturn/keyturn/internal/audit"
	"github.com/keyturn/keyturn/internal/clients"
)

const assertionType = "urn:ietf:params:oauth:client-assertion-type:jwt-bearer"

// signer is the key of a client.
type signer struct {
	key *ecdsa.PrivateKey
	kid string
}

func newSigner(t testing.TB, kid string) signer {
	t.Helper()
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	must(t, err)
	return signer{key, kid}
}

func (s signer) jwks(t testing.TB) string {
	t.Helper()
	text, err := json.Marshal(jose.JSONWebKeySet{Keys: []jose.JSONWebKey{{Key: &s.key.PublicKey, KeyID: s.kid, Algorithm: "ES256"}}})
	must(t, err)
	return string(text)
}

type claims map[string]any

// assertion are the claims of a good assertion of the client reports.
func assertion() claims {
	return claims{
		"iss": "reports", "sub": "reports", "aud": issuer, "jti": rand.Text(),
		"iat": time.Now().Unix(), "exp": time.Now().Add(time.Minute).Unix(),
	}
}

// with is c with one claim changed, or left out if the value is nil.
func (c claims) with(name string, value any) claims {
	if value == nil {
		delete(c, name)
	} else {
		c[name] = value
	}
	return c
}

func (s signer) sign(t testing.TB, c claims, header map[jose.HeaderKey]any) string {
	t.Helper()
	o := (&jose.SignerOptions{ExtraHeaders: header})
	by, err := jose.NewSigner(jose.SigningKey{Algorithm: jose.ES256, Key: jose.JSONWebKey{Key: s.key, KeyID: s.kid}}, o)
	must(t, err)
	text, err := jwt.Signed(by).Claims(map[string]any(c)).Serialize()
	must(t, err)
	return text
}

// addReports registers a client that authenticates with s.
func (w *world) addReports(s signer) {
	w.t.Helper()
	c := &clients.Registry{Store: w.store, Audit: w.audit, AccessTTL: time.Hour, Now: time.Now}
	_, secret, err := c.Add(w.t.Context(), clients.Client{ID: "reports", Grants: []string{"client_credentials"}, JWKS: s.jwks(w.t)})
	must(w.t, err)
	if secret != "" {
		w.t.Error("a client with keys was given a secret")
	}
	if w.journal != nil {
		w.journal.take()
	}
}

// postAs posts a form without any header of a client.
func (w *world) postAs(path string, v values) *httptest.ResponseRecorder {
	r := httptest.NewRequest("POST", path, strings.NewReader(v.Encode()))
	r.Header.Set("Content-Type", "application/x-www-form-urlencoded")
	return w.serve(r)
}

func asserted(assertion string, more ...string) values {
	v := values{"grant_type": {"client_credentials"}, "client_assertion_type": {assertionType}, "client_assertion": {assertion}}
	for i := 0; i < len(more); i += 2 {
		v.Set(more[i], more[i+1])
	}
	return v
}

func TestClientAssertionsAccepted(t *testing.T) {
	w, s := newWorld(t), newSigner(t, "k1")
	w.addReports(s)
	now := time.Now().Unix()
	for name, text := range map[string]string{
		"issuer as audience":     s.sign(t, assertion(), nil),
		"typ JWT":                s.sign(t, assertion(), map[jose.HeaderKey]any{"typ": "JWT"}),
		"typ of its own":         s.sign(t, assertion(), map[jose.HeaderKey]any{"typ": "client-authentication+jwt"}),
		"no kid":                 signer{s.key, ""}.sign(t, assertion(), nil),
		"no iat":                 s.sign(t, assertion().with("iat", nil), nil),
		"an hour":                s.sign(t, assertion().with("exp", now+3600), nil),
		"a clock that is behind": s.sign(t, assertion().with("iat", now-25).with("exp", now-20), nil),
		"a clock that is ahead":  s.sign(t, assertion().with("iat", now+20).with("nbf", now+20), nil),
	} {
		if rec := w.postAs("/oauth/token", asserted(text)); rec.Code != 200 {
			t.Errorf("%s: %d %s", name, rec.Code, rec.Body)
		}
	}
	at, both := assertion().with("aud", issuer+"/oauth/token"), assertion().with("aud", []string{issuer, issuer + "/oauth/token"})
	for name, c := range map[string]claims{"the token endpoint": at, "both": both} {
		if rec := w.postAs("/oauth/token", asserted(s.sign(t, c, nil))); rec.Code != 401 {
			t.Errorf("%s as audience, which the client is not registered for: %d %s", name, rec.Code, rec.Body)
		}
	}
	_, err := (&clients.Registry{Store: w.store, Audit: w.audit, AccessTTL: time.Hour, Now: time.Now}).Update(t.Context(), "reports",
		func(c *clients.Client) { c.TokenEndpointAudience = true })
	must(t, err)
	for name, c := range map[string]claims{"the token endpoint": at, "both": both} {
		if rec := w.postAs("/oauth/token", asserted(s.sign(t, c.with("jti", name), nil))); rec.Code != 200 {
			t.Errorf("%s as audience, which the client is registered for: %d %s", name, rec.Code, rec.Body)
		}
	}
	if rec := w.postAs("/oauth/token", asserted(s.sign(t, assertion(), nil), "client_id", "reports")); rec.Code != 200 {
		t.Errorf("with its client_id: %d %s", rec.Code, rec.Body)
	}
	access := read[tokens](t, w.postAs("/oauth/token", asserted(s.sign(t, assertion(), nil))), 200).Access
	about := values{"token": {access}, "client_assertion_type": {assertionType}, "client_assertion": {s.sign(t, assertion(), nil)}}
	if got := read[struct{ Active bool }](t, w.postAs("/oauth/introspect", about), 200); !got.Active {
		t.Error("introspection with an assertion: not active")
	}
	about.Set("client_assertion", s.sign(t, assertion(), nil))
	if rec := w.postAs("/oauth/revoke", about); rec.Code != 200 {
		t.Errorf("revocation with an assertion: %d %s", rec.Code, rec.Body)
	}
}

func TestClientAssertionsRefused(t *testing.T) {
	w, s := newWorld(t), newSigner(t, "k1")
	w.addReports(s)
	other := newSigner(t, "k1")
	now := time.Now().Unix()
	good := func() string { return s.sign(t, assertion(), nil) }
	hmac, err := jose.NewSigner(jose.SigningKey{Algorithm: jose.HS256, Key: []byte(s.jwks(t))}, nil)
	must(t, err)
	symmetric, err := jwt.Signed(hmac).Claims(map[string]any(assertion())).Serialize()
	must(t, err)
	cases := map[string]struct {
		form   values
		status int
		reason string
	}{
		"foreign key":          {asserted(other.sign(t, assertion(), nil)), 401, "wrong_assertion_key"},
		"unknown kid":          {asserted(signer{s.key, "k2"}.sign(t, assertion(), nil)), 401, "wrong_assertion_key"},
		"HMAC":                 {asserted(symmetric), 401, "malformed_assertion"},
		"no signature":         {asserted("eyJhbGciOiJub25lIn0.e30."), 401, "malformed_assertion"},
		"no JWT":               {asserted("x"), 401, "malformed_assertion"},
		"huge":                 {asserted(strings.Repeat("x", 9<<10)), 401, "malformed_assertion"},
		"typ of access tokens": {asserted(s.sign(t, assertion(), map[jose.HeaderKey]any{"typ": "at+jwt"})), 401, "malformed_assertion"},
		"unknown crit":         {asserted(s.sign(t, assertion(), map[jose.HeaderKey]any{"crit": []string{"x"}, "x": 1})), 401, "malformed_assertion"},
		"empty crit":           {asserted(s.sign(t, assertion(), map[jose.HeaderKey]any{"crit": []string{}})), 401, "malformed_assertion"},
		"a line break":         {asserted(good()[:40] + "\r\n" + good()[40:]), 401, "malformed_assertion"},
		"names in two cases":   {asserted(s.sign(t, assertion().with("Sub", "shop"), nil)), 401, "malformed_assertion"},
		"a typ of null":        {asserted(s.sign(t, assertion(), map[jose.HeaderKey]any{"typ": nil})), 401, "malformed_assertion"},
		"a kid of null":        {asserted(signer{s.key, ""}.sign(t, assertion(), map[jose.HeaderKey]any{"kid": nil})), 401, "malformed_assertion"},
		"an iat of null":       {asserted(s.sign(t, assertion().with("iat", json.RawMessage("null")), nil)), 401, "malformed_assertion"},
		"an nbf of null":       {asserted(s.sign(t, assertion().with("nbf", json.RawMessage("null")), nil)), 401, "malformed_assertion"},
		"iss is not sub":       {asserted(s.sign(t, assertion().with("sub", "shop"), nil)), 401, "malformed_assertion"},
		"another client":       {asserted(s.sign(t, assertion().with("sub", "shop").with("iss", "shop"), nil)), 401, "client_without_keys"},
		"unknown client":       {asserted(s.sign(t, assertion().with("sub", "x").with("iss", "x"), nil)), 401, "unknown_client"},
		"public client":        {asserted(s.sign(t, assertion().with("sub", "page").with("iss", "page"), nil)), 401, "secret_of_public_client"},
		"no client":            {asserted(s.sign(t, assertion().with("sub", nil).with("iss", nil), nil)), 401, "malformed_client_id"},
		"foreign audience":     {asserted(s.sign(t, assertion().with("aud", "https://evil.example"), nil)), 401, "assertion_audience"},
		"one foreign audience": {asserted(s.sign(t, assertion().with("aud", []string{issuer, "https://evil.example"}), nil)), 401, "assertion_audience"},
		"no audience":          {asserted(s.sign(t, assertion().with("aud", nil), nil)), 401, "assertion_audience"},
		"no jti":               {asserted(s.sign(t, assertion().with("jti", nil), nil)), 401, "assertion_jti"},
		"long jti":             {asserted(s.sign(t, assertion().with("jti", strings.Repeat("x", 513)), nil)), 401, "assertion_jti"},
		"no exp":               {asserted(s.sign(t, assertion().with("exp", nil), nil)), 401, "assertion_lifetime"},
		"a long life":          {asserted(s.sign(t, assertion().with("exp", now+3700), nil)), 401, "assertion_lifetime"},
		"expired":              {asserted(s.sign(t, assertion().with("exp", now-40), nil)), 401, "assertion_expired"},
		"not yet":              {asserted(s.sign(t, assertion().with("nbf", now+60), nil)), 401, "assertion_early"},
		"made in the future":   {asserted(s.sign(t, assertion().with("iat", now+60), nil)), 401, "assertion_early"},
		"another type":         {asserted(good(), "client_assertion_type", "saml"), 400, "assertion_type"},
		"type alone":           {asserted(""), 400, "no_assertion"},
		"with a secret too":    {asserted(good(), "client_secret", "x"), 400, "two_client_methods"},
		"another client_id":    {asserted(good(), "client_id", "shop"), 400, "two_clients"},
		"its id alone":         {values{"grant_type": {"client_credentials"}, "client_id": {"reports"}}, 401, "no_assertion"},
		"its id and a secret":  {values{"grant_type": {"client_credentials"}, "client_id": {"reports"}, "client_secret": {w.secret}}, 401, "no_assertion"},
	}
	for name, c := range cases {
		w.journal.take()
		rec := w.postAs("/oauth/token", c.form)
		events := w.journal.take()
		if rec.Code != c.status || len(events) != 1 || events[0].Reason.String() != c.reason || events[0].Action != audit.TokenRefused {
			t.Errorf("%s: %d %s, events %+v; want %d and the reason %s", name, rec.Code, rec.Body, events, c.status, c.reason)
		}
		code := "invalid_client"
		if c.status == 400 {
			code = "invalid_request"
		}
		if got := read[struct{ Error string }](t, rec, c.status); got.Error != code {
			t.Errorf("%s: the error is %s; want %s", name, got.Error, code)
		}
	}
	header := httptest.NewRequest("POST", "/oauth/token", strings.NewReader(asserted(good()).Encode()))
	header.Header.Set("Content-Type", "application/x-www-form-urlencoded")
	header.SetBasicAuth("shop", w.secret)
	if rec := w.serve(header); rec.Code != 400 {
		t.Errorf("with a header too: %d %s", rec.Code, rec.Body)
	}
	w.disableClient("reports")
	if rec := w.postAs("/oauth/token", asserted(good())); rec.Code != 401 {
		t.Errorf("of a disabled client: %d %s", rec.Code, rec.Body)
	}
}

// TestAMalformedAssertionNamesWhomItClaims has the events of assertions that cannot
// be read tell which client is claimed, as a claim and not as the event's client.
func TestAMalformedAssertionNamesWhomItClaims(t *testing.T) {
	w, s := newWorld(t), newSigner(t, "k1")
	w.addReports(s)
	foreign := s.sign(t, assertion().with("sub", "shop"), nil)
	for name, c := range map[string]struct {
		form   values
		detail string
	}{
		"its iss":           {asserted(foreign), "claims to be the client reports"},
		"an iss that lies":  {asserted(s.sign(t, assertion().with("iss", "x y").with("sub", "shop"), nil)), "claims to be the client x y"},
		"its client_id":     {asserted("x", "client_id", "reports"), "claims to be the client reports"},
		"nobody":            {asserted("x"), ""},
		"not a client's id": {asserted("x", "client_id", "a\nb"), ""},
	} {
		w.postAs("/oauth/token", c.form)
		events := w.journal.take()
		if len(events) != 1 || events[0].Reason.String() != "malformed_assertion" || events[0].Detail != c.detail || events[0].ClientID != "" {
			t.Errorf("%s: events %+v; want one of malformed_assertion, the detail %q, without a client", name, events, c.detail)
		}
	}
}

// TestClientAssertionCountsOnce presents one assertion to two replicas, in a
// race and later.
func TestClientAssertionCountsOnce(t *testing.T) {
	w, s := newWorld(t), newSigner(t, "k1")
	w.addReports(s)
	handlers := []http.Handler{w.handler, w.build()}
	form := asserted(s.sign(t, assertion(), nil)).Encode()
	codes := make(chan int, 20)
	for i := range cap(codes) {
		go func() {
			r := httptest.NewRequest("POST", "/oauth/token", strings.NewReader(form))
			r.Header.Set("Content-Type", "application/x-www-form-urlencoded")
			rec := httptest.NewRecorder()
			handlers[i%2].ServeHTTP(rec, r)
			codes <- rec.Code
		}()
	}
	count := map[int]int{}
	for range cap(codes) {
		count[<-codes]++
	}
	if count[200] != 1 || count[401] != 19 {
		t.Errorf("one assertion, presented 20 times: %v; want one 200 and 401 otherwise", count)
	}
	reason := ""
	for _, e := range w.journal.take() {
		if e.Outcome == audit.Failure {
			reason = e.Reason.String()
		}
	}
	if reason != "assertion_replayed" {
		t.Errorf("the reason is %q", reason)
	}
	// Another client's jti is another.
	again := assertion().with("jti", "same")
	if rec := w.postAs("/oauth/token", asserted(s.sign(t, again, nil))); rec.Code != 200 {
		t.Errorf("%d %s", rec.Code, rec.Body)
	}
}

func TestUpdatedClientKeysReplaceTheOld(t *testing.T) {
	w, old, next := newWorld(t), newSigner(t, "k1"), newSigner(t, "k2")
	w.addReports(old)
	c := &clients.Registry{Store: w.store, Audit: w.audit, AccessTTL: time.Hour, Now: time.Now}
	_, err := c.Update(t.Context(), "reports", func(c *clients.Client) { c.JWKS = next.jwks(t) })
	must(t, err)
	for status, s := range map[int]signer{401: old, 200: next} {
		if rec := w.postAs("/oauth/token", asserted(s.sign(t, assertion(), nil))); rec.Code != status {
			t.Errorf("%s: %d, want %d", s.kid, rec.Code, status)
		}
	}
	// A client that had a secret loses it with its first key.
	_, err = c.Update(t.Context(), "shop", func(c *clients.Client) { c.JWKS = next.jwks(t) })
	must(t, err)
	if rec := w.post("/oauth/token", values{"grant_type": {"client_credentials"}}); rec.Code != 401 {
		t.Errorf("the old secret: %d, want 401", rec.Code)
	}
	shop, err := w.store.ClientByID(t.Context(), "shop")
	if err != nil || shop.SecretHash != nil {
		t.Errorf("the secret is still stored: %v", err)
	}
	if _, err := c.RotateSecret(t.Context(), "shop"); err == nil {
		t.Error("a client with keys was given a secret")
	}
}

// TestClientAssertionsAtRefresh has the step that moves a session on, which
// reads the client itself, take assertions as seriously as any other.
func TestClientAssertionsAtRefresh(t *testing.T) {
	w, s := newWorld(t), newSigner(t, "k1")
	w.update(func(c *clients.Client) { c.JWKS = s.jwks(t) })
	by := func(s signer, v values) values {
		v.Set("client_assertion_type", assertionType)
		v.Set("client_assertion", s.sign(t, assertion().with("iss", "shop").with("sub", "shop"), nil))
		return v
	}
	session := read[tokens](t, w.postAs("/oauth/token", by(s, login())), 200)
	if rec := w.postAs("/oauth/token", by(newSigner(t, "k1"), refresh(session.Refresh))); rec.Code != 401 {
		t.Errorf("with a foreign key: %d %s", rec.Code, rec.Body)
	}
	if rec := w.post("/oauth/token", refresh(session.Refresh)); rec.Code != 401 {
		t.Errorf("with the secret that it had: %d %s", rec.Code, rec.Body)
	}
	form := by(s, refresh(session.Refresh))
	next := read[tokens](t, w.postAs("/oauth/token", form), 200)
	if rec := w.postAs("/oauth/token", form); rec.Code != 401 {
		t.Errorf("with an assertion that was used: %d %s", rec.Code, rec.Body)
	}
	// A lost answer is asked for again with a fresh assertion (F2).
	if again := read[tokens](t, w.postAs("/oauth/token", by(s, refresh(session.Refresh))), 200); again.Refresh != next.Refresh {
		t.Error("a retry got another successor")
	}
}
