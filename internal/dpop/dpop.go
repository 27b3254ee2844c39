// Package dpop checks DPoP proofs (RFC 9449), with which a client shows that it has
// a key. It does not use a store: the caller must make sure that a valid proof
// counts only once.
package dpop

import (
	"crypto/rsa"
	"crypto/sha256"
	"encoding/json"
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/keyturn/keyturn/internal/audit"
	"github.com/keyturn/keyturn/internal/base64url"
	"github.com/keyturn/keyturn/internal/jws"
	"github.com/keyturn/keyturn/internal/refusal"
	"github.com/keyturn/keyturn/internal/strictjson"
)

// Header is the header of a proof. NonceHeader is the header with the nonce for a
// client's next proofs.
const (
	Header      = "DPoP"
	NonceHeader = "DPoP-Nonce"
)

const (
	// maxProof bounds a proof, and maxJTI its jti, in bytes. maxRSABits bounds the
	// cost of checking one.
	maxProof   = 8 << 10
	maxJTI     = 512
	maxRSABits = 4096
	// maxAge is the greatest age of a proof, which is made for one request.
	maxAge = time.Minute
)

// Algs returns the accepted signature algorithms of a proof.
func Algs() []string { return []string{"ES256", "EdDSA", jws.Ed25519, "RS256", "PS256"} }

// Proof is a valid proof.
type Proof struct {
	// Thumbprint is the thumbprint of the key (RFC 7638), the jkt.
	Thumbprint string
	// ID identifies the proof, so that it counts only once. Until is when no replica
	// accepts it any more.
	ID    string
	Until time.Time
}

// Request is the request that a proof must be made for.
type Request struct {
	Method string
	// URL is the request's URL as clients know it.
	URL string
	// Token is the access token in the request, or empty.
	Token string
}

// Checker checks proofs. It is safe for concurrent use.
type Checker struct {
	nonces nonces
	// NeedsNonce requires a nonce of the server in every proof.
	NeedsNonce bool
	// Skew is the largest error of a client's or another replica's clock.
	Skew time.Duration
	Now  func() time.Time
}

// claims are the claims of a proof (RFC 9449 §4.2).
type claims struct {
	ID     *string  `json:"jti"`
	Method *string  `json:"htm"`
	URL    *string  `json:"htu"`
	Issued *float64 `json:"iat"`
	Token  *string  `json:"ath"`
	// Nonce is kept as it is written: null is no nonce, and not none.
	Nonce json.RawMessage `json:"nonce"`
}

// Check checks the proof in a request's DPoP headers (RFC 9449 §4.3). It returns a
// nil Proof if there is none. A refusal says what is wrong with the proof, because
// that does not help anyone without the key.
func (c *Checker) Check(headers []string, r Request) (*Proof, *refusal.Error) {
	switch {
	case len(headers) == 0:
		return nil, nil
	case len(headers) > 1:
		return nil, refuse(audit.ReasonRepeatedProof, "There is more than one DPoP header.")
	case len(headers[0]) > maxProof:
		return nil, refuse(audit.ReasonMalformedProof, "The DPoP proof is too large.")
	}
	signed, err := jws.Parse(headers[0])
	var said claims
	if err != nil || signed.Header.Typ != "dpop+jwt" || strictjson.Unmarshal(signed.Payload, &said) != nil {
		return nil, refuse(audit.ReasonMalformedProof, "The DPoP proof is no JWT of the typ dpop+jwt in compact form.")
	}
	if !slices.Contains(Algs(), signed.Header.Alg) {
		return nil, refuse(audit.ReasonProofKey, "The DPoP proof is to be signed with one of "+strings.Join(Algs(), ", ")+".")
	}
	key, ok := publicKey(signed.Header.JWK)
	if !ok || !slices.Contains(jws.AlgsOf(key.Key), signed.Header.Alg) {
		return nil, refuse(audit.ReasonProofKey, "The jwk in the header of the DPoP proof is to be a public key, and one for its alg: EC on P-256, Ed25519, or RSA of 2048 to 4096 bits.")
	}
	if !signed.SignedBy(key.Key) {
		return nil, refuse(audit.ReasonProofSignature, "The DPoP proof is not signed with the key in its header.")
	}
	p := &Proof{Thumbprint: key.Thumbprint}
	return p, c.judge(p, said, r)
}

