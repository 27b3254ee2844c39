package oauth

import (
	"crypto/ed25519"
	"encoding/base64"
	"encoding/json"
	"errors"
	"strings"

	"github.com/go-jose/go-jose/v4"

	"github.com/keyturn/keyturn/internal/strictjson"
)

// algEd25519 is the name that RFC 9864 gives to what EdDSA leaves open; go-jose
// does not know it.
const algEd25519 = "Ed25519"

// assertionAlgs are the algorithms of client assertions, all asymmetric, as far as
// go-jose knows them.
var assertionAlgs = []jose.SignatureAlgorithm{
	jose.ES256, jose.ES384, jose.ES512, jose.EdDSA, jose.PS256, jose.PS384, jose.PS512, jose.RS256, jose.RS384, jose.RS512,
}

// AssertionAlgs lists the algorithms that a client assertion may be signed
// with.
func AssertionAlgs() []string {
	names := make([]string, 0, len(assertionAlgs)+1)
	for _, alg := range assertionAlgs {
		if names = append(names, string(alg)); alg == jose.EdDSA {
			names = append(names, algEd25519)
		}
	}
	return names
}

// compactJWS is a JWS in compact form (RFC 7515 §3.1), read strictly: base64url
// without padding, line breaks or bits to spare, and a header whose names are met
// exactly and that asks for no extension.
type compactJWS struct {
	text      string
	header    jwsHeader
	payload   []byte
	signature []byte
}

type jwsHeader struct {
	Alg  string          `json:"alg"`
	Kid  string          `json:"kid"`
	Typ  string          `json:"typ"`
	Crit json.RawMessage `json:"crit"`
	B64  json.RawMessage `json:"b64"`
}

var errNoJWS = errors.New("it is no JWS of the form that is due")

// base64url has the characters of the compact form's parts. encoding/base64 would
// pass over line breaks.
const base64url = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_"

func parseCompactJWS(text string) (compactJWS, error) {
	parts := strings.Split(text, ".")
	if len(parts) != 3 || strings.Trim(text, base64url+".") != "" {
		return compactJWS{}, errNoJWS
	}
	decoded := make([][]byte, len(parts))
	for i, part := range parts {
		for _, c := range []byte(part) {
			if strings.IndexByte(base64url, c) < 0 {
				return compactJWS{}, errNoJWS
			}
		}
		var err error
		if decoded[i], err = base64.RawURLEncoding.Strict().DecodeString(part); err != nil {
			return compactJWS{}, errNoJWS
		}
	}
	j := compactJWS{text: text, payload: decoded[1], signature: decoded[2]}
	if err := strictjson.Unmarshal(decoded[0], &j.header); err != nil || j.header.Crit != nil || j.header.B64 != nil {
		return compactJWS{}, errNoJWS
	}
	return j, nil
}

// signedBy reports whether a public key made the signature, by the algorithm that
// the header names.
func (j compactJWS) signedBy(key any) bool {
	if j.header.Alg == algEd25519 {
		public, ok := key.(ed25519.PublicKey)
		return ok && len(public) == ed25519.PublicKeySize && ed25519.Verify(public, []byte(j.text[:strings.LastIndexByte(j.text, '.')]), j.signature)
	}
	signed, err := jose.ParseSignedCompact(j.text, assertionAlgs)
	if err != nil {
		return false
	}
	_, err = signed.Verify(key)
	return err == nil
}
