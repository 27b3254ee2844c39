package dpop_test

import (
	"bytes"
	"crypto/ecdsa"
	"crypto/ed25519"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/rsa"
	"encoding/json"
	"math/big"
	"strings"
	"testing"
	"time"

	"github.com/keyturn/keyturn/internal/base64url"
	"github.com/keyturn/keyturn/internal/dpop"
	"github.com/keyturn/keyturn/internal/dpop/dpoptest"
	"github.com/keyturn/keyturn/internal/jws"
	"github.com/keyturn/keyturn/internal/refusal"
	"github.com/keyturn/keyturn/keys"
)

const url = "https://login.example.com/oauth/token"

func newMasters(t testing.TB, lines int) *keys.Masters {
	t.Helper()
	var text []string
	for range lines {
		line, err := keys.NewMaster()
		if err != nil {
			t.Fatal(err)
		}
		text = append(text, line)
	}
	return parseMasters(t, text...)
}

func parseMasters(t testing.TB, lines ...string) *keys.Masters {
	t.Helper()
	m, err := keys.ParseMasters([]byte(strings.Join(lines, "\n")))
	if err != nil {
		t.Fatal(err)
	}
	return m
}

func newChecker(t testing.TB) *dpop.Checker {
	return dpop.NewChecker(newMasters(t, 1), false, 30*time.Second, time.Now)
}

var request = dpop.Request{Method: "POST", URL: url}

// TestProofsAreTaken has every algorithm and every form that is good.
func TestProofsAreTaken(t *testing.T) {
	c := newChecker(t)
	for _, alg := range dpop.Algs() {
		h := dpoptest.New(t, alg)
		p, e := c.Check([]string{h.Prove(t, dpoptest.For("POST", url))}, request)
		if e != nil || p.Thumbprint != h.Thumbprint(t) {
			t.Errorf("%s: %+v, %v", alg, p, e)
		}
	}
	h := dpoptest.New(t, "ES256")
	now := time.Now()
	for name, claims := range map[string]dpoptest.Claims{
		"what it says beside":    dpoptest.With(dpoptest.For("POST", url), "sub", "me"),
		"a fraction of a second": dpoptest.With(dpoptest.For("POST", url), "iat", float64(now.UnixMilli())/1000),
		"a clock that is behind": dpoptest.With(dpoptest.For("POST", url), "iat", now.Add(-85*time.Second).Unix()),
		"a clock that is ahead":  dpoptest.With(dpoptest.For("POST", url), "iat", now.Add(25*time.Second).Unix()),
		"a long jti":             dpoptest.With(dpoptest.For("POST", url), "jti", strings.Repeat("x", 512)),
		"a hash of no token":     dpoptest.With(dpoptest.For("POST", url), "ath", "x"),
	} {
		p, e := c.Check([]string{h.Prove(t, claims)}, request)
		if e != nil {
			t.Errorf("%s: %v", name, e)
			continue
		}
		if life := p.Until.Sub(now); life < time.Minute-85*time.Second+60*time.Second || life > 3*time.Minute {
			t.Errorf("%s: it is remembered for %s", name, life)
		}
	}
	exported := h.Header(t)
	exported["jwk"] = with(exported["jwk"].(map[string]any), "key_ops", []string{"verify"}, "ext", true, "kid", "k", "use", "sig")
	if _, e := c.Check([]string{h.Sign(t, exported, dpoptest.For("POST", url))}, request); e != nil {
		t.Errorf("a key as WebCrypto exports it: %v", e)
	}
	if p, e := c.Check(nil, request); p != nil || e != nil {
		t.Errorf("no proof: %+v, %v", p, e)
	}
}

func with(m map[string]any, pairs ...any) map[string]any {
	for i := 0; i < len(pairs); i += 2 {
		m = dpoptest.With(m, pairs[i].(string), pairs[i+1])
	}
	return m
}

