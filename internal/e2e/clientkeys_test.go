package e2e

import (
	"crypto"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/rsa"
	"crypto/x509"
	"encoding/json"
	"encoding/pem"
	"strings"
	"testing"
	"time"

	"github.com/go-jose/go-jose/v4"
	"github.com/go-jose/go-jose/v4/jwt"
)

// clientKeys are the keys of a client that signs: one of each kind that
// libraries use.
type clientKeys struct {
	// jwks is the public half, pem the private ones by algorithm.
	jwks string
	pem  map[string]string
	ec   *ecdsa.PrivateKey
}

func newClientKeys(t *testing.T) clientKeys {
	t.Helper()
	ec, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	rs, err := rsa.GenerateKey(rand.Reader, 2048)
	if err != nil {
		t.Fatal(err)
	}
	k := clientKeys{pem: map[string]string{}, ec: ec}
	var set jose.JSONWebKeySet
	for alg, key := range map[string]crypto.Signer{"ES256": ec, "RS256": rs} {
		set.Keys = append(set.Keys, jose.JSONWebKey{Key: key.Public(), KeyID: alg, Algorithm: alg, Use: "sig"})
		der, err := x509.MarshalPKCS8PrivateKey(key)
		if err != nil {
			t.Fatal(err)
		}
		k.pem[alg] = string(pem.EncodeToMemory(&pem.Block{Type: "PRIVATE KEY", Bytes: der}))
	}
	text, err := json.Marshal(set)
	if err != nil {
		t.Fatal(err)
	}
	k.jwks = string(text)
	return k
}

// assert makes a client assertion, good for one request.
func (k clientKeys) assert(t *testing.T, id, audience string) string {
	t.Helper()
	signer, err := jose.NewSigner(jose.SigningKey{Algorithm: jose.ES256, Key: jose.JSONWebKey{Key: k.ec, KeyID: "ES256"}}, nil)
	if err != nil {
		t.Fatal(err)
	}
	text, err := jwt.Signed(signer).Claims(jwt.Claims{
		Issuer: id, Subject: id, Audience: jwt.Audience{audience}, ID: rand.Text(), Expiry: jwt.NewNumericDate(time.Now().Add(time.Minute)),
	}).Serialize()
	if err != nil {
		t.Fatal(err)
	}
	return text
}

// tokenFor asks for a token with an assertion.
func (k clientKeys) tokenFor(t *testing.T, s *server, assertion string) answer {
	t.Helper()
	a, err := postForm(s.url+"/oauth/token", credentials{}, values("grant_type", "client_credentials",
		"client_assertion_type", "urn:ietf:params:oauth:client-assertion-type:jwt-bearer", "client_assertion", assertion))
	if err != nil {
		t.Fatal(err)
	}
	return a
}

// TestClientKeysAtURL has a client publish its keys and turn them, and two
// replicas take each assertion once between them.
func TestClientKeysAtURL(t *testing.T) {
	t.Parallel()
	onBothStores(t, nil, func(t *testing.T, d *deployment) {
		f := newFront(t)
		old, next := newClientKeys(t), newClientKeys(t)
		f.publish("/jwks.json", old.jwks)
		d.addClient(t, "batch", "--grant", "client_credentials", "--jwks-uri", f.url+"/jwks.json")
		first := d.serve(t, "--client-jwks-networks", "127.0.0.1")
		second := d.serveAs(t, first.url, "--client-jwks-networks", "127.0.0.1", "--audit-log", d.auditLog+"-2")

		assertion := old.assert(t, "batch", first.url)
		if a := old.tokenFor(t, first, assertion); a.status != 200 {
			t.Fatalf("with an assertion: %d %s", a.status, a.body)
		}
		if a := old.tokenFor(t, second, assertion); a.status != 401 || !strings.Contains(a.body, "used before") {
			t.Errorf("with the same at another replica: %d %s", a.status, a.body)
		}
		f.publish("/jwks.json", next.jwks)
		d.must(t, nil, "clients", "update", "batch", "--jwks-uri", f.url+"/jwks.json?turned")
		if a := next.tokenFor(t, first, next.assert(t, "batch", first.url)); a.status != 200 {
			t.Errorf("with a new key: %d %s", a.status, a.body)
		}
		closed := d.serveAs(t, first.url, "--audit-log", d.auditLog+"-3")
		if a := next.tokenFor(t, closed, next.assert(t, "batch", first.url)); a.status != 401 {
			t.Errorf("with a key at a private address: %d %s", a.status, a.body)
		}
		eventually(t, "the log says why the keys were not fetched", func() bool {
			return strings.Contains(closed.stderr.String(), "prohibited IP address")
		})
	})
}
