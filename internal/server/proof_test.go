package server_test

import (
	"encoding/base64"
	"encoding/json"
	"net/http/httptest"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/keyturn/keyturn/internal/audit"
	"github.com/keyturn/keyturn/internal/clients"
	"github.com/keyturn/keyturn/internal/dpop"
	"github.com/keyturn/keyturn/internal/dpop/dpoptest"
	"github.com/keyturn/keyturn/oauth"
)

// TestF8_ABoundSessionIsRefreshedWithItsKeyAlone presents the tokens of a bound
// session without its key, and with another: each is refused, and nothing is ended.
func TestF8_ABoundSessionIsRefreshedWithItsKeyAlone(t *testing.T) {
	onBothStores(t, func(t *testing.T, w *world) {
		owner, thief := w.holder(), w.holder()
		first := owner.login()
		if first.Type != "DPoP" || first.Refresh == "" || confirmed(t, first.Access) != owner.Thumbprint(t) {
			t.Errorf("the log-in: %+v, bound to %q", first, confirmed(t, first.Access))
		}
		second := read[bound](t, owner.ask("page", refresh(first.Refresh)), 200)
		third := read[bound](t, owner.ask("page", refresh(second.Refresh)), 200)
		if third.Type != "DPoP" || confirmed(t, third.Access) != owner.Thumbprint(t) {
			t.Errorf("a refresh: %+v", third)
		}
		w.journal.take()
		kept := w.written()
		for name, token := range map[string]string{"live": third.Refresh, "just spent": second.Refresh, "spent before": first.Refresh} {
			for by, c := range map[string]struct {
				send         func() *httptest.ResponseRecorder
				code, reason string
			}{
				"nobody's key": {func() *httptest.ResponseRecorder {
					return w.postAs("/oauth/token", refresh(token, "client_id", "page"))
				}, "invalid_dpop_proof", "no_proof"},
				"another's key":    {func() *httptest.ResponseRecorder { return thief.ask("page", refresh(token)) }, "invalid_grant", "foreign_proof_key"},
				"another's client": {func() *httptest.ResponseRecorder { return thief.ask("shop", refresh(token)) }, "invalid_grant", "foreign_proof_key"},
			} {
				rec := c.send()
				if rec.Code != 400 || refusedWith(t, rec) != c.code {
					t.Errorf("the %s token with %s: %d %s; want %s", name, by, rec.Code, rec.Body, c.code)
				}
				events := w.journal.take()
				if len(events) != 1 || events[0].Action != audit.TokenUnproven || events[0].Reason.String() != c.reason || events[0].SessionID == "" || events[0].Previous.At.IsZero() {
					t.Errorf("the %s token with %s: events %+v", name, by, events)
				}
			}
		}
		if w.written() != kept {
			t.Error("a refresh without the session's key has spent its proof")
		}
		// A lost answer is asked for again with a proof of its own (F2).
		if again := read[bound](t, owner.ask("page", refresh(second.Refresh)), 200); again.Refresh != third.Refresh {
			t.Error("a retry got another successor")
		}
		if next := read[bound](t, owner.ask("page", refresh(third.Refresh)), 200); next.Type != "DPoP" {
			t.Error("the session goes on unbound")
		}
		w.journal.take()
		// Who has the key and a token that was spent long ago is two (F3).
		if rec := owner.ask("page", refresh(first.Refresh)); rec.Code != 400 || refusedWith(t, rec) != "invalid_grant" {
			t.Errorf("reuse: %d %s", rec.Code, rec.Body)
		}
		if events := w.journal.take(); len(events) != 1 || events[0].Action != audit.TokenReuse {
			t.Errorf("reuse: events %+v", events)
		}
	})
}

