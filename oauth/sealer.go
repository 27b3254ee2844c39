package oauth

import (
	"crypto/aes"
	"crypto/cipher"
	"encoding/json"
	"strings"

	"github.com/keyturn/keyturn/internal/base64url"
	"github.com/keyturn/keyturn/keys"
)

// sealer seals what goes through other hands and comes back: a code, a pushed
// request. Immutable after creation.
type sealer struct {
	prefix  string
	primary cipher.AEAD
	all     []cipher.AEAD
}

// maxSealed bounds what is taken for something sealed, in bytes.
const maxSealed = 8 << 10

// newSealer returns the sealer of texts with that prefix, for the purpose named.
func newSealer(m *keys.Masters, prefix, purpose string) *sealer {
	k := &sealer{prefix: prefix}
	for _, id := range m.IDs() {
		key, _ := m.Derive(id, "keyturn/"+purpose+"/v1")
		block, err := aes.NewCipher(key)
		if err != nil {
			panic(err) // the key has the right length
		}
		aead, err := cipher.NewGCMWithRandomNonce(block)
		if err != nil {
			panic(err) // so has the block
		}
		if k.all = append(k.all, aead); id == m.Primary() {
			k.primary = aead
		}
	}
	return k
}

// seal seals texts and numbers, which can always be encoded.
func (k *sealer) seal(v any) string {
	text, _ := json.Marshal(v)
	return k.prefix + base64url.Encode(k.primary.Seal(nil, nil, text, []byte(k.prefix)))
}

// open puts into v what seal was given.
func (k *sealer) open(sealed string, v any) error {
	encoded, ok := strings.CutPrefix(sealed, k.prefix)
	if !ok || len(encoded) > maxSealed {
		return errMalformed
	}
	raw, err := base64url.Decode(encoded)
	if err != nil {
		return errMalformed
	}
	for _, aead := range k.all {
		if text, err := aead.Open(nil, nil, raw, []byte(k.prefix)); err == nil {
			return json.Unmarshal(text, v)
		}
	}
	return errForged
}
