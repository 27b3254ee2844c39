package passwords

import (
	"crypto/md5"
	"crypto/sha1"
	"crypto/sha256"
	"crypto/sha512"
	"crypto/subtle"
	"encoding/base64"
	"encoding/hex"
	"fmt"
	"hash"
	"strings"
)

// digestHash is one digest of a password with or without a salt: a directory's
// userPassword, Django's md5$ and sha1$, and plain MD5 in hexadecimal.
type digestHash struct {
	name         string // "md5", "sha1", "sha256" or "sha512"
	saltFirst    bool
	salt, digest []byte
}

// digestFunctions are the hash functions of a digestHash by name.
var digestFunctions = map[string]func() hash.Hash{
	"md5": md5.New, "sha1": sha1.New, "sha256": sha256.New, "sha512": sha512.New,
}

// directoryDigests are the labels of RFC 2307, OpenLDAP and Dovecot. The salt,
// if any, follows the digest.
var directoryDigests = map[string]string{
	"{MD5}": "md5", "{SMD5}": "md5", "{PLAIN-MD5}": "md5", "{LDAP-MD5}": "md5", "{SHA}": "sha1", "{SHA1}": "sha1", "{SSHA}": "sha1",
	"{SHA256}": "sha256", "{SSHA256}": "sha256", "{SHA512}": "sha512", "{SSHA512}": "sha512",
}

// parseDirectoryDigest parses {SSHA} followed by the digest and its salt in
// base64, or in hexadecimal as Dovecot may write it.
func parseDirectoryDigest(encoded string) (scheme, error) {
	end := strings.IndexByte(encoded, '}') + 1
	name, known := directoryDigests[strings.ToUpper(encoded[:end])]
	if !known {
		return nil, fmt.Errorf("password hash has a label that is not known: %s, {MD5}, {SMD5}, {SHA}, {SSHA}, {SHA256}, {SSHA256}, {SHA512} and {SSHA512} are accepted",
			strings.Join(labels, ", "))
	}
	h := digestHash{name: name}
	size := digestFunctions[name]().Size()
	// The length does not tell them apart: that of a digest in hexadecimal is also
	// that of one in base64 with some lengths of salt.
	both, err := hex.DecodeString(encoded[end:])
	if err != nil || len(both) != size {
		both, err = base64.StdEncoding.Strict().DecodeString(encoded[end:])
	}
	if err != nil || len(both) < size || len(both) > size+maxSaltBytes {
		return nil, fmt.Errorf("%s hash must be the base64 of %d bytes and at most %d of salt", name, size, maxSaltBytes)
	}
	h.digest, h.salt = both[:size], both[size:]
	return h, nil
}

// parseDjangoDigest parses md5$salt$hash and sha1$salt$hash, in hexadecimal. The
// salt may be empty.
func parseDjangoDigest(encoded string) (scheme, error) {
	f := strings.Split(encoded, "$")
	if len(f) != 3 || len(f[1]) > maxSaltBytes {
		return nil, fmt.Errorf("%s hash must have a salt of at most %d bytes and a hash, as in %s$salt$hash", f[0], maxSaltBytes, f[0])
	}
	return hexDigest(f[0], f[1], f[2])
}

func hexDigest(name, salt, digest string) (scheme, error) {
	d, err := hex.DecodeString(digest)
	if size := digestFunctions[name]().Size(); err != nil || len(d) != size {
		return nil, fmt.Errorf("%s hash must end in %d hexadecimal digits", name, 2*size)
	}
	return digestHash{name: name, saltFirst: true, salt: []byte(salt), digest: d}, nil
}

// isHexMD5 reports whether encoded is 32 hexadecimal digits, the former format
// of WordPress and Django.
func isHexMD5(encoded string) bool {
	_, err := hex.DecodeString(encoded)
	return err == nil && len(encoded) == 2*md5.Size
}

func (h digestHash) digestOf(password string) string {
	parts := [][]byte{[]byte(password), h.salt}
	if h.saltFirst {
		parts[0], parts[1] = parts[1], parts[0]
	}
	return hex.EncodeToString(sum(digestFunctions[h.name], parts...))
}

func (h digestHash) matches(password string) bool {
	return subtle.ConstantTimeCompare([]byte(h.digestOf(password)), []byte(h.ownDigest())) == 1
}

func (digestHash) check() error { return nil }

func (h digestHash) kind() kind { return kind{h.name, 1} }

func (digestHash) memoryKiB() uint32 { return 0 }

func (h digestHash) spend(times uint64, password string) {
	for range times {
		h.digestOf(password)
	}
}

func (h digestHash) blank() string {
	return digestHash{name: h.name, digest: h.digest, saltFirst: true}.bare()
}

func (h digestHash) ownDigest() string { return hex.EncodeToString(h.digest) }

func (digestHash) weak() bool { return true }

func (h digestHash) bare() string {
	none := make([]byte, len(h.digest))
	if h.saltFirst {
		return h.name + "$" + string(h.salt) + "$" + hex.EncodeToString(none)
	}
	return "{S" + strings.ToUpper(strings.TrimSuffix(h.name, "1")) + "}" + base64.StdEncoding.EncodeToString(append(none, h.salt...))
}
