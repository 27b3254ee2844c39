package server_test

import (
	"net/http/httptest"
	"time"

	"github.com/keyturn/keyturn/internal/audit"
	"github.com/keyturn/keyturn/internal/clients"
	"github.com/keyturn/keyturn/internal/dpop"
	"github.com/keyturn/keyturn/internal/dpop/dpoptest"
	"github.com/keyturn/keyturn/oauth"
)

// proven sends a request with a good proof.
func proven(method, path string, body any) sending {
	return func(w *world, t tokens) *httptest.ResponseRecorder {
		h := w.holder()
		if form, ok := body.(values); ok {
			return h.ask("shop", form)
		}
		return h.send(w.jsonRequest(method, path, "", "", body))
	}
}

// notProven are the refusals of DPoP proofs, at the token endpoint and at a route that
// needs an access token.
func notProven() []decided {
	password := values{"grant_type": {"password"}, "username": {email}, "password": {password}}
	rows := []decided{
		{"no proof of one that must", after(func(w *world, _ tokens) {
			w.change("shop", func(c *clients.Client) { c.DPoPBound = true })
		}, form("/oauth/token", password)), 400, audit.TokenRefused, "no_proof"},
		{"a bound session's token alone", func(w *world, _ tokens) *httptest.ResponseRecorder {
			return w.postAs("/oauth/token", refresh(w.boundSession().Refresh, "client_id", "page"))
		}, 400, audit.TokenUnproven, "no_proof"},
		{"a bound session's token with another key", func(w *world, _ tokens) *httptest.ResponseRecorder {
			return w.holder().ask("page", refresh(w.boundSession().Refresh))
		}, 400, audit.TokenUnproven, "foreign_proof_key"},
		{"a wrong password with a proof", proven("POST", "/auth/login", map[string]string{"email": email, "password": "wrong"}), 403, audit.TokenRefused, "wrong_password"},
		{"me, a bound token alone", func(w *world, _ tokens) *httptest.ResponseRecorder {
			return w.sendJSON("GET", "/auth/me", w.boundSession().Access, nil)
		}, 401, audit.RequestRefused, "no_proof"},
		{"me, a bound token with another key", func(w *world, _ tokens) *httptest.ResponseRecorder {
			return w.holder().send(w.jsonRequest("GET", "/auth/me", "DPoP", w.boundSession().Access, nil))
		}, 401, audit.RequestRefused, "foreign_proof_key"},
		{"me, a token that is not bound", func(w *world, t tokens) *httptest.ResponseRecorder {
			return w.holder().send(w.jsonRequest("GET", "/auth/me", "DPoP", t.Access, nil))
		}, 401, audit.RequestRefused, "unbound_token"},
		{"me, another token's proof", meWith(func(h holder, c dpoptest.Claims) []string {
			return []string{h.Prove(h.w.t, dpoptest.With(c, "ath", dpop.Hash("another")))}
		}), 401, audit.RequestRefused, "proof_token"},
	}
	for _, c := range allBadProofs() {
		rows = append(rows,
			decided{"proof, " + c.name, func(w *world, _ tokens) *httptest.ResponseRecorder {
				h := w.holder()
				return w.proving(h, "POST", "/oauth/token", "", login("client_id", "page"))(func(claims dpoptest.Claims) []string { return c.headers(h, claims) })
			}, 400, audit.TokenRefused, c.reason},
			decided{"me, proof, " + c.name, meWith(c.headers), 401, audit.RequestRefused, c.reason})
	}
	return rows
}

// meWith asks for the account with a bound token and proofs that are made for that.
func meWith(headers func(holder, dpoptest.Claims) []string) sending {
	return func(w *world, _ tokens) *httptest.ResponseRecorder {
		h := w.holder()
		var held bound
		w.quietly(func() {
			held = read[bound](w.t, h.send(w.jsonRequest("POST", "/auth/login", "", "", map[string]string{"email": email, "password": password})), 200)
		})
		return w.proving(h, "GET", "/auth/me", held.Access, nil)(func(claims dpoptest.Claims) []string { return headers(h, claims) })
	}
}

// boundSession is one of the public client's whose key nobody has.
func (w *world) boundSession() (held bound) {
	w.quietly(func() { held = w.holder().login() })
	return held
}

// checker judges proofs as the world's server does.
func (w *world) checker() *dpop.Checker {
	return dpop.NewChecker(w.masters, false, 30*time.Second, time.Now)
}

// allBadProofs are also those that are good, but not here and now.
func allBadProofs() []badProof {
	replayed := func(h holder, c dpoptest.Claims) []string {
		proof := h.Prove(h.w.t, c)
		p, e := h.w.checker().Check([]string{proof}, dpop.Request{Method: c["htm"].(string), URL: c["htu"].(string)})
		if e != nil {
			h.w.t.Fatal(e)
		}
		must(h.w.t, h.w.store.DenyToken(h.w.t.Context(), oauth.DeniedToken{JTI: p.ID, ExpireAt: p.Until}))
		return []string{proof}
	}
	nonceless := func(h holder, c dpoptest.Claims) []string {
		h.w.needsNonce = true
		h.w.handler = h.w.build()
		return []string{h.Prove(h.w.t, c)}
	}
	return append(badProofs(), badProof{"replayed", replayed, "", "proof_replayed"}, badProof{"no nonce", nonceless, "", "no_proof_nonce"})
}
