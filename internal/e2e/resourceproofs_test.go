//go:build interop

package e2e

import (
	"crypto/elliptic"
	"encoding/base64"
	"encoding/json"
	"fmt"
	"math/big"
	"net/http"
	"strings"
	"testing"
	"time"

	"github.com/keyturn/keyturn/internal/dpop"
	"github.com/keyturn/keyturn/internal/dpop/dpoptest"
)

// wares are tokens of one issuer, good ones and those that a resource server of api is
// not to take as a bearer's.
type wares struct {
	plain, bound, id, foreign string
	// holder has the key that bound is bound to.
	holder, other dpoptest.Holder
}

// buy buys them at an issuer: by has the audience api, elsewhere another, and named has
// api for its own id, which is in its ID tokens as the audience.
func buy(t *testing.T, s *server, issuer string, by, elsewhere, named credentials, login ...string) *wares {
	t.Helper()
	w := &wares{holder: dpoptest.New(t, "ES256"), other: dpoptest.New(t, "ES256")}
	ask := func(by credentials, proofs ...string) (got struct {
		Access string `json:"access_token"`
		ID     string `json:"id_token"`
	}) {
		t.Helper()
		header := http.Header{"Content-Type": {formType}, "Authorization": {basic(by)}}
		if len(proofs) > 0 {
			header["Dpop"] = proofs
		}
		a := mustSend(t, "POST", s.url+"/oauth/token", header, values(login...).Encode())
		if a.status != http.StatusOK {
			t.Fatalf("a token for %s: status %d, %s", by.id, a.status, a.body)
		}
		a.decode(t, &got)
		return got
	}
	w.plain, w.foreign, w.id = ask(by).Access, ask(elsewhere).Access, ask(named).ID
	w.bound = ask(by, w.holder.Prove(t, dpoptest.For("POST", issuer+"/oauth/token"))).Access
	return w
}

// wares are tokens of a shop.
func (s *shop) wares(t *testing.T) *wares {
	t.Helper()
	add := func(id, audience string) credentials {
		t.Helper()
		return s.addClient(t, id, "--grant", "password", "--scope", scope, "--audience", audience)
	}
	return buy(t, s.server, s.issuer, add("buyer", api), add("elsewhere-too", billing), add(api, billing),
		"grant_type", "password", "username", email, "password", password)
}

// presented is a token in the scheme Bearer.
type presented struct {
	name, token string
	taken       bool
}

// bearers are those that a resource server meets.
func (w *wares) bearers() []presented {
	parts := strings.Split(w.plain, ".")
	unsigned := base64.RawURLEncoding.EncodeToString([]byte(`{"alg":"none","typ":"at+jwt"}`)) + "." + parts[1] + "."
	return []presented{
		{"a token", w.plain, true},
		{"an ID token", w.id, false},
		{"one that is bound to a key", w.bound, false},
		{"one with another signature", resigned(w.plain), false},
		{"one that is not signed", unsigned, false},
		{"one for another audience", w.foreign, false},
		{"what is no token", "x", false},
	}
}

// window is what of a proof's time a resource server takes.
type window struct{ behind, ahead time.Duration }

// proving is a proof of the holder's, or what pretends to be one, for GET url and bound.
type proving struct {
	name, proof string
	verdict     verdict
}

// verdict is what is due to a proof.
type verdict int

const (
	toRefuse verdict = iota
	// toRemember is for one that only who remembers each jti can refuse.
	toRemember
	toTake
)

// good are the claims of a good proof that was made at a time.
func (w *wares) good(url string, at time.Time) dpoptest.Claims {
	return dpoptest.With(dpoptest.With(dpoptest.For("GET", url), "ath", dpop.Hash(w.bound)), "iat", at.Unix())
}

