package keys

import (
	"bytes"
	"crypto"
	"encoding/base64"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"strings"
	"sync"

	"github.com/keyturn/keyturn/internal/base64url"
)

// maxToken bounds the size of a token that is parsed, in bytes.
const maxToken = 16 << 10

var (
	// errUnknownKey means that the token names a key that is not published: a
	// foreign, expired or revoked one (K6).
	errUnknownKey = errors.New("token was not signed by a key in force")
	// errBadToken means that the token does not have the form of Keyturn's
	// tokens, or that its signature is wrong.
	errBadToken = errors.New("token is malformed or its signature is wrong")
)

// signer is the private half of a key. It signs compact JWS (RFC 7515 §3.1).
type signer struct {
	alg     string
	kid     string
	private crypto.Signer
	// headers caches the encoded header of each typ; there are a few only.
	headers sync.Map
}

func (s *signer) sign(typ string, payload []byte) (string, error) {
	header, err := s.header(typ)
	if err != nil {
		return "", err
	}
	enc := base64.RawURLEncoding
	const roomForSignature = 600
	buf := make([]byte, 0, len(header)+enc.EncodedLen(len(payload))+roomForSignature)
	buf = append(buf, header...)
	buf = append(buf, '.')
	buf = enc.AppendEncode(buf, payload)
	sig, err := sign(s.alg, s.private, buf)
	if err != nil {
		return "", fmt.Errorf("signing with key %s: %w", s.kid, err)
	}
	buf = append(buf, '.')
	buf = enc.AppendEncode(buf, sig)
	return string(buf), nil
}

func (s *signer) header(typ string) (string, error) {
	if h, ok := s.headers.Load(typ); ok {
		return h.(string), nil
	}
	text, err := json.Marshal(struct {
		Alg string `json:"alg"`
		Typ string `json:"typ"`
		KID string `json:"kid"`
	}{s.alg, typ, s.kid})
	if err != nil {
		return "", err
	}
	h := base64url.Encode(text)
	s.headers.Store(typ, h)
	return h, nil
}

// token is a parsed compact JWS, not yet verified.
type token struct {
	tokenHeader
	// input is the signed text.
	input, payload, signature []byte
}

type tokenHeader struct{ alg, kid, typ string }

// parseToken parses a compact JWS strictly: the header has alg, kid and typ, each
// once and in this spelling, and nothing else. That excludes crit, b64, jwk, jku
// and the like (RFC 8725 §2).
func parseToken(compact string) (token, error) {
	parts, ok := compactParts(compact)
	if !ok {
		return token{}, errBadToken
	}
	header, err := parseHeader(parts[0])
	if err != nil {
		return token{}, errBadToken
	}
	input := compact[:strings.LastIndexByte(compact, '.')]
	return token{tokenHeader: header, input: []byte(input), payload: parts[1], signature: parts[2]}, nil
}

func parseHeader(text []byte) (tokenHeader, error) {
	var h tokenHeader
	in := json.NewDecoder(bytes.NewReader(text))
	if t, err := in.Token(); err != nil || t != json.Delim('{') {
		return h, errBadToken
	}
	for in.More() {
		name, err := in.Token()
		if err != nil {
			return h, err
		}
		value, err := in.Token()
		if err != nil {
			return h, err
		}
		text, ok := value.(string)
		member := map[any]*string{"alg": &h.alg, "kid": &h.kid, "typ": &h.typ}[name]
		if !ok || text == "" || member == nil || *member != "" {
			return h, errBadToken
		}
		*member = text
	}
	if _, err := in.Token(); err != nil || h.alg == "" || h.kid == "" || h.typ == "" {
		return h, errBadToken
	}
	if _, err := in.Token(); err != io.EOF {
		return h, errBadToken
	}
	return h, nil
}

// compactParts splits s into three parts of strict base64url, so that a token has
// one spelling only.
func compactParts(s string) (parts [3][]byte, ok bool) {
	if len(s) > maxToken || strings.Count(s, ".") != len(parts)-1 {
		return parts, false
	}
	n := 0
	for part := range strings.SplitSeq(s, ".") {
		decoded, err := base64url.Decode(part)
		if err != nil || part == "" {
			return parts, false
		}
		parts[n] = decoded
		n++
	}
	return parts, true
}

// verify returns the payload if the key signed the token and the token has type
// typ.
func (v *verifier) verify(t token, typ string) ([]byte, error) {
	if t.kid != v.kid || t.alg != v.alg || mediaType(t.typ) != mediaType(typ) {
		return nil, errBadToken
	}
	if !verifies(v.alg, v.key, t.input, t.signature) {
		return nil, errBadToken
	}
	return t.payload, nil
}

// mediaType makes typ values comparable (RFC 7515 §4.1.9).
func mediaType(typ string) string {
	return strings.TrimPrefix(strings.ToLower(typ), "application/")
}

// Verify checks a compact JWS against this one key, whatever its state. It is for
// signatures that have to be verifiable for ever, such as the checkpoints of the
// audit log; use Ring.Verify for tokens. It returns the payload.
func (r Record) Verify(compact, typ string) ([]byte, error) {
	v, err := openPublic(r)
	if err != nil {
		return nil, fmt.Errorf("key %s: %w", r.KID, err)
	}
	t, err := parseToken(compact)
	if err != nil {
		return nil, err
	}
	return v.verify(t, typ)
}