// confirmed is the thumbprint of the key that an access token is bound to.
func confirmed(t testing.TB, token string) string {
	t.Helper()
	payload, err := base64.RawURLEncoding.DecodeString(strings.Split(token, ".")[1])
	must(t, err)
	var claims struct{ Cnf struct{ Jkt string } }
	must(t, json.Unmarshal(payload, &claims))
	return claims.Cnf.Jkt
}

// TestF8_ASessionThatBeganWithoutAKeyStaysWithoutOne: its access tokens alone are
// bound, to the key of each proof.
func TestF8_ASessionThatBeganWithoutAKeyStaysWithoutOne(t *testing.T) {
	w := newWorld(t)
	one, other := w.holder(), w.holder()
	for client, begun := range map[string]*httptest.ResponseRecorder{
		"page": w.serve(w.tokenRequest("page", login())), // public, without a proof
		"shop": one.ask("shop", login()),                 // with a secret (RFC 9449 §5)
	} {
		held := read[bound](t, begun, 200)
		for _, h := range []holder{one, other} {
			next := read[bound](t, h.ask(client, refresh(held.Refresh)), 200)
			if next.Type != "DPoP" || confirmed(t, next.Access) != h.Thumbprint(t) {
				t.Errorf("%s: %+v", client, next)
			}
			held = next
		}
		if last := read[bound](t, w.serve(w.tokenRequest(client, refresh(held.Refresh))), 200); last.Type != "Bearer" || confirmed(t, last.Access) != "" {
			t.Errorf("%s: %+v", client, last)
		}
	}
	own := read[bound](t, one.ask("shop", values{"grant_type": {"client_credentials"}}), 200)
	if own.Type != "DPoP" || confirmed(t, own.Access) != one.Thumbprint(t) {
		t.Errorf("a client's own token: %+v", own)
	}
}

// TestF8_AClientThatMustProveAKey is refused every grant without a proof.
func TestF8_AClientThatMustProveAKey(t *testing.T) {
	w := newWorld(t)
	h := w.holder()
	before := read[bound](t, w.serve(w.tokenRequest("shop", login())), 200)
	for _, id := range []string{"shop", "page"} {
		w.change(id, func(c *clients.Client) { c.DPoPBound = true })
	}
	w.journal.take()
	for name, r := range map[string]struct {
		client string
		form   values
	}{
		"password": {"page", login()}, "of a secret": {"shop", login()},
		"client credentials": {"shop", values{"grant_type": {"client_credentials"}}},
		"refresh":            {"shop", refresh(before.Refresh)},
	} {
		if rec := w.serve(w.tokenRequest(r.client, r.form)); rec.Code != 400 || refusedWith(t, rec) != "invalid_dpop_proof" {
			t.Errorf("%s: %d %s", name, rec.Code, rec.Body)
		}
		if events := w.journal.take(); len(events) != 1 || events[0].Action != audit.TokenRefused || events[0].Reason.String() != "no_proof" {
			t.Errorf("%s: events %+v", name, events)
		}
		if rec := h.ask(r.client, r.form); rec.Code != 200 {
			t.Errorf("%s, with a proof: %d %s", name, rec.Code, rec.Body)
		}
		w.journal.take()
	}
}

// badProof is a proof that is refused, made for a request.
type badProof struct {
	name    string
	headers func(h holder, c dpoptest.Claims) []string
	code    string
	reason  string
}