// judge checks the claims of a proof with a valid signature.
func (c *Checker) judge(p *Proof, said claims, r Request) *refusal.Error {
	now := c.Now()
	switch {
	case said.ID == nil || *said.ID == "" || len(*said.ID) > maxJTI:
		return refuse(audit.ReasonMalformedProof, "The DPoP proof needs a jti of at most 512 bytes.")
	case said.Method == nil || said.URL == nil || said.Issued == nil:
		return refuse(audit.ReasonMalformedProof, "The DPoP proof needs htm, htu and iat.")
	case *said.Method != r.Method || !sameURL(*said.URL, r.URL):
		return refuse(audit.ReasonProofTarget, "The DPoP proof is for another request: its htm is to be "+r.Method+", its htu "+r.URL+".")
	case r.Token != "" && (said.Token == nil || *said.Token != Hash(r.Token)):
		return refuse(audit.ReasonProofToken, "The ath of the DPoP proof is not the hash of the access token.")
	}
	if said.Nonce == nil {
		return c.judgeTime(p, *said.ID, *said.Issued, now)
	}
	var nonce *string
	if json.Unmarshal(said.Nonce, &nonce) != nil || nonce == nil {
		return refuse(audit.ReasonMalformedProof, "The nonce of the DPoP proof is to be text.")
	}
	// A valid nonce shows when the proof was made, even if the client's clock is
	// wrong.
	made, ok := c.nonces.read(*nonce)
	if !ok || now.Sub(made) > nonceLife || made.Sub(now) > c.Skew {
		return c.ask(audit.ReasonProofNonce, now)
	}
	p.name(*said.ID, made, nonceLife+2*c.Skew)
	return nil
}

// name sets ID and Until of a proof that was made at that time and is accepted for
// life. The time comes first in the ID, so that a store inserts them in order.
func (p *Proof) name(jti string, made time.Time, life time.Duration) {
	p.ID = fmt.Sprintf("dpop %x %s", made.Unix(), Hash(p.Thumbprint+"\x00"+jti))
	p.Until = made.Add(life)
}

// judgeTime checks the time of a proof without a nonce.
func (c *Checker) judgeTime(p *Proof, jti string, issued float64, now time.Time) *refusal.Error {
	if c.NeedsNonce {
		return c.ask(audit.ReasonNoProofNonce, now)
	}
	age := float64(now.UnixMilli())/1000 - issued
	if age > (maxAge+c.Skew).Seconds() || age < -c.Skew.Seconds() {
		e := refuse(audit.ReasonProofTime, "The iat of the DPoP proof is not the time of the server: make one for each request, or say the nonce of the DPoP-Nonce header.")
		e.Nonce = c.nonces.make(now)
		return e
	}
	p.name(jti, time.Unix(int64(issued), 0), maxAge+time.Second+2*c.Skew)
	return nil
}

// ask returns a refusal that requests another proof with a nonce (RFC 9449 §8, §9).
func (c *Checker) ask(reason audit.Reason, now time.Time) *refusal.Error {
	e := refusal.New(refusal.NeedsNonce, reason, "")
	e.Nonce = c.nonces.make(now)
	return e
}

func refuse(reason audit.Reason, text string) *refusal.Error {
	return refusal.New(refusal.BadProof, reason, text)
}

// publicKey parses the jwk of a proof's header.
func publicKey(text json.RawMessage) (jws.Key, bool) {
	key, err := jws.ParseKey(text)
	if wide, ok := key.Key.(*rsa.PublicKey); ok && wide.N.BitLen() > maxRSABits {
		return key, false
	}
	return key, err == nil
}

// Hash returns the SHA-256 of text in base64url. That of an access token is the ath
// of its proofs.
func Hash(text string) string {
	sum := sha256.Sum256([]byte(text))
	return base64url.Encode(sum[:])
}
