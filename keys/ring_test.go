package keys

import (
	"context"
	"crypto/hmac"
	"crypto/sha256"
	"encoding/base64"
	"encoding/json"
	"errors"
	"strings"
	"sync"
	"testing"
	"time"

	jose "github.com/go-jose/go-jose/v4"
)

type keyPair struct {
	record   Record
	verifier *verifier
	signer   *signer
}

// pairs makes one key of each algorithm, once: RSA keys take long to make.
var pairs = sync.OnceValue(func() map[string]keyPair {
	line, _ := NewMaster()
	m, _ := ParseMasters([]byte(line))
	out := make(map[string]keyPair)
	for _, alg := range Algorithms() {
		r, v, s, err := newRecord(context.Background(), alg, m.Vault())
		if err != nil {
			panic(err)
		}
		r.CreatedAt, r.ActivateAt, r.TokenTTL = start, start, time.Hour
		out[alg] = keyPair{r, v, s}
	}
	return out
})

// ringOf returns a ring that signs with a key of the given algorithm.
func ringOf(alg string, now func() time.Time) *Ring {
	pair := pairs()[alg]
	line, _ := NewMaster()
	m, _ := ParseMasters([]byte(line))
	r := &Ring{now: now, elapsed: func() time.Duration { return 0 }, policy: testPolicy(), vault: m.Vault()}
	r.fill(book{records: []Record{pair.record}, readAt: start, material: &material{
		verifiers: map[string]*verifier{pair.record.KID: pair.verifier},
		signers:   map[string]*signer{pair.record.KID: pair.signer},
	}}, start)
	return r
}

func atStart() time.Time { return start }

func TestSignAndVerify(t *testing.T) {
	for _, alg := range Algorithms() {
		ring := ringOf(alg, atStart)
		pair := pairs()[alg]
		// Several, as an ECDSA value is now and then a byte shorter.
		for range 40 {
			compact, kid, err := ring.Sign("at+jwt", []byte(`{"sub":"u"}`))
			if err != nil || kid != pair.record.KID {
				t.Fatalf("%s: Sign: %q, %v", alg, kid, err)
			}
			payload, _, err := ring.Verify(compact, "application/AT+jwt")
			if err != nil || string(payload) != `{"sub":"u"}` {
				t.Fatalf("%s: Verify: %q, %v", alg, payload, err)
			}
			if payload, err := pair.record.Verify(compact, "at+jwt"); err != nil || string(payload) != `{"sub":"u"}` {
				t.Fatalf("%s: Record.Verify: %q, %v", alg, payload, err)
			}
		}
		var jwk struct{ Alg, Use, Kid, D string }
		if err := json.Unmarshal(ring.Published().Keys[0], &jwk); err != nil {
			t.Fatal(err)
		}
		if jwk.Alg != alg || jwk.Use != "sig" || jwk.Kid != pair.record.KID || jwk.D != "" {
			t.Errorf("%s: published as %+v", alg, jwk)
		}
		if got := ring.Published().Algs; len(got) != 1 || got[0] != alg {
			t.Errorf("Algs() = %v", got)
		}
	}
}

// forge builds a token with any header, signed by key in the manner of alg.
func forge(t *testing.T, header, alg string, s *signer) string {
	t.Helper()
	enc := base64.RawURLEncoding.EncodeToString
	input := enc([]byte(header)) + "." + enc([]byte(`{}`))
	sig, err := sign(alg, s.private, []byte(input))
	if err != nil {
		t.Fatal(err)
	}
	return input + "." + enc(sig)
}