func badProofs() []badProof {
	saying := func(name string, value any) func(holder, dpoptest.Claims) []string {
		return func(h holder, c dpoptest.Claims) []string {
			return []string{h.Prove(h.w.t, dpoptest.With(c, name, value))}
		}
	}
	headed := func(name string, value func(h holder) any) func(holder, dpoptest.Claims) []string {
		return func(h holder, c dpoptest.Claims) []string {
			return []string{h.Sign(h.w.t, dpoptest.With(h.Header(h.w.t), name, value(h)), c)}
		}
	}
	about := func(change func(url string) string) func(holder, dpoptest.Claims) []string {
		return func(h holder, c dpoptest.Claims) []string {
			return saying("htu", change(c["htu"].(string)))(h, c)
		}
	}
	const invalid = "invalid_dpop_proof"
	return []badProof{
		{"two headers", func(h holder, c dpoptest.Claims) []string {
			return []string{h.Prove(h.w.t, c), h.Prove(h.w.t, dpoptest.With(c, "jti", "another"))}
		}, invalid, "repeated_proof"},
		{"20 KB", saying("x", strings.Repeat("x", 20<<10)), invalid, "malformed_proof"},
		{"100 KB", saying("x", strings.Repeat("x", 100<<10)), invalid, "malformed_proof"},
		{"no JWT", func(holder, dpoptest.Claims) []string { return []string{"x"} }, invalid, "malformed_proof"},
		{"a private key", headed("jwk", func(h holder) any { return dpoptest.JWK(h.w.t, h.Key) }), invalid, "proof_key"},
		{"a symmetric key", headed("jwk", func(holder) any { return map[string]string{"kty": "oct", "k": "AAAA"} }), invalid, "proof_key"},
		{"alg none", headed("alg", func(holder) any { return "none" }), invalid, "proof_key"},
		{"alg HS256", headed("alg", func(holder) any { return "HS256" }), invalid, "proof_key"},
		{"another's signature", headed("jwk", func(h holder) any { return dpoptest.JWK(h.w.t, h.w.holder().Key.Public()) }), invalid, "proof_signature"},
		{"another method", saying("htm", "PUT"), invalid, "proof_target"},
		{"the path in another case", about(func(url string) string { return issuer + strings.ToUpper(strings.TrimPrefix(url, issuer)) }), invalid, "proof_target"},
		{"another port", about(func(url string) string { return strings.Replace(url, ":8080", ":8081", 1) }), invalid, "proof_target"},
		{"the host of the request", about(func(url string) string { return strings.Replace(url, issuer, "http://example.com", 1) }), invalid, "proof_target"},
		{"in the future", saying("iat", time.Now().Add(time.Hour).Unix()), invalid, "proof_time"},
		{"of yesterday", saying("iat", time.Now().Add(-24*time.Hour).Unix()), invalid, "proof_time"},
		{"a strange nonce", saying("nonce", "x"), "use_dpop_nonce", "proof_nonce"},
	}
}

