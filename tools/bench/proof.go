package main

import (
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/sha256"
	"encoding/base64"
	"encoding/json"
	"fmt"
	"strconv"
	"time"

	"github.com/go-jose/go-jose/v4"
)

// holder is a client with a key (RFC 9449).
type holder struct {
	key *ecdsa.PrivateKey
	url string
	// header is that of every proof, encoded.
	header string
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
	claims := fmt.Sprintf(`{"jti":%q,"htm":"POST","htu":%q,"iat":%s}`, rand.Text(), h.url, strconv.FormatInt(time.Now().Unix(), 10))
	input := h.header + "." + base64.RawURLEncoding.EncodeToString([]byte(claims))
	sum := sha256.Sum256([]byte(input))
	r, s, err := ecdsa.Sign(rand.Reader, h.key, sum[:])
	if err != nil {
		panic(err) // a good key signs
	}
	signature := append(r.FillBytes(make([]byte, 32)), s.FillBytes(make([]byte, 32))...)
	return p.append(buf, body, "\r\nDPoP: ", input, ".", base64.RawURLEncoding.EncodeToString(signature))
}
