package keys

import (
	"crypto"
	"encoding/base64"
	"encoding/json"
	"errors"
	"fmt"
	"strings"
	"sync"

	jose "github.com/go-jose/go-jose/v4"
)

// maxToken bounds what is looked at before a signature has been checked.
const maxToken = 16 << 10

var (
	// errUnknownKey means that the token names a key that is not published:
	// none of ours, expired, or revoked (K6).
	errUnknownKey = errors.New("token was not signed by a key in force")
	// errBadToken means that the token is not one that Keyturn makes, or that
	// its signature is wrong.
	errBadToken = errors.New("token is malformed or its signature is wrong")
)

// signer is the private half of a key. It makes compact JWS (RFC 7515 §3.1).
type signer struct {
	alg     string
	kid     string
	private crypto.Signer
	// headers holds the encoded header of each typ; there are a few only.
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
	h := base64.RawURLEncoding.EncodeToString(text)
	s.headers.Store(typ, h)
	return h, nil
}

// token is a compact JWS that was taken apart but not yet verified.
type token struct {
	jws *jose.JSONWebSignature
	kid string
	alg string
	typ string
}

// parseToken is strict: the header has alg, kid and typ and nothing else, as
// ours do. That leaves out crit, b64, jwk, jku and all their like (RFC 8725 §2).
func parseToken(compact string) (token, error) {
	if len(compact) > maxToken || !compactForm(compact) {
		return token{}, errBadToken
	}
	jws, err := jose.ParseSignedCompact(compact, allAlgorithms)
	if err != nil || len(jws.Signatures) != 1 {
		return token{}, errBadToken
	}
	var header map[string]any
	raw, err := base64.RawURLEncoding.DecodeString(compact[:strings.IndexByte(compact, '.')])
	if err != nil || json.Unmarshal(raw, &header) != nil || len(header) != 3 {
		return token{}, errBadToken
	}
	h := jws.Signatures[0].Protected
	typ, ok := h.ExtraHeaders[jose.HeaderType].(string)
	if !ok || h.KeyID == "" || h.Algorithm == "" {
		return token{}, errBadToken
	}
	return token{jws: jws, kid: h.KeyID, alg: h.Algorithm, typ: typ}, nil
}

// compactForm reports whether s is three parts of strict base64url, so that a
// token has one spelling only.
func compactForm(s string) bool {
	parts := 0
	for part := range strings.SplitSeq(s, ".") {
		parts++
		// The decoder skips line breaks, which are no part of base64url.
		if part == "" || strings.ContainsAny(part, "\r\n") {
			return false
		}
		if _, err := base64.RawURLEncoding.Strict().DecodeString(part); err != nil {
			return false
		}
	}
	return parts == 3
}

// verify returns the payload if the token was signed by the key and has the
// type asked for.
func (v *verifier) verify(t token, typ string) ([]byte, error) {
	if t.kid != v.kid || t.alg != v.alg || mediaType(t.typ) != mediaType(typ) {
		return nil, errBadToken
	}
	payload, err := t.jws.Verify(v.key)
	if err != nil {
		return nil, errBadToken
	}
	return payload, nil
}

// mediaType makes typ values comparable (RFC 7515 §4.1.9).
func mediaType(typ string) string {
	return strings.TrimPrefix(strings.ToLower(typ), "application/")
}

// Verify checks a compact JWS against this one key, whatever the key may do
// now: it is for what has to be verified for ever, such as the checkpoints of
// the audit log. It returns the payload, or an error. For tokens use
// Ring.Verify.
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
