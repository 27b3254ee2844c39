package server_test

import (
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/sha256"
	"encoding/base64"
	"encoding/binary"
	"encoding/json"
	"html"
	"net/http/httptest"
	"regexp"
	"testing"
)

// authenticator is a device with one passkey, and the browser that asks it, written
// apart from the server's library (WebAuthn §6): ES256, and an attestation of "none".
type authenticator struct {
	key *ecdsa.PrivateKey
	id  []byte
	// user is whose it is, as the server said.
	user []byte
	// counts says that it has a counter; count is where that stands.
	counts bool
	count  uint32
	// flags are those of its answers, beside what was created.
	flags  byte
	origin string
	// host is what it takes for the rp id, if it is not what it was asked for.
	host string
}

const (
	userPresent, userVerified, backupEligible, backedUp = 1, 4, 8, 16
	attested                                            = 64
)

func newAuthenticator(t testing.TB) *authenticator {
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	must(t, err)
	id := make([]byte, 32)
	rand.Read(id)
	return &authenticator{key: key, id: id, counts: true, flags: userPresent | userVerified, origin: issuer}
}

// question is what the server asks a passkey.
type question struct {
	Challenge string
	Options   json.RawMessage `json:"public_key"`
	ID        string
}

type publicKey struct {
	Challenge, RPID, UserVerification string
	RP                                struct{ ID string }
	User                              struct{ ID, Name string }
	Allow                             []struct{ ID string } `json:"allowCredentials"`
	Exclude                           []struct{ ID string } `json:"excludeCredentials"`
}

func (q question) read(t testing.TB) (p publicKey) {
	t.Helper()
	must(t, json.Unmarshal(q.Options, &p))
	return p
}

var b64 = base64.RawURLEncoding

// data is the authenticator data (§6.1), without what was attested.
func (a *authenticator) data(rpID string, flags byte) []byte {
	if a.host != "" {
		rpID = a.host
	}
	if a.counts {
		a.count++
	}
	sum := sha256.Sum256([]byte(rpID))
	return binary.BigEndian.AppendUint32(append(sum[:], flags), a.count)
}

func (a *authenticator) said(kind, challenge string) []byte {
	text, _ := json.Marshal(map[string]any{"type": kind, "challenge": challenge, "origin": a.origin, "crossOrigin": false})
	return text
}

func credential(id []byte, response map[string]string) json.RawMessage {
	text, _ := json.Marshal(map[string]any{
		"id": b64.EncodeToString(id), "rawId": b64.EncodeToString(id), "type": "public-key", "response": response,
		"authenticatorAttachment": "platform", "clientExtensionResults": map[string]any{},
	})
	return text
}

// cborBytes is a byte string of up to 64 KiB.
func cborBytes(b []byte) []byte {
	return append(binary.BigEndian.AppendUint16([]byte{0x59}, uint16(len(b))), b...)
}

// cose is the public key (RFC 9052 §7).
func (a *authenticator) cose(t testing.TB) []byte {
	t.Helper()
	point, err := a.key.PublicKey.Bytes()
	must(t, err)
	key := []byte{0xa5, 0x01, 0x02, 0x03, 0x26, 0x20, 0x01} // EC2, ES256, P-256
	key = append(append(key, 0x21), append([]byte{0x58, 32}, point[1:33]...)...)
	return append(append(key, 0x22), append([]byte{0x58, 32}, point[33:]...)...)
}

// made makes the passkey.
func (a *authenticator) made(t testing.TB, q question) json.RawMessage {
	t.Helper()
	p := q.read(t)
	var err error
	a.user, err = b64.DecodeString(p.User.ID)
	must(t, err)
	data := append(a.data(p.RP.ID, a.flags|attested), make([]byte, 16)...)
	data = append(binary.BigEndian.AppendUint16(data, uint16(len(a.id))), append(a.id, a.cose(t)...)...)
	object := []byte("\xa3\x63fmt\x64none\x67attStmt\xa0\x68authData")
	return credential(a.id, map[string]string{
		"clientDataJSON": b64.EncodeToString(a.said("webauthn.create", p.Challenge)), "attestationObject": b64.EncodeToString(append(object, cborBytes(data)...)),
	})
}

// signed answers a question to the passkey.
func (a *authenticator) signed(t testing.TB, q question) json.RawMessage {
	t.Helper()
	p := q.read(t)
	data, said := a.data(p.RPID, a.flags), a.said("webauthn.get", p.Challenge)
	of := sha256.Sum256(said)
	digest := sha256.Sum256(append(append([]byte{}, data...), of[:]...))
	signature, err := ecdsa.SignASN1(rand.Reader, a.key, digest[:])
	must(t, err)
	return credential(a.id, map[string]string{
		"clientDataJSON": b64.EncodeToString(said), "authenticatorData": b64.EncodeToString(data), "signature": b64.EncodeToString(signature),
		"userHandle": b64.EncodeToString(a.user),
	})
}

var questionOn = regexp.MustCompile(`data-challenge="([^"]+)" data-options="([^"]+)"`)

// questionIn is what a page has its browser ask a passkey.
func questionIn(t testing.TB, rec *httptest.ResponseRecorder) question {
	t.Helper()
	m := questionOn.FindStringSubmatch(rec.Body.String())
	if m == nil {
		t.Fatalf("status %d without a question: %s", rec.Code, rec.Body)
	}
	return question{Challenge: html.UnescapeString(m[1]), Options: json.RawMessage(html.UnescapeString(m[2]))}
}