// proofs are attacks on who checks proofs, and what is to be taken among them. They are
// to be presented one after the other.
func (w *wares) proofs(t *testing.T, url string, by window, now time.Time) []proving {
	t.Helper()
	h := w.holder
	good := func() dpoptest.Claims { return w.good(url, now) }
	at := func(d time.Duration) string { return h.Prove(t, w.good(url, now.Add(d))) }
	with := func(name string, value any) string { return h.Prove(t, dpoptest.With(good(), name, value)) }
	headed := func(name string, value any) string { return h.Sign(t, dpoptest.With(h.Header(t), name, value), good()) }
	first := good()
	proof := h.Prove(t, first)
	notANumber := strings.Replace(asText(t, good()), fmt.Sprintf(`"iat":%d`, now.Unix()), `"iat":NaN`, 1)
	return []proving{
		{"a good one", proof, toTake},
		{"the same again", proof, toRemember},
		{"its signature written in another way", otherSignature(t, proof), toRemember},
		{"its jti, signed again", with("jti", first["jti"]), toRemember},
		{"another good one", h.Prove(t, good()), toTake},
		{"one of as long ago as is taken", at(-by.behind + 10*time.Second), toTake},
		{"one of too long ago", at(-by.behind - 5*time.Second), toRefuse},
		{"one of as far ahead as is taken", at(by.ahead - 5*time.Second), toTake},
		{"one of too far ahead", at(by.ahead + 40*time.Second), toRefuse},
		{"no iat", with("iat", nil), toRefuse},
		{"an iat that is a text", with("iat", fmt.Sprint(now.Unix())), toRefuse},
		{"an iat that is no number", h.SignText(t, asText(t, h.Header(t)), notANumber), toRefuse},
		{"no jti", with("jti", nil), toRefuse},
		{"no ath", with("ath", nil), toRefuse},
		{"the ath of another token", with("ath", dpop.Hash(w.plain)), toRefuse},
		{"no htm", with("htm", nil), toRefuse},
		{"another method", with("htm", "POST"), toRefuse},
		{"no htu", with("htu", nil), toRefuse},
		{"another URL", with("htu", url+"x"), toRefuse},
		{"another server", with("htu", "https://api.example.org/orders"), toRefuse},
		{"no typ", headed("typ", nil), toRefuse},
		{"another typ", headed("typ", "JWT"), toRefuse},
		{"no key", headed("jwk", nil), toRefuse},
		{"a key that is a text", headed("jwk", "x"), toRefuse},
		{"a private key", headed("jwk", dpoptest.JWK(t, h.Key)), toRefuse},
		{"another key", w.other.Prove(t, good()), toRefuse},
		{"signed with another key", dpoptest.Holder{Alg: h.Alg, Key: w.other.Key}.Sign(t, h.Header(t), good()), toRefuse},
		{"another signature", resigned(h.Prove(t, good())), toRefuse},
		{"not signed", unsignedProof(t, h, good()), toRefuse},
		{"claims that are a list", h.SignText(t, asText(t, h.Header(t)), "[]"), toRefuse},
		{"claims that are no JSON", h.SignText(t, asText(t, h.Header(t)), "iat"), toRefuse},
		{"what is no JWT", "x", toRefuse},
		{"nothing", "", toRefuse},
	}
}

func asText(t *testing.T, v any) string {
	t.Helper()
	text, err := json.Marshal(v)
	if err != nil {
		t.Fatal(err)
	}
	return string(text)
}

func unsignedProof(t *testing.T, h dpoptest.Holder, claims dpoptest.Claims) string {
	t.Helper()
	encoded := base64.RawURLEncoding.EncodeToString
	return encoded([]byte(asText(t, dpoptest.With(h.Header(t), "alg", "none")))) + "." + encoded([]byte(asText(t, claims))) + "."
}

// otherSignature is a proof with the other signature that ECDSA has for it, which
// whoever has the one can make without the key.
func otherSignature(t *testing.T, proof string) string {
	t.Helper()
	at := strings.LastIndex(proof, ".") + 1
	signature, err := base64.RawURLEncoding.DecodeString(proof[at:])
	if err != nil {
		t.Fatal(err)
	}
	half := len(signature) / 2
	s := new(big.Int).SetBytes(signature[half:])
	s.Sub(elliptic.P256().Params().N, s).FillBytes(signature[half:])
	return proof[:at] + base64.RawURLEncoding.EncodeToString(signature)
}