// TestProofsAreRefused has every member wrong in every way.
func TestProofsAreRefused(t *testing.T) {
	c := newChecker(t)
	h, other := dpoptest.New(t, "ES256"), dpoptest.New(t, "ES256")
	wide, err := rsa.GenerateKey(rand.Reader, 2048)
	if err != nil {
		t.Fatal(err)
	}
	good := func() dpoptest.Claims { return dpoptest.For("POST", url) }
	saying := func(name string, value any) []string { return []string{h.Prove(t, dpoptest.With(good(), name, value))} }
	headed := func(name string, value any) []string {
		return []string{h.Sign(t, dpoptest.With(h.Header(t), name, value), good())}
	}
	keyed := func(jwk map[string]any) []string { return headed("jwk", jwk) }
	jwk := dpoptest.JWK(t, h.Key.Public())
	by := func(alg string, key any) []string {
		rs := dpoptest.Holder{Alg: alg, Key: wide}
		return []string{rs.Sign(t, dpoptest.Claims{"typ": "dpop+jwt", "alg": alg, "jwk": key}, good())}
	}
	header, claims := text(t, h.Header(t)), text(t, good())
	proof := h.Prove(t, good())
	now := time.Now()
	for name, test := range map[string]struct {
		headers []string
		reason  string
	}{
		"two":                    {[]string{proof, h.Prove(t, good())}, "repeated_proof"},
		"the same twice":         {[]string{proof, proof}, "repeated_proof"},
		"two in one":             {[]string{proof + ", " + proof}, "malformed_proof"},
		"empty":                  {[]string{""}, "malformed_proof"},
		"large":                  {saying("x", strings.Repeat("x", 8<<10)), "malformed_proof"},
		"with a line break":      {[]string{proof[:30] + "\n" + proof[30:]}, "malformed_proof"},
		"padded":                 {[]string{proof + "="}, "malformed_proof"},
		"JSON":                   {[]string{`{"payload":"e30"}`}, "malformed_proof"},
		"no typ":                 {headed("typ", nil), "malformed_proof"},
		"another typ":            {headed("typ", "JWT"), "malformed_proof"},
		"a crit":                 {headed("crit", []string{"b64"}), "malformed_proof"},
		"alg in two spellings":   {[]string{h.SignText(t, `{"Alg":"none",`+header[1:], claims)}, "malformed_proof"},
		"alg twice":              {[]string{h.SignText(t, `{"alg":"none",`+header[1:], claims)}, "malformed_proof"},
		"htm twice":              {[]string{h.SignText(t, header, `{"htm":"GET",`+claims[1:])}, "malformed_proof"},
		"HTM":                    {[]string{h.SignText(t, header, `{"HTM":"GET",`+claims[1:])}, "malformed_proof"},
		"a list":                 {[]string{h.SignText(t, header, `[]`)}, "malformed_proof"},
		"null":                   {[]string{h.SignText(t, header, `null`)}, "malformed_proof"},
		"iat as text":            {saying("iat", "now"), "malformed_proof"},
		"no jti":                 {saying("jti", nil), "malformed_proof"},
		"an empty jti":           {saying("jti", ""), "malformed_proof"},
		"jti as a number":        {saying("jti", 1), "malformed_proof"},
		"a longer jti":           {saying("jti", strings.Repeat("x", 513)), "malformed_proof"},
		"no htm":                 {saying("htm", nil), "malformed_proof"},
		"no htu":                 {saying("htu", nil), "malformed_proof"},
		"no iat":                 {saying("iat", nil), "malformed_proof"},
		"a null nonce":           {[]string{h.SignText(t, header, `{"nonce":null,`+claims[1:])}, "malformed_proof"},
		"nonce as a number":      {saying("nonce", 1), "malformed_proof"},
		"no alg":                 {headed("alg", nil), "proof_key"},
		"alg none":               {headed("alg", "none"), "proof_key"},
		"alg HS256":              {headed("alg", "HS256"), "proof_key"},
		"alg es256":              {headed("alg", "es256"), "proof_key"},
		"alg of another key":     {headed("alg", "RS256"), "proof_key"},
		"ES384":                  {[]string{dpoptest.New(t, "ES384").Prove(t, good())}, "proof_key"},
		"RS512":                  {by("RS512", dpoptest.JWK(t, &wide.PublicKey)), "proof_key"},
		"no jwk":                 {headed("jwk", nil), "proof_key"},
		"jwk as text":            {headed("jwk", "key"), "proof_key"},
		"a private key":          {keyed(dpoptest.JWK(t, h.Key)), "proof_key"},
		"a private member":       {keyed(dpoptest.With(jwk, "p", "AQAB")), "proof_key"},
		"a symmetric key":        {keyed(map[string]any{"kty": "oct", "k": "AAAA"}), "proof_key"},
		"no key":                 {keyed(map[string]any{}), "proof_key"},
		"no point":               {keyed(dpoptest.With(jwk, "x", jwk["y"])), "proof_key"},
		"a jwk's kty twice":      {[]string{h.SignText(t, strings.Replace(header, `"kty"`, `"kty":"EC","kty"`, 1), claims)}, "malformed_proof"},
		"a jwk's Kty":            {keyed(dpoptest.With(jwk, "Kty", "EC")), "proof_key"},
		"a jwk's X":              {keyed(dpoptest.With(jwk, "X", jwk["x"])), "proof_key"},
		"a jwk's KEY_OPS":        {keyed(dpoptest.With(jwk, "KEY_OPS", []string{"verify"})), "proof_key"},
		"x with a line break":    {keyed(dpoptest.With(jwk, "x", jwk["x"].(string)[:5]+"\n"+jwk["x"].(string)[5:])), "proof_key"},
		"x with padding":         {keyed(dpoptest.With(jwk, "x", jwk["x"].(string)+"=")), "proof_key"},
		"an even RSA modulus":    {by("RS256", dpoptest.JWK(t, &rsa.PublicKey{N: new(big.Int).Lsh(big.NewInt(3), 2047), E: 65537})), "proof_key"},
		"for encryption":         {keyed(dpoptest.With(jwk, "use", "enc")), "proof_key"},
		"a private RSA key":      {by("RS256", dpoptest.JWK(t, wide)), "proof_key"},
		"a narrow RSA key":       {by("RS256", rsaKey(1024, 65537)), "proof_key"},
		"a too wide RSA key":     {by("RS256", rsaKey(4097, 65537)), "proof_key"},
		"RSA, exponent 3":        {by("RS256", rsaKey(2048, 3)), "proof_key"},
		"RSA, an even exponent":  {by("RS256", rsaKey(2048, 65538)), "proof_key"},
		"another's key":          {[]string{h.Sign(t, other.Header(t), good())}, "proof_signature"},
		"changed":                {[]string{proof[:strings.LastIndexByte(proof, '.')] + ".AAAA"}, "proof_signature"},
		"unsigned":               {[]string{proof[:strings.LastIndexByte(proof, '.')+1]}, "proof_signature"},
		"of PS256 as RS256":      {by("PS256", dpoptest.JWK(t, &rsaOf(t).PublicKey)), "proof_signature"},
		"another method":         {saying("htm", "GET"), "proof_target"},
		"post":                   {saying("htm", "post"), "proof_target"},
		"another URL":            {saying("htu", url+"/"), "proof_target"},
		"the path alone":         {saying("htu", "/oauth/token"), "proof_target"},
		"too old":                {saying("iat", now.Add(-95*time.Second).Unix()), "proof_time"},
		"in the future":          {saying("iat", now.Add(40*time.Second).Unix()), "proof_time"},
		"at the end of time":     {saying("iat", 1e300), "proof_time"},
		"at the beginning of it": {saying("iat", -1e300), "proof_time"},
		"in milliseconds":        {saying("iat", now.UnixMilli()), "proof_time"},
		"an empty nonce":         {saying("nonce", ""), "proof_nonce"},
		"a nonce of its own":     {saying("nonce", "eyJ7S_zG.eyJH0-Z.HX4w-7v"), "proof_nonce"},
	} {
		_, e := c.Check(test.headers, request)
		want := refusal.BadProof
		if test.reason == "proof_nonce" {
			want = refusal.NeedsNonce
		}
		if e == nil || e.Reason.String() != test.reason || e.Code != want || e.Public() == "" {
			t.Errorf("%s: %+v; want %s", name, e, test.reason)
		}
		if e != nil && (e.Nonce != "") != (test.reason == "proof_time" || test.reason == "proof_nonce") {
			t.Errorf("%s: the nonce %q is told", name, e.Nonce)
		}
	}
}

