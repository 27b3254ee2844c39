package e2e

import (
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/sha256"
	"encoding/base64"
	"encoding/binary"
	"encoding/json"
	"net/http"
	"path/filepath"
	"slices"
	"strings"
	"testing"
)

// clonedPasskey has somebody log in by a passkey that was used elsewhere since, and
// returns the log. The account comes by an import, with its passkey.
func clonedPasskey(t *testing.T) []string {
	t.Helper()
	const origin = "http://localhost"
	d := newDeployment(t, "", "--first-party-client", "app")
	d.addClient(t, "app", "--public", "--grant", "password", "--grant", "refresh_token", "--scope", scope)
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	point, err := key.PublicKey.Bytes()
	if err != nil {
		t.Fatal(err)
	}
	cose := slices.Concat([]byte{0xa5, 1, 2, 3, 0x26, 0x20, 1, 0x21, 0x58, 32}, point[1:33], []byte{0x22, 0x58, 32}, point[33:])
	account, err := json.Marshal(map[string]any{
		"uid": "kay", "email": "kay@example.com", "password": password, "passkeys": []any{map[string]any{"credential_id": []byte("key"), "public_key": cose, "sign_count": 9}},
	})
	if err != nil {
		t.Fatal(err)
	}
	file := filepath.Join(d.dir, "kay.jsonl")
	writeFile(t, file, string(account))
	d.must(t, nil, "users", "import", file)
	s := d.serveAs(t, origin)
	var q struct {
		Challenge string
		Options   struct{ Challenge string } `json:"public_key"`
	}
	mustSend(t, "GET", s.url+"/auth/login/passkey", nil, "").decode(t, &q)
	said, err := json.Marshal(map[string]string{"type": "webauthn.get", "challenge": q.Options.Challenge, "origin": origin})
	if err != nil {
		t.Fatal(err)
	}
	host, hash := sha256.Sum256([]byte("localhost")), sha256.Sum256(said)
	data := binary.BigEndian.AppendUint32(append(host[:], 5), 7) // present, verified
	digest := sha256.Sum256(slices.Concat(data, hash[:]))
	signature, err := ecdsa.SignASN1(rand.Reader, key, digest[:])
	if err != nil {
		t.Fatal(err)
	}
	text := base64.RawURLEncoding.EncodeToString
	id := text([]byte("key"))
	answer, err := json.Marshal(map[string]any{"challenge": q.Challenge, "credential": map[string]any{
		"id": id, "rawId": id, "type": "public-key", "response": map[string]string{
			"clientDataJSON": text(said), "authenticatorData": text(data), "signature": text(signature), "userHandle": text([]byte("kay")),
		},
	}})
	if err != nil {
		t.Fatal(err)
	}
	if a := mustSend(t, "POST", s.url+"/auth/login/factor", http.Header{"Content-Type": {"application/json"}}, string(answer)); a.status != 403 {
		t.Errorf("a copy of a passkey: %d %s", a.status, a.body)
	}
	s.stop(t)
	return strings.Split(strings.TrimSpace(readFile(t, d.auditLog)), "\n")
}
