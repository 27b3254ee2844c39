package main

import (
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/sha256"
	"encoding/base64"
	"encoding/json"
	"fmt"
	"time"

	"github.com/go-jose/go-jose/v4"
)

const (
	// proofsPerCPU is for how many requests a second on each processor proofs are made
	// beforehand.
	proofsPerCPU = 4000
	// proofLife is how long a proof is used: a server need not take one that is older
	// than a minute.
	proofLife = 45 * time.Second
)

// holder is a client with a key (RFC 9449).
type holder struct {
	key *ecdsa.PrivateKey
	url string
	// header is that of every proof, encoded.
	header string
	// stock are proofs made beforehand, at that time.
	stock []string
	made  time.Time
}

func newHolder(t *target) (*holder, error) {
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		return nil, err
	}
	header, err := json.Marshal(map[string]any{"typ": "dpop+jwt", "alg": "ES256", "jwk": jose.JSONWebKey{Key: &key.PublicKey}})
	if err != nil {
		return nil, err
	}
	return &holder{key: key, url: t.url + tokenPath, header: base64.RawURLEncoding.EncodeToString(header)}, nil
}

// prove appends the request with that body to buf, with a proof unless h is nil.
func (h *holder) prove(p post, buf, body []byte) []byte {
	if h == nil {
		return p.append(buf, body)
	}
	return p.append(buf, body, "\r\nDPoP: ", h.next())
}

// prepare makes the proofs of that many requests.
func (h *holder) prepare(requests int) {
	h.stock, h.made = h.stock[:0], time.Now()
	for range requests {
		h.stock = append(h.stock, h.proof())
	}
}

// next returns a proof that was made beforehand, or a new one.
func (h *holder) next() string {
	last := len(h.stock) - 1
	if last < 0 || time.Since(h.made) > proofLife {
		return h.proof()
	}
	proof := h.stock[last]
	h.stock = h.stock[:last]
	return proof
}

func (h *holder) proof() string {
	claims := fmt.Sprintf(`{"jti":%q,"htm":"POST","htu":%q,"iat":%d}`, rand.Text(), h.url, time.Now().Unix())
	input := h.header + "." + base64.RawURLEncoding.EncodeToString([]byte(claims))
	sum := sha256.Sum256([]byte(input))
	r, s, err := ecdsa.Sign(rand.Reader, h.key, sum[:])
	if err != nil {
		panic(err) // a good key signs
	}
	signature := append(r.FillBytes(make([]byte, 32)), s.FillBytes(make([]byte, 32))...)
	return input + "." + base64.RawURLEncoding.EncodeToString(signature)
}