func TestVerifyRefuses(t *testing.T) {
	ring := ringOf(ES256, atStart)
	pair := pairs()[ES256]
	kid, s := pair.record.KID, pair.signer
	good, _, err := ring.Sign("at+jwt", []byte(`{}`))
	if err != nil {
		t.Fatal(err)
	}
	enc := base64.RawURLEncoding.EncodeToString
	parts := strings.Split(good, ".")
	hmacInput := enc([]byte(`{"alg":"HS256","typ":"at+jwt","kid":"`+kid+`"}`)) + "." + parts[1]
	mac := hmac.New(sha256.New, pair.record.Public)
	mac.Write([]byte(hmacInput))
	last := len(good) - 1
	sloppy := good[:last] + string(good[last]+1)
	for name, bad := range map[string]struct {
		token string
		err   error
	}{
		"empty":             {"", errBadToken},
		"two parts":         {parts[0] + "." + parts[1], errBadToken},
		"four parts":        {good + ".AA", errBadToken},
		"JSON form":         {`{"payload":"","protected":"","signature":""}`, errBadToken},
		"line break":        {parts[0] + "." + parts[1] + ".\n" + parts[2], errBadToken},
		"space":             {good + " ", errBadToken},
		"padding":           {good + "=", errBadToken},
		"loose bits":        {sloppy, errBadToken},
		"too long":          {parts[0] + "." + strings.Repeat("A", maxToken) + "." + parts[2], errBadToken},
		"other payload":     {parts[0] + "." + enc([]byte(`{"a":1}`)) + "." + parts[2], errBadToken},
		"alg none":          {enc([]byte(`{"alg":"none","typ":"at+jwt","kid":"`+kid+`"}`)) + "." + parts[1] + ".", errBadToken},
		"HMAC with the JWK": {hmacInput + "." + enc(mac.Sum(nil)), errBadToken},
		"alg of another":    {forge(t, `{"alg":"EdDSA","typ":"at+jwt","kid":"`+kid+`"}`, EdDSA, pairs()[EdDSA].signer), errBadToken},
		"other type":        {forge(t, `{"alg":"ES256","typ":"jwt","kid":"`+kid+`"}`, ES256, s), errBadToken},
		"no type":           {forge(t, `{"alg":"ES256","kid":"`+kid+`"}`, ES256, s), errBadToken},
		"no kid":            {forge(t, `{"alg":"ES256","typ":"at+jwt"}`, ES256, s), errBadToken},
		"crit":              {forge(t, `{"alg":"ES256","typ":"at+jwt","kid":"`+kid+`","crit":["b64"],"b64":true}`, ES256, s), errBadToken},
		"empty crit":        {forge(t, `{"alg":"ES256","typ":"at+jwt","kid":"`+kid+`","crit":null}`, ES256, s), errBadToken},
		"embedded jwk":      {forge(t, `{"alg":"ES256","typ":"at+jwt","kid":"`+kid+`","jwk":`+string(pair.record.Public)+`}`, ES256, s), errBadToken},
		"alg twice":         {forge(t, `{"alg":"ES256","alg":"ES256","typ":"at+jwt","kid":"`+kid+`"}`, ES256, s), errBadToken},
		"other spelling":    {forge(t, `{"ALG":"ES256","typ":"at+jwt","kid":"`+kid+`"}`, ES256, s), errBadToken},
		"more behind":       {forge(t, `{"alg":"ES256","typ":"at+jwt","kid":"`+kid+`"}{}`, ES256, s), errBadToken},
		"unknown kid":       {forge(t, `{"alg":"ES256","typ":"at+jwt","kid":"x"}`, ES256, s), errUnknownKey},
	} {
		if _, _, err := ring.Verify(bad.token, "at+jwt"); !errors.Is(err, bad.err) {
			t.Errorf("%s: %v, want %v", name, err, bad.err)
		}
	}
	if _, _, err := ring.Verify(good, "at+jwt"); err != nil {
		t.Errorf("the good token: %v", err)
	}
}

func TestEmptyRing(t *testing.T) {
	r := &Ring{now: atStart, policy: testPolicy()}
	if _, _, err := r.Sign("at+jwt", nil); !errors.Is(err, ErrNoSigningKey) {
		t.Errorf("Sign: %v", err)
	}
	if _, err := r.Active(); !errors.Is(err, ErrNoSigningKey) {
		t.Errorf("Active: %v", err)
	}
	if set := r.Published(); len(set.Keys) != 0 || set.Algs != nil || r.TokenTTL() != 0 {
		t.Error("an empty ring has something")
	}
}

