package oauth

import (
	"crypto/hmac"
	"crypto/rand"
	"crypto/sha256"
	"crypto/subtle"
	"encoding/binary"
	"errors"
	"fmt"
	"hash"
	"hash/crc32"
	"strings"
	"sync"

	"github.com/google/uuid"

	"github.com/keyturn/keyturn/internal/base64url"
	"github.com/keyturn/keyturn/keys"
)

// A refresh token is
//
//	"kt_rt_" base64url( family 16 | generation 6 | mac 32 | tag 8 | crc32 4 )
//
// and so is, under another prefix and other keys, the cookie of a browser's log-in.
// The crc32 (IEEE, over all bytes before it) lets a secret scanner tell a
// leaked token from noise. The tag is a short MAC under the master secret
// alone: what Keyturn did not make is turned away before the store is asked.
// The mac, under a key derived from the master secret and the family's salt,
// is what makes the token: neither the store without the master secret nor the
// master secret without the store can make one (F4). Being derived, the token
// of a generation can be told again when its answer was lost (F2).
const (
	refreshPrefix = "kt_rt_"
	rawTokenLen   = 16 + 6 + 32 + 8 + 4
	maxGeneration = 1<<48 - 1
	saltLen       = 16
)

var (
	errMalformed = errors.New("not a refresh token")
	errForged    = errors.New("refresh token was not made here")
)

// tokenKeys derives and checks refresh tokens. Immutable after creation.
type tokenKeys struct {
	prefix  string
	primary string
	byID    map[string]masterKeys
	order   []string
}

type masterKeys struct{ family, tag *keyed }

// keyed is HMAC-SHA256 under one key. It keeps the hashes that it made, whose
// setting up costs as much as a short message. Safe for concurrent use.
type keyed struct{ hashes sync.Pool }

func newKeyed(key []byte) *keyed {
	return &keyed{sync.Pool{New: func() any { return hmac.New(sha256.New, key) }}}
}

// appendSum appends the MAC over the parts, one after the other, to b.
func (k *keyed) appendSum(b []byte, parts ...[]byte) []byte {
	h := k.hashes.Get().(hash.Hash)
	h.Reset()
	for _, p := range parts {
		h.Write(p)
	}
	b = h.Sum(b)
	k.hashes.Put(h)
	return b
}

// newTokenKeys returns the keys of tokens with that prefix, for the purpose named.
func newTokenKeys(m *keys.Masters, prefix, purpose string) *tokenKeys {
	k := &tokenKeys{prefix: prefix, primary: m.Primary(), byID: map[string]masterKeys{}, order: m.IDs()}
	for _, id := range k.order {
		family, _ := m.Derive(id, "keyturn/"+purpose+"/v1")
		tag, _ := m.Derive(id, "keyturn/"+purpose+"-tag/v1")
		k.byID[id] = masterKeys{family: newKeyed(family), tag: newKeyed(tag)}
	}
	return k
}

// presented is a refresh token whose outer tag is good: it was made here, if
// its mac holds as well.
type presented struct {
	familyID   string
	generation int64
	masterID   string
	mac        [32]byte
}

// parseToken reads a token and checks its outer tag. It asks no store.
func (k *tokenKeys) parseToken(token string) (presented, error) {
	raw, err := decodeToken(k.prefix, token)
	if err != nil {
		return presented{}, err
	}
	body, tag := raw[:54], raw[54:62]
	for _, id := range k.order {
		if subtle.ConstantTimeCompare(outerTag(k.byID[id].tag, body), tag) == 1 {
			p := presented{masterID: id, familyID: uuid.UUID(raw[:16]).String(), generation: uint48(raw[16:22])}
			copy(p.mac[:], raw[22:54])
			return p, nil
		}
	}
	return presented{}, errForged
}

// decodeToken undoes the encoding and checks the crc32.
func decodeToken(prefix, token string) ([]byte, error) {
	encoded, ok := strings.CutPrefix(token, prefix)
	raw, err := base64url.Decode(encoded)
	if err != nil || !ok || len(raw) != rawTokenLen {
		return nil, errMalformed
	}
	end := rawTokenLen - 4
	if crc32.ChecksumIEEE(raw[:end]) != binary.BigEndian.Uint32(raw[end:]) {
		return nil, errMalformed
	}
	return raw, nil
}

// verify checks the inner mac against the family's salt.
func (k *tokenKeys) verify(p presented, f Family) error {
	id, err := uuid.Parse(f.ID)
	if err != nil {
		return fmt.Errorf("session id %q is not a UUID", f.ID)
	}
	if !hmac.Equal(p.mac[:], k.mac(k.byID[p.masterID], id, f.Salt, p.generation)) {
		return errForged
	}
	return nil
}

// derive makes the token of the family's live generation.
func (k *tokenKeys) derive(f Family) (string, error) {
	master, ok := k.byID[f.MasterID]
	if !ok {
		return "", &keys.MissingMasterError{ID: f.MasterID}
	}
	if f.Generation < 0 || f.Generation > maxGeneration {
		return "", fmt.Errorf("session %s has generation %d, out of range", f.ID, f.Generation)
	}
	id, err := uuid.Parse(f.ID)
	if err != nil {
		return "", fmt.Errorf("session id %q is not a UUID", f.ID)
	}
	raw := make([]byte, 0, rawTokenLen)
	raw = append(raw, id[:]...)
	raw = appendUint48(raw, f.Generation)
	raw = append(raw, k.mac(master, id, f.Salt, f.Generation)...)
	raw = append(raw, outerTag(master.tag, raw)...)
	raw = binary.BigEndian.AppendUint32(raw, crc32.ChecksumIEEE(raw))
	return k.prefix + base64url.Encode(raw), nil
}

func (k *tokenKeys) mac(m masterKeys, id uuid.UUID, salt []byte, generation int64) []byte {
	h := hmac.New(sha256.New, m.family.appendSum(nil, id[:], salt))
	h.Write(id[:])
	h.Write(appendUint48(nil, generation))
	return h.Sum(nil)
}

func outerTag(key *keyed, body []byte) []byte { return key.appendSum(nil, body)[:8] }

func newSalt() []byte {
	salt := make([]byte, saltLen)
	rand.Read(salt) // never fails: crypto/rand.Read crashes the program instead
	return salt
}

func uint48(b []byte) int64 {
	return int64(b[0])<<40 | int64(b[1])<<32 | int64(binary.BigEndian.Uint32(b[2:]))
}

func appendUint48(b []byte, n int64) []byte {
	b = append(b, byte(n>>40), byte(n>>32))
	return binary.BigEndian.AppendUint32(b, uint32(n))
}
