package passwords

import (
	"crypto/md5"
	"crypto/sha256"
	"crypto/sha512"
	"crypto/subtle"
	"fmt"
	"hash"
	"strings"
)

const (
	minShaCryptRounds     = 1000
	maxShaCryptRounds     = 1_000_000
	defaultShaCryptRounds = 5000
	maxShaCryptSalt       = 16
	md5CryptRounds        = 1000
	maxMD5CryptSalt       = 8
	// maxCryptPassword bounds the password bytes that Unix's crypt and phpass
	// hash, because each round hashes the whole password again. A longer password
	// never matches, after the same work.
	maxCryptPassword = 256
)

// cryptAlphabet is the base64 alphabet of Unix's crypt, which encodes the least
// significant bits first.
const cryptAlphabet = "./0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz"

// cryptHash is a sha256crypt, sha512crypt, or BSD or Apache md5crypt hash.
type cryptHash struct {
	ident  string // "5", "6", "1" or "apr1"
	rounds uint32 // of the SHA schemes; given says whether the text states them
	given  bool
	salt   string
	digest string // encoded
}

// parseCrypt parses $5$rounds=5000$salt$hash, the same without rounds, and
// $1$salt$hash.
func parseCrypt(encoded string) (scheme, error) {
	f := strings.Split(encoded, "$")
	h := cryptHash{ident: f[1]}
	fields := f[2:]
	if h.isSHA() {
		h.rounds = defaultShaCryptRounds
		if rounds, ok := strings.CutPrefix(fields[0], "rounds="); ok {
			n, err := parseNumber(rounds)
			if err != nil {
				return nil, fmt.Errorf("%s hash: the number of rounds %w", h.name(), err)
			}
			h.rounds, h.given, fields = n, true, fields[1:]
		}
	}
	if len(fields) != 2 {
		return nil, fmt.Errorf("%s hash must have a salt and a hash, as in $%s$salt$hash", h.name(), h.ident)
	}
	h.salt, h.digest = fields[0], fields[1]
	most := maxMD5CryptSalt
	if h.isSHA() {
		most = maxShaCryptSalt
	}
	if len(h.salt) > most || strings.ContainsFunc(h.salt, func(r rune) bool { return r <= ' ' || r > '~' || r == ':' }) {
		return nil, fmt.Errorf("%s hash: a salt of at most %d visible ASCII characters is accepted", h.name(), most)
	}
	if len(h.digest) != h.digestLength() || strings.Trim(h.digest, cryptAlphabet) != "" {
		return nil, fmt.Errorf("%s hash must end in %d of the characters ./0-9A-Za-z", h.name(), h.digestLength())
	}
	return h, nil
}

func (h cryptHash) isSHA() bool { return h.ident == "5" || h.ident == "6" }

func (h cryptHash) name() string {
	switch h.ident {
	case "5":
		return "sha256crypt"
	case "6":
		return "sha512crypt"
	}
	return "md5crypt"
}

func (h cryptHash) digestLength() int {
	switch h.ident {
	case "5":
		return 43
	case "6":
		return 86
	}
	return 22
}

// setting returns the encoded hash without the digest.
func (h cryptHash) setting() string {
	if h.given {
		return fmt.Sprintf("$%s$rounds=%d$%s$", h.ident, h.rounds, h.salt)
	}
	return fmt.Sprintf("$%s$%s$", h.ident, h.salt)
}

func (h cryptHash) digestOf(password string) string {
	looked := password[:min(len(password), maxCryptPassword)]
	if h.isSHA() {
		return orNone(h.shaCrypt([]byte(looked)), looked == password)
	}
	return orNone(h.md5Crypt([]byte(looked)), looked == password)
}

// orNone returns the digest of a whole password. Otherwise it returns a text that
// no digest equals.
func orNone(digest string, whole bool) string {
	if !whole {
		digest += "!"
	}
	return digest
}

func (h cryptHash) matches(password string) bool {
	return subtle.ConstantTimeCompare([]byte(h.digestOf(password)), []byte(h.digest)) == 1
}

func (h cryptHash) check() error {
	if h.isSHA() && (h.rounds < minShaCryptRounds || h.rounds > maxShaCryptRounds) {
		return fmt.Errorf("%s of %d rounds: %d to %d are accepted", h.name(), h.rounds, minShaCryptRounds, maxShaCryptRounds)
	}
	return nil
}

// kind counts rounds for the SHA schemes. md5crypt has a fixed cost.
func (h cryptHash) kind() kind {
	if h.isSHA() {
		return kind{h.name(), uint64(h.rounds)}
	}
	return kind{h.name(), 1}
}

func (cryptHash) memoryKiB() uint32 { return 0 }

func (h cryptHash) spend(cost uint64, password string) {
	if h.isSHA() {
		h.rounds = uint32(min(cost, maxShaCryptRounds))
		h.digestOf(password)
		return
	}
	for range cost {
		h.digestOf(password)
	}
}

