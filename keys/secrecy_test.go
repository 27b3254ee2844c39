package keys

import (
	"bytes"
	"crypto/ecdsa"
	"crypto/ed25519"
	"crypto/rsa"
	"encoding/json"
	"strings"
	"testing"
)

// privateParts returns the numbers that make a key private.
func privateParts(t *testing.T, key any) [][]byte {
	t.Helper()
	switch k := key.(type) {
	case *ecdsa.PrivateKey:
		raw, err := k.Bytes()
		if err != nil {
			t.Fatal(err)
		}
		return [][]byte{raw}
	case *rsa.PrivateKey:
		parts := [][]byte{k.D.Bytes()}
		for _, p := range k.Primes {
			parts = append(parts, p.Bytes())
		}
		return parts
	case ed25519.PrivateKey:
		return [][]byte{k.Seed()}
	}
	t.Fatalf("unknown key %T", key)
	return nil
}

func TestK7_PrivateKeysRestSealed(t *testing.T) {
	for alg, pair := range pairs() {
		info := newInfo(keyView{Record: pair.record}, testMasters(t, 1).Vault())
		shown, err := json.Marshal(info)
		if err != nil {
			t.Fatal(err)
		}
		for _, secret := range privateParts(t, pair.signer.private) {
			for name, place := range map[string][]byte{
				"sealed": pair.record.Sealed, "public": pair.record.Public, "published": pair.verifier.jwk, "info": shown,
			} {
				if bytes.Contains(place, secret[:8]) {
					t.Errorf("%s: %s holds the private key", alg, name)
				}
			}
		}
		if strings.Contains(string(pair.verifier.jwk), `"d"`) || strings.Contains(string(pair.record.Public), `"d"`) {
			t.Errorf("%s: the JWK has a private member", alg)
		}
	}
}

func TestK7_ErrorsShowNoSecret(t *testing.T) {
	w := newWorld(t)
	w.poll(t)
	w.store.records[0].Public = []byte(`{"kty":"EC","crv":"P-256","d":"c2VjcmV0LXByaXZhdGUta2V5"}`)
	w.store.records[1].Sealed = append([]byte{1}, []byte("secret-private-key-secret-private-key-secret-private-key-secret")...)
	b := newReplica(t, w.store, w.vault, testPolicy(), &w.now)
	err := b.Poll(t.Context())
	if err == nil {
		t.Fatal("two damaged keys, and no error")
	}
	for _, e := range append(b.errs, err) {
		if text := e.Error(); strings.Contains(text, "secret") || strings.Contains(text, "c2VjcmV0") {
			t.Errorf("an error shows a secret: %s", text)
		}
	}
}