// rsaKey is an RSA public key of that size, of which nobody has the other half.
func rsaKey(bits uint, exponent int64) map[string]any {
	n := new(big.Int).Add(new(big.Int).Lsh(big.NewInt(1), bits-1), big.NewInt(1))
	return map[string]any{"kty": "RSA", "n": encode(n), "e": encode(big.NewInt(exponent))}
}

func rsaOf(t *testing.T) *rsa.PrivateKey {
	key, err := rsa.GenerateKey(rand.Reader, 2048)
	if err != nil {
		t.Fatal(err)
	}
	return key
}

func text(t *testing.T, v any) string {
	b, err := json.Marshal(v)
	if err != nil {
		t.Fatal(err)
	}
	return string(b)
}

// signedByAnybody are proofs for the request under Ed25519 keys of small order, for which
// the neutral point and zero sign every text.
func signedByAnybody(t testing.TB) (proofs []string) {
	t.Helper()
	neutral := append([]byte{1}, make([]byte, ed25519.PublicKeySize-1)...)
	minus := bytes.Repeat([]byte{0xff}, ed25519.PublicKeySize)
	minus[0], minus[31] = 0xee, 0x7f
	for _, x := range [][]byte{neutral, append(neutral[:31:31], 0x80), minus} {
		for _, alg := range []string{"EdDSA", jws.Ed25519} {
			header := mustJSON(t, map[string]any{"typ": "dpop+jwt", "alg": alg, "jwk": map[string]string{"kty": "OKP", "crv": "Ed25519", "x": base64url.Encode(x)}})
			claims := mustJSON(t, dpoptest.For("POST", url))
			signed := base64url.Encode(header) + "." + base64url.Encode(claims)
			signature := append(append([]byte{}, neutral...), make([]byte, 32)...)
			if !ed25519.Verify(x, []byte(signed), signature) {
				t.Fatalf("%x signs no more for everything", x)
			}
			proofs = append(proofs, signed+"."+base64url.Encode(signature))
		}
	}
	return proofs
}