// TestF8_BadProofsAreRefusedAndNothingIsWritten sends every bad proof to every kind of
// endpoint that takes one, on both stores.
func TestF8_BadProofsAreRefusedAndNothingIsWritten(t *testing.T) {
	onBothStores(t, func(t *testing.T, w *world) {
		h := w.holder()
		held := h.login()
		first := read[bound](t, h.send(w.jsonRequest("POST", "/auth/login", "", "", map[string]string{"email": email, "password": password})), 200)
		before, kept := w.sessions(), w.written()
		w.journal.take()
		for _, c := range badProofs() {
			for _, e := range []struct {
				name       string
				send       func(headers func(dpoptest.Claims) []string) *httptest.ResponseRecorder
				status     int
				action     audit.Action
				challenges bool
			}{
				{"log-in", w.proving(h, "POST", "/oauth/token", "", login("client_id", "page")), 400, audit.TokenRefused, false},
				{"refresh", w.proving(h, "POST", "/oauth/token", "", refresh(held.Refresh, "client_id", "page")), 400, audit.TokenRefused, false},
				{"first-party log-in", w.proving(h, "POST", "/auth/login", "", map[string]string{"email": email, "password": password}), 401, audit.TokenRefused, true},
				{"first-party refresh", w.proving(h, "POST", "/auth/refresh", "", map[string]string{"refresh_token": first.Refresh}), 401, audit.TokenRefused, true},
				{"userinfo", w.proving(h, "GET", "/oauth/userinfo", held.Access, nil), 401, audit.RequestRefused, true},
				{"me", w.proving(h, "GET", "/auth/me", first.Access, nil), 401, audit.RequestRefused, true},
			} {
				rec := e.send(func(claims dpoptest.Claims) []string { return c.headers(h, claims) })
				events := w.journal.take()
				if len(events) != 1 || events[0].Action != e.action || events[0].Reason.String() != c.reason {
					t.Errorf("%s, %s: events %+v; want %s", e.name, c.name, events, c.reason)
				}
				challenge := rec.Header().Get("WWW-Authenticate")
				if rec.Code != e.status || e.challenges != strings.HasPrefix(challenge, `DPoP `) ||
					e.challenges && !strings.Contains(challenge, `error="`+c.code+`"`) || !e.challenges && refusedWith(t, rec) != c.code {
					t.Errorf("%s, %s: %d %s, %q; want %s", e.name, c.name, rec.Code, rec.Body, challenge, c.code)
				}
				if (c.code == "use_dpop_nonce" || c.reason == "proof_time") != (rec.Header().Get("DPoP-Nonce") != "") {
					t.Errorf("%s, %s: the nonce is %q", e.name, c.name, rec.Header().Get("DPoP-Nonce"))
				}
			}
		}
		if after := w.sessions(); w.written() != kept || !slices.EqualFunc(before, after, func(a, b oauth.Family) bool { return a.ID == b.ID && a.RotatedAt.Equal(b.RotatedAt) }) {
			t.Error("a bad proof has left something in the store")
		}
		for name, htu := range map[string]string{
			"the host in another case": "HTTP://LOCALHOST:8080/oauth/token", "a query": issuer + "/oauth/token?a=b", "a fragment": issuer + "/oauth/token#f",
		} {
			r := w.tokenRequest("page", login())
			r.Header.Set("DPoP", h.Prove(t, dpoptest.With(h.claims(r), "htu", htu)))
			if rec := w.serve(r); rec.Code != 200 {
				t.Errorf("%s: %d %s", name, rec.Code, rec.Body)
			}
		}
	})
}

// sessions are the user's, newest first.
func (w *world) sessions() []oauth.Family {
	list, err := w.store.FamiliesOfUser(w.t.Context(), w.uid, time.Now(), 100)
	must(w.t, err)
	return list
}

// proving returns what sends a request with proofs that are made for it.
func (w *world) proving(h holder, method, path, token string, body any) func(func(dpoptest.Claims) []string) *httptest.ResponseRecorder {
	return func(headers func(dpoptest.Claims) []string) *httptest.ResponseRecorder {
		r := w.jsonRequest(method, path, "DPoP", token, body)
		if form, ok := body.(values); ok {
			r = w.tokenRequest("page", form)
		}
		for _, header := range headers(h.claims(r)) {
			r.Header.Add("DPoP", header)
		}
		return w.serve(r)
	}
}

