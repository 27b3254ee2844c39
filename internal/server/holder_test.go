package server_test

import (
	"encoding/json"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"

	"github.com/keyturn/keyturn/internal/dpop"
	"github.com/keyturn/keyturn/internal/dpop/dpoptest"
)

// holder is a client with a key of its own.
type holder struct {
	w *world
	dpoptest.Holder
}

func (w *world) holder() holder { return holder{w, dpoptest.New(w.t, "ES256")} }

// claims are those of a good proof for a request.
func (h holder) claims(r *http.Request) dpoptest.Claims {
	c := dpoptest.For(r.Method, issuer+r.URL.Path)
	if scheme, token, _ := strings.Cut(r.Header.Get("Authorization"), " "); scheme == "DPoP" {
		c["ath"] = dpop.Hash(token)
	}
	return c
}

// send sends a request with a good proof.
func (h holder) send(r *http.Request) *httptest.ResponseRecorder {
	r.Header.Set("DPoP", h.Prove(h.w.t, h.claims(r)))
	return h.w.serve(r)
}

// tokenRequest asks for tokens, as the public client or as the one with a secret.
func (w *world) tokenRequest(client string, v values) *http.Request {
	if client != "shop" {
		v.Set("client_id", client)
	}
	r := httptest.NewRequest("POST", "/oauth/token", strings.NewReader(v.Encode()))
	r.Header.Set("Content-Type", "application/x-www-form-urlencoded")
	if client == "shop" {
		r.SetBasicAuth("shop", w.secret)
	}
	return r
}

// ask asks for tokens with a good proof.
func (h holder) ask(client string, v values) *httptest.ResponseRecorder {
	return h.send(h.w.tokenRequest(client, v))
}

// jsonRequest is a request of the first-party routes, or for userinfo, with an access
// token in that scheme.
func (w *world) jsonRequest(method, path, scheme, token string, body any) *http.Request {
	text, err := json.Marshal(body)
	must(w.t, err)
	r := httptest.NewRequest(method, path, strings.NewReader(string(text)))
	r.Header.Set("Content-Type", "application/json")
	if token != "" {
		r.Header.Set("Authorization", scheme+" "+token)
	}
	return r
}

// bound are tokens with what their answer says of them.
type bound struct {
	tokens
	Type string `json:"token_type"`
}

// login begins a session of the public client that is bound to the key.
func (h holder) login() bound {
	h.w.t.Helper()
	return read[bound](h.w.t, h.ask("page", login()), 200)
}

// refusedWith is the error of an answer of the token endpoint.
func refusedWith(t testing.TB, rec *httptest.ResponseRecorder) string {
	t.Helper()
	return read[struct{ Error string }](t, rec, rec.Code).Error
}

// written is all that the store holds of tokens that count once.
func (w *world) written() int {
	list, err := w.store.DeniedTokens(w.t.Context(), "", 1000)
	must(w.t, err)
	return len(list)
}