func (h cryptHash) blank() string {
	if h.ident == "apr1" {
		h.ident = "1"
	}
	h.given, h.salt = h.isSHA(), strings.Repeat(".", maxMD5CryptSalt)
	return h.bare()
}

func (h cryptHash) ownDigest() string { return h.digest }

func (h cryptHash) weak() bool { return !h.isSHA() }

func (h cryptHash) bare() string { return h.setting() + strings.Repeat(".", h.digestLength()) }

// shaCrypt implements Ulrich Drepper's "Unix crypt using SHA-256 and SHA-512",
// version 0.6. The numbers are those of its steps.
func (h cryptHash) shaCrypt(password []byte) string {
	new, order := sha256.New, sha256Order
	if h.ident == "6" {
		new, order = sha512.New, sha512Order
	}
	salt := []byte(h.salt)
	b := sum(new, password, salt, password) // 4-8
	a := new()                              // 1-3
	a.Write(password)
	a.Write(salt)
	a.Write(stretched(b, len(password))) // 9, 10
	for n := len(password); n > 0; n >>= 1 {
		if n&1 != 0 { // 11
			a.Write(b)
		} else {
			a.Write(password)
		}
	}
	digest := a.Sum(nil)                                                          // 12
	p := stretched(sum(new, repeated(password, len(password))...), len(password)) // 13-16
	s := stretched(sum(new, repeated(salt, 16+int(digest[0]))...), len(salt))     // 17-20
	digest = alternated(new(), digest, p, s, h.rounds)                            // 21
	return cryptEncode(digest, order, h.digestLength())
}

// md5Crypt implements FreeBSD's crypt_md5, which Apache's htpasswd also uses.
func (h cryptHash) md5Crypt(password []byte) string {
	salt := []byte(h.salt)
	b := sum(md5.New, password, salt, password)
	a := md5.New()
	a.Write(password)
	a.Write([]byte("$" + h.ident + "$"))
	a.Write(salt)
	a.Write(stretched(b, len(password)))
	for n := len(password); n > 0; n >>= 1 {
		if n&1 != 0 {
			a.Write([]byte{0})
		} else {
			a.Write(password[:1])
		}
	}
	digest := alternated(md5.New(), a.Sum(nil), password, salt, md5CryptRounds)
	return cryptEncode(digest, md5Order, h.digestLength())
}

// alternated hashes digest in rounds with p and s, the transformed password and
// salt, in an order that changes with each round.
func alternated(c hash.Hash, digest, p, s []byte, rounds uint32) []byte {
	for round := range rounds {
		c.Reset()
		first, last := digest, p
		if round&1 != 0 {
			first, last = p, digest
		}
		c.Write(first)
		if round%3 != 0 {
			c.Write(s)
		}
		if round%7 != 0 {
			c.Write(p)
		}
		c.Write(last)
		digest = c.Sum(digest[:0])
	}
	return digest
}

func sum(new func() hash.Hash, parts ...[]byte) []byte {
	h := new()
	for _, part := range parts {
		h.Write(part)
	}
	return h.Sum(nil)
}

func repeated(b []byte, times int) [][]byte {
	parts := make([][]byte, times)
	for i := range parts {
		parts[i] = b
	}
	return parts
}

// stretched repeats b to a length of n bytes.
func stretched(b []byte, n int) []byte {
	out := make([]byte, 0, n)
	for len(out) < n {
		out = append(out, b[:min(len(b), n-len(out))]...)
	}
	return out
}

// The orders in which the schemes encode the bytes of a digest. Three bytes give
// four characters; -1 stands for no byte. The last triple gives as many characters
// as are left.
var (
	md5Order    = [][3]int{{0, 6, 12}, {1, 7, 13}, {2, 8, 14}, {3, 9, 15}, {4, 10, 5}, {-1, -1, 11}}
	sha256Order = append(turned(10, 10, func(t [3]int) [3]int { return [3]int{t[2], t[0], t[1]} }), [3]int{-1, 31, 30})
	sha512Order = append(turned(21, 21, func(t [3]int) [3]int { return [3]int{t[1], t[2], t[0]} }), [3]int{-1, -1, 63})
)

// turned returns n triples. The elements of the first are apart from each other by
// apart; each further triple is the one before, turned and incremented by one.
func turned(n, apart int, turn func([3]int) [3]int) [][3]int {
	triples := [][3]int{{0, apart, 2 * apart}}
	for len(triples) < n {
		t := turn(triples[len(triples)-1])
		triples = append(triples, [3]int{t[0] + 1, t[1] + 1, t[2] + 1})
	}
	return triples
}

// cryptEncode encodes a digest in n characters.
func cryptEncode(digest []byte, order [][3]int, n int) string {
	out := make([]byte, 0, n)
	for _, triple := range order {
		var bits uint32
		for _, i := range triple {
			bits <<= 8
			if i >= 0 {
				bits |= uint32(digest[i])
			}
		}
		for range min(4, n-len(out)) {
			out = append(out, cryptAlphabet[bits&63])
			bits >>= 6
		}
	}
	return string(out)
}