func TestOpenPublicRefuses(t *testing.T) {
	es, ed := pairs()[ES256].record, pairs()[EdDSA].record
	private, err := jose.JSONWebKey{Key: pairs()[ES256].signer.private, KeyID: es.KID, Algorithm: ES256}.MarshalJSON()
	if err != nil {
		t.Fatal(err)
	}
	for name, r := range map[string]Record{
		"not JSON":       {KID: es.KID, Alg: ES256, Public: []byte("x")},
		"private":        {KID: es.KID, Alg: ES256, Public: private},
		"other alg":      {KID: es.KID, Alg: RS256, Public: es.Public},
		"unknown alg":    {KID: es.KID, Alg: "ML-DSA-65", Public: es.Public},
		"other kid":      {KID: ed.KID, Alg: ES256, Public: es.Public},
		"far too large":  {KID: es.KID, Alg: ES256, Public: make([]byte, maxPublic+1)},
		"not there":      {KID: es.KID, Alg: ES256},
		"symmetric":      {KID: es.KID, Alg: ES256, Public: []byte(`{"kty":"oct","k":"AAAA"}`)},
		"weak RSA":       {KID: es.KID, Alg: RS256, Public: []byte(`{"kty":"RSA","n":"wQ","e":"AQAB"}`)},
		"swapped halves": {KID: ed.KID, Alg: EdDSA, Public: es.Public},
	} {
		if _, err := openPublic(r); err == nil {
			t.Errorf("%s: accepted", name)
		}
	}
}

func FuzzVerify(f *testing.F) {
	ring := ringOf(ES256, atStart)
	good, _, err := ring.Sign("at+jwt", []byte(`{}`))
	if err != nil {
		f.Fatal(err)
	}
	f.Add(good)
	f.Add("..")
	f.Add("e30.e30.e30")
	f.Fuzz(func(t *testing.T, compact string) {
		payload, _, err := ring.Verify(compact, "at+jwt")
		if err == nil && string(payload) != `{}` {
			t.Fatalf("accepted a forgery: %q", compact)
		}
	})
}

func BenchmarkSign(b *testing.B) {
	payload := []byte(strings.Repeat("x", 400))
	for _, alg := range Algorithms() {
		b.Run(alg, func(b *testing.B) {
			ring := ringOf(alg, time.Now)
			b.ReportAllocs()
			b.RunParallel(func(pb *testing.PB) {
				for pb.Next() {
					if _, _, err := ring.Sign("at+jwt", payload); err != nil {
						b.Error(err)
						return
					}
				}
			})
		})
	}
}

// BenchmarkSignsNow is what the schedule adds to each signature: whose turn it is. As
// there is no lock, two processors find out twice as often as one.
func BenchmarkSignsNow(b *testing.B) {
	ring := ringOf(ES256, time.Now)
	b.ReportAllocs()
	b.RunParallel(func(pb *testing.PB) {
		for pb.Next() {
			if _, err := ring.Active(); err != nil {
				b.Error(err)
				return
			}
		}
	})
}

func BenchmarkSignPlainGoJose(b *testing.B) {
	payload := []byte(strings.Repeat("x", 400))
	for _, alg := range Algorithms() {
		b.Run(alg, func(b *testing.B) {
			key := jose.SigningKey{Algorithm: jose.SignatureAlgorithm(alg), Key: pairs()[alg].signer.private}
			s, err := jose.NewSigner(key, (&jose.SignerOptions{}).WithType("at+jwt"))
			if err != nil {
				b.Fatal(err)
			}
			b.ReportAllocs()
			for b.Loop() {
				jws, err := s.Sign(payload)
				if err != nil {
					b.Fatal(err)
				}
				if _, err := jws.CompactSerialize(); err != nil {
					b.Fatal(err)
				}
			}
		})
	}
}