// TestF8_AProofCountsOnce presents one proof to two replicas, in a race, to a server
// that was started again, and with another token.
func TestF8_AProofCountsOnce(t *testing.T) {
	onBothStores(t, func(t *testing.T, w *world) {
		h := w.holder()
		held := h.login()
		replica := w.build()
		r := w.tokenRequest("page", login())
		proof := h.Prove(t, h.claims(r))
		codes := make(chan int, 12)
		for i := range cap(codes) {
			go func() {
				r := w.tokenRequest("page", login())
				r.Header.Set("DPoP", proof)
				rec := httptest.NewRecorder()
				if i%2 == 0 {
					w.handler.ServeHTTP(rec, r)
				} else {
					replica.ServeHTTP(rec, r)
				}
				codes <- rec.Code
			}()
		}
		count := map[int]int{}
		for range cap(codes) {
			count[<-codes]++
		}
		if count[200] != 1 || count[400] != cap(codes)-1 {
			t.Errorf("one proof, presented %d times: %v", cap(codes), count)
		}
		next := read[bound](t, h.ask("page", refresh(held.Refresh)), 200)
		w.journal.take()
		for name, token := range map[string]string{"live": next.Refresh, "just spent": held.Refresh} {
			r := w.tokenRequest("page", refresh(token))
			r.Header.Set("DPoP", proof)
			rec := httptest.NewRecorder()
			replica.ServeHTTP(rec, r)
			events := w.journal.take()
			if rec.Code != 400 || refusedWith(t, rec) != "invalid_dpop_proof" || len(events) != 1 || events[0].Reason.String() != "proof_replayed" || events[0].Action != audit.TokenRefused {
				t.Errorf("the %s token: %d %s, events %+v", name, rec.Code, rec.Body, events)
			}
		}
		if f, err := w.store.FamilyByID(t.Context(), sessionOf(t, next.Access)); err != nil || f.Generation != 1 {
			t.Errorf("a replayed proof has moved the session on: %+v, %v", f, err)
		}
		// The replayed request for userinfo, too.
		r = w.jsonRequest("GET", "/oauth/userinfo", "DPoP", next.Access, nil)
		r.Header.Set("DPoP", h.Prove(t, h.claims(r)))
		first, second := w.serve(r), httptest.NewRecorder()
		replica.ServeHTTP(second, r)
		if first.Code != 200 || second.Code != 401 || !strings.Contains(second.Header().Get("WWW-Authenticate"), `error="invalid_dpop_proof"`) {
			t.Errorf("userinfo: %d, then %d %q", first.Code, second.Code, second.Header())
		}
		if next := h.ask("page", refresh(next.Refresh)); next.Code != 200 {
			t.Errorf("afterwards: %d %s", next.Code, next.Body)
		}
	})
}

func sessionOf(t testing.TB, token string) string {
	t.Helper()
	payload, err := base64.RawURLEncoding.DecodeString(strings.Split(token, ".")[1])
	must(t, err)
	var claims struct{ Sid string }
	must(t, json.Unmarshal(payload, &claims))
	return claims.Sid
}

// TestF8_NoncesAreOfAllReplicas has a deployment ask for nonces: what one replica
// told, another takes, until it is too old.
func TestF8_NoncesAreOfAllReplicas(t *testing.T) {
	w := newWorld(t)
	w.needsNonce = true
	w.handler = w.build()
	replica := w.build()
	w.proofClock = 6 * time.Minute
	later := w.build()
	w.proofClock = 0
	h := w.holder()
	ask := func(nonce any) *httptest.ResponseRecorder {
		r := w.tokenRequest("page", login())
		// A wrong clock does not matter: the nonce tells the time.
		r.Header.Set("DPoP", h.Prove(t, dpoptest.With(dpoptest.With(h.claims(r), "nonce", nonce), "iat", 1)))
		return w.serve(r)
	}
	rec := ask(nil)
	nonce := rec.Header().Get("DPoP-Nonce")
	if rec.Code != 400 || refusedWith(t, rec) != "use_dpop_nonce" || nonce == "" || w.written() != 0 {
		t.Fatalf("without a nonce: %d %s, %q", rec.Code, rec.Body, nonce)
	}
	w.handler = replica
	rec = ask(nonce)
	held := read[bound](t, rec, 200)
	w.handler = later
	rec = ask(nonce)
	if rec.Code != 400 || refusedWith(t, rec) != "use_dpop_nonce" || rec.Header().Get("DPoP-Nonce") == nonce {
		t.Errorf("too old: %d %s, %q", rec.Code, rec.Body, rec.Header())
	}
	if rec = ask(rec.Header().Get("DPoP-Nonce")); rec.Code != 200 {
		t.Errorf("with the new one: %d %s", rec.Code, rec.Body)
	}
	w.handler = replica
	r := w.jsonRequest("GET", "/oauth/userinfo", "DPoP", held.Access, nil)
	rec = h.send(r)
	if challenge := rec.Header().Get("WWW-Authenticate"); rec.Code != 401 || !strings.Contains(challenge, `error="use_dpop_nonce"`) {
		t.Errorf("userinfo: %d %q", rec.Code, challenge)
	}
	r.Header.Set("DPoP", h.Prove(t, dpoptest.With(h.claims(r), "nonce", rec.Header().Get("DPoP-Nonce"))))
	if rec = w.serve(r); rec.Code != 200 {
		t.Errorf("userinfo with the nonce: %d %s", rec.Code, rec.Body)
	}
}