// TestProofsThatAnybodySignsAreRefused before the signature counts for anything.
func TestProofsThatAnybodySignsAreRefused(t *testing.T) {
	c := newChecker(t)
	for _, proof := range signedByAnybody(t) {
		if p, e := c.Check([]string{proof}, request); e == nil || e.Reason.String() != "proof_key" || e.Code != refusal.BadProof {
			t.Errorf("%s: %+v, %+v", proof, p, e)
		}
	}
}

// TestProofsOfAToken has proofs beside an access token.
func TestProofsOfAToken(t *testing.T) {
	c, h := newChecker(t), dpoptest.New(t, "ES256")
	r := dpop.Request{Method: "GET", URL: "https://login.example.com/oauth/userinfo", Token: "ey.token"}
	claims := dpoptest.For(r.Method, r.URL)
	for ath, good := range map[any]bool{dpop.Hash(r.Token): true, dpop.Hash("ey.other"): false, "": false, nil: false} {
		_, e := c.Check([]string{h.Prove(t, dpoptest.With(claims, "ath", ath))}, r)
		if (e == nil) != good || e != nil && e.Reason.String() != "proof_token" {
			t.Errorf("ath %v: %v", ath, e)
		}
	}
}

// TestTheSameProofHasTheSameID, and no other has it.
func TestTheSameProofHasTheSameID(t *testing.T) {
	c := newChecker(t)
	a, b := dpoptest.New(t, "ES256"), dpoptest.New(t, "ES256")
	claims := dpoptest.For("POST", url)
	id := func(h dpoptest.Holder, claims dpoptest.Claims) string {
		p, e := c.Check([]string{h.Prove(t, claims)}, request)
		if e != nil {
			t.Fatal(e)
		}
		return p.ID
	}
	first := id(a, claims)
	if id(a, claims) != first || id(a, dpoptest.With(claims, "htu", url+"?x")) != first {
		t.Error("one jti of one key has two names")
	}
	if id(b, claims) == first || id(a, dpoptest.For("POST", url)) == first {
		t.Error("two proofs have one name")
	}
}

func FuzzProof(f *testing.F) {
	c := dpop.NewChecker(newMasters(f, 1), false, 30*time.Second, func() time.Time { return time.Unix(1800000000, 0) })
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		f.Fatal(err)
	}
	h := dpoptest.Holder{Alg: "ES256", Key: key}
	header := `{"typ":"dpop+jwt","alg":"ES256","jwk":` + string(mustJSON(f, dpoptest.JWK(f, key.Public()))) + `}`
	f.Add(header, `{"jti":"a","htm":"POST","htu":"`+url+`","iat":1800000000}`)
	f.Add(header, `{"jti":"a","htm":"POST","htu":"HTTPS://LOGIN.example.com:443/oauth/./%74oken?x#y","iat":1800000000.5,"nonce":"x"}`)
	f.Add(`{"typ":"dpop+jwt","alg":"RS256","jwk":{"kty":"RSA","n":"AQ","e":"AQAB"}}`, `{}`)
	for _, proof := range signedByAnybody(f) {
		f.Add(proof, "")
	}
	f.Fuzz(func(t *testing.T, header, claims string) {
		// What is signed well is judged by what it says.
		p, e := c.Check([]string{h.SignText(t, header, claims)}, request)
		if e != nil {
			if e.Public() == "" || e.Code != refusal.BadProof && e.Code != refusal.NeedsNonce {
				t.Fatalf("%q %q: %+v", header, claims, e)
			}
		} else if p.Thumbprint != h.Thumbprint(t) || p.ID == "" || !p.Until.After(time.Unix(1800000000, 0).Add(-time.Minute)) {
			t.Fatalf("%q %q: %+v", header, claims, p)
		}
		if _, e := c.Check([]string{header + claims}, request); e == nil {
			t.Fatalf("%q is a proof", header+claims)
		}
	})
}

func mustJSON(t testing.TB, v any) []byte {
	b, err := json.Marshal(v)
	if err != nil {
		t.Fatal(err)
	}
	return b
}