// checker is a resource server that checks proofs.
type checker struct {
	url string
	window
	// remembers says that it knows each jti again.
	remembers bool
	// exact says that what it refuses it answers as RFC 6750 and RFC 9449 have it.
	exact bool
}

// present sends a request to it, which is taken or refused, with error in the scheme that
// was used.
func (c checker) present(t *testing.T, name string, taken bool, error, authorization string, proofs ...string) {
	t.Helper()
	header := http.Header{}
	if authorization != "" {
		header.Set("Authorization", authorization)
	}
	if len(proofs) > 0 {
		header["Dpop"] = proofs
	}
	a := mustSend(t, "GET", c.url, header, "")
	told := strings.Join(a.header.Values("WWW-Authenticate"), ", ")
	switch {
	case taken && a.status != http.StatusOK:
		t.Errorf("%s is refused: status %d, %s %s", name, a.status, told, a.body)
	case !taken && a.status != http.StatusUnauthorized && (c.exact || a.status != http.StatusBadRequest):
		t.Errorf("%s: status %d; want it refused", name, a.status)
	case !taken && c.exact && !c.challenges(told, error):
		t.Errorf("%s: WWW-Authenticate %q; want %s", name, told, error)
	}
}

const (
	badToken = `error="invalid_token"`
	badProof = `error="invalid_dpop_proof"`
)

// attack presents tokens and proofs, good and bad ones, in both schemes. now is the
// checker's time.
func (w *wares) attack(t *testing.T, c checker, now time.Time) {
	t.Helper()
	c.present(t, "nothing", false, "", "")
	c.present(t, "another scheme", false, "", "Basic eDp5")
	for _, b := range w.bearers() {
		c.present(t, b.name+" as a bearer's", b.taken, "Bearer "+badToken, "Bearer "+b.token)
	}
	c.present(t, "a token with the scheme in small letters", true, "", "bearer "+w.plain)
	c.present(t, "a bound token as a bearer's, with its proof", false, "Bearer "+badToken, "Bearer "+w.bound, w.holder.Prove(t, w.good(c.url, now)))
	w.attackProofs(t, c, now)
}

// attackProofs presents proofs, good and bad ones.
func (w *wares) attackProofs(t *testing.T, c checker, now time.Time) {
	t.Helper()
	proves := func(token string) string {
		return w.holder.Prove(t, dpoptest.With(w.good(c.url, now), "ath", dpop.Hash(token)))
	}
	c.present(t, "a token that is not bound, with a proof", false, "DPoP "+badToken, "DPoP "+w.plain, proves(w.plain))
	c.present(t, "an ID token with a proof", false, "DPoP "+badToken, "DPoP "+w.id, proves(w.id))
	c.present(t, "no proof", false, "DPoP "+badProof, "DPoP "+w.bound)
	c.present(t, "two proofs", false, "DPoP "+badProof, "DPoP "+w.bound, proves(w.bound), proves(w.bound))
	for _, p := range w.proofs(t, c.url, c.window, now) {
		takes := p.verdict == toTake || p.verdict == toRemember && !c.remembers
		c.present(t, p.name, takes, "DPoP "+badProof, "DPoP "+w.bound, p.proof)
	}
	if c.remembers {
		c.present(t, "a jti that is a number", false, "DPoP "+badProof, "DPoP "+w.bound, w.numbered(t, c.url, now))
	}
}

// numbered is a proof whose jti is a number: no text that could be remembered.
func (w *wares) numbered(t *testing.T, url string, now time.Time) string {
	t.Helper()
	return w.holder.Prove(t, dpoptest.With(w.good(url, now), "jti", 7))
}

// challenges reports whether both schemes are offered, with the error in the one that
// was used.
func (c checker) challenges(told, error string) bool {
	return strings.Count(told, "error=") == strings.Count(error, "error=") && strings.Contains(told, error) &&
		strings.Contains(told, "Bearer") && strings.Contains(told, "DPoP ") && strings.Contains(told, `algs="ES256 `)
}