// TestF8_ABoundTokenIsNoBearers has bound access tokens at every route that takes one,
// as a bearer's, with another key, and with a proof for another token.
func TestF8_ABoundTokenIsNoBearers(t *testing.T) {
	w := newWorld(t)
	h, thief := w.holder(), w.holder()
	mine := func() string {
		return read[bound](t, h.send(w.jsonRequest("POST", "/auth/login", "", "", map[string]string{"email": email, "password": password})), 200).Access
	}
	for _, route := range borne() {
		method, path, _ := strings.Cut(route, " ")
		token, loose := mine(), w.login().Access
		body := map[string]string{"current_password": "wrong", "new_password": "another long sentence"}
		w.journal.take()
		for name, c := range map[string]struct {
			scheme, token string
			by            holder
			claim         string
			code, reason  string
		}{
			"as a bearer's":             {"Bearer", token, h, "", "invalid_token", "no_proof"},
			"as a bearer's, lower":      {"bearer", token, h, "", "invalid_token", "no_proof"},
			"without a proof":           {"DPoP", token, holder{}, "", "invalid_dpop_proof", "no_proof"},
			"with another key":          {"DPoP", token, thief, dpop.Hash(token), "invalid_token", "foreign_proof_key"},
			"another token's proof":     {"DPoP", token, h, dpop.Hash(loose), "invalid_dpop_proof", "proof_token"},
			"a proof for no token":      {"DPoP", token, h, "", "invalid_dpop_proof", "proof_token"},
			"a token that is not bound": {"DPoP", loose, h, dpop.Hash(loose), "invalid_token", "unbound_token"},
			"no token of ours":          {"DPoP", "x", h, dpop.Hash("x"), "invalid_token", "bad_token"},
		} {
			r := w.jsonRequest(method, path, c.scheme, c.token, body)
			claims := dpoptest.For(method, issuer+path)
			if c.claim != "" {
				claims["ath"] = c.claim
			}
			if c.by.w != nil {
				r.Header.Set("DPoP", c.by.Prove(t, claims))
			}
			rec := w.serve(r)
			events := w.journal.take()
			if len(events) != 1 || events[0].Action != audit.RequestRefused || events[0].Reason.String() != c.reason {
				t.Errorf("%s %s: events %+v; want %s", route, name, events, c.reason)
			}
			challenges := strings.Join(rec.Header().Values("WWW-Authenticate"), ", ")
			if rec.Code != 401 || !strings.Contains(challenges, `error="`+c.code+`"`) || !strings.Contains(challenges, `DPoP realm="keyturn", algs="ES256 EdDSA Ed25519 RS256 PS256"`) {
				t.Errorf("%s %s: %d %q; want %s", route, name, rec.Code, challenges, c.code)
			}
		}
		if rec := h.send(w.jsonRequest(method, path, "DPoP", token, body)); rec.Code == 401 {
			t.Errorf("%s with the proof: %d %s", route, rec.Code, rec.Body)
		}
	}
	rec := w.get("/auth/me")
	if got := rec.Header().Values("WWW-Authenticate"); rec.Code != 401 || len(got) != 2 || got[0] != `Bearer realm="keyturn"` || !strings.HasPrefix(got[1], "DPoP ") {
		t.Errorf("without a token: %d %q", rec.Code, got)
	}
}

// TestF8_TheFirstPartyRoutesBindTheirSessions: their client proves nothing at a
// refresh, whatever it is.
func TestF8_TheFirstPartyRoutesBindTheirSessions(t *testing.T) {
	w := newWorld(t)
	h := w.holder()
	held := read[bound](t, h.send(w.jsonRequest("POST", "/auth/login", "", "", map[string]string{"email": email, "password": password})), 200)
	again := func() map[string]string { return map[string]string{"refresh_token": held.Refresh} }
	for name, rec := range map[string]*httptest.ResponseRecorder{
		"without its key":          w.serve(w.jsonRequest("POST", "/auth/refresh", "", "", again())),
		"with the client's secret": w.serve(w.tokenRequest("shop", refresh(held.Refresh))),
	} {
		if rec.Code != 401 && rec.Code != 400 {
			t.Errorf("%s: %d %s", name, rec.Code, rec.Body)
		}
	}
	if rec := w.holder().send(w.jsonRequest("POST", "/auth/refresh", "", "", again())); rec.Code != 403 {
		t.Errorf("with another key: %d %s", rec.Code, rec.Body)
	}
	held = read[bound](t, h.send(w.jsonRequest("POST", "/auth/refresh", "", "", again())), 200)
	if held.Type != "DPoP" || confirmed(t, held.Access) != h.Thumbprint(t) {
		t.Errorf("%+v", held)
	}
}

// TestF8_IntrospectionTellsTheKey tells resource servers what to ask a proof of.
func TestF8_IntrospectionTellsTheKey(t *testing.T) {
	w := newWorld(t)
	h := w.holder()
	held := read[bound](t, h.send(w.jsonRequest("POST", "/auth/login", "", "", map[string]string{"email": email, "password": password})), 200)
	type answer struct {
		Active bool
		Type   string `json:"token_type"`
		Cnf    struct{ Jkt string }
	}
	access := read[answer](t, w.post("/oauth/introspect", values{"token": {held.Access}}), 200)
	if !access.Active || access.Type != "DPoP" || access.Cnf.Jkt != h.Thumbprint(t) {
		t.Errorf("the access token: %+v", access)
	}
	if got := read[answer](t, w.post("/oauth/introspect", values{"token": {held.Refresh}}), 200); !got.Active || got.Cnf.Jkt != h.Thumbprint(t) {
		t.Errorf("the refresh token: %+v", got)
	}
	if loose := read[answer](t, w.post("/oauth/introspect", values{"token": {w.login().Access}}), 200); loose.Type != "Bearer" || loose.Cnf.Jkt != "" {
		t.Errorf("a token that is not bound: %+v", loose)
	}
	// To give a token up needs no proof: it takes rights away.
	if rec := w.post("/oauth/revoke", values{"token": {held.Refresh}}); rec.Code != 200 {
		t.Errorf("revocation: %d %s", rec.Code, rec.Body)
	}
}

// TestF8_PagesMaySendProofs has a page of another origin send a proof and read the
// nonce that it is told.
func TestF8_PagesMaySendProofs(t *testing.T) {
	w := newWorld(t)
	for _, path := range []string{"/oauth/token", "/auth/login"} {
		r := httptest.NewRequest("OPTIONS", path, nil)
		r.Header.Set("Origin", "https://app.example.com")
		r.Header.Set("Access-Control-Request-Method", "POST")
		r.Header.Set("Access-Control-Request-Headers", "content-type,dpop")
		if got := w.serve(r).Header().Get("Access-Control-Allow-Headers"); !strings.Contains(got, "dpop") {
			t.Errorf("%s allows %q", path, got)
		}
		r = httptest.NewRequest("POST", path, nil)
		r.Header.Set("Origin", "https://app.example.com")
		if got := w.serve(r).Header().Get("Access-Control-Expose-Headers"); !strings.Contains(strings.ToLower(got), "dpop-nonce") {
			t.Errorf("%s exposes %q", path, got)
		}
	}
}
