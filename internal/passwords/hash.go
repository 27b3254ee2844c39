// Package passwords knows every password hash that an account may have, which is
// one idea because each scheme is judged and its work levelled in one way: argon2id,
// which Keyturn makes, and the schemes of other systems, which it only verifies.
// How many are computed at once, and that no refusal costs another time than the
// next, is decided here too.
package passwords

import (
	"crypto/rand"
	"crypto/subtle"
	"encoding/base64"
	"errors"
	"fmt"
	"slices"
	"strconv"
	"strings"

	"golang.org/x/crypto/argon2"
)

// The bounds of a hash's cost; see also those of bcrypt, scrypt and PBKDF2.
// Above the upper ones one login could hold a core for seconds or take the
// server's memory; they hold for Keyturn's own parameters and for imported
// hashes alike. The lower ones are far below what anyone should use (a weak
// hash becomes argon2id at the next login), but a cost under them is a mistake
// of the export.
const (
	MaxMemoryKiB  = 256 << 10 // argon2 and scrypt: 256 MiB at once
	maxWorkKiB    = 1 << 20   // argon2 and scrypt: 1 GiB written in all
	MaxTime       = 256
	MaxThreads    = 16
	maxEncoded    = 512
	minSaltBytes  = 8
	maxSaltBytes  = 64
	minHashBytes  = 16
	maxHashBytes  = 64
	ownSaltBytes  = 16
	ownHashBytes  = 32
	minKiBPerLane = 8 // RFC 9106 §3.1
)

// Params is the cost of an argon2id hash (RFC 9106 §3.1). The zero Params is
// not usable; start from DefaultParams.
type Params struct {
	// MemoryKiB is the memory that one computation fills, in KiB.
	MemoryKiB uint32
	// Time is the number of passes over that memory.
	Time uint32
	// Threads is the number of lanes, each its own goroutine.
	Threads uint8
}

// DefaultParams returns OWASP's: 19 MiB, two passes, one lane.
func DefaultParams() Params { return Params{MemoryKiB: 19456, Time: 2, Threads: 1} }

// Check reports why p cannot be used, or nil: at least 8 KiB for each lane,
// at most 256 MiB at once and 1 GiB over all passes, 16 lanes, 256 passes.
func (p Params) Check() error {
	switch {
	case p.Threads < 1 || p.Threads > MaxThreads:
		return fmt.Errorf("argon2 with %d threads: 1 to %d are accepted", p.Threads, MaxThreads)
	case p.Time < 1 || p.Time > MaxTime:
		return fmt.Errorf("argon2 with %d passes: 1 to %d are accepted", p.Time, MaxTime)
	case p.MemoryKiB < minKiBPerLane*uint32(p.Threads) || p.MemoryKiB > MaxMemoryKiB:
		return fmt.Errorf("argon2 with %d KiB: %d (8 for each thread) to %d are accepted",
			p.MemoryKiB, minKiBPerLane*uint32(p.Threads), MaxMemoryKiB)
	case uint64(p.MemoryKiB)*uint64(p.Time) > maxWorkKiB:
		return fmt.Errorf("argon2 with %d KiB in %d passes: at most %d KiB over all passes are accepted",
			p.MemoryKiB, p.Time, maxWorkKiB)
	}
	return nil
}

// Hash is one parsed password hash. The zero Hash matches nothing.
type Hash struct{ scheme }

// scheme is one way of hashing passwords, with its cost, salt and digest.
type scheme interface {
	// matches reports in constant time whether password, normalised, has
	// this hash.
	matches(password string) bool
	// check reports why the cost is out of bounds, or nil.
	check() error
	// kind says what verifying the hash costs.
	kind() kind
	// memoryKiB is how much memory that takes, if it is worth counting.
	memoryKiB() uint32
	// spend works at password as long as a hash of the same family and of
	// this cost would.
	spend(cost uint64, password string)
	// blank returns an encoded hash of the same kind, of nothing.
	blank() string
}

// kind is what verifying a hash costs. Within one family costs add up: to
// verify a hash of cost a and to spend b more is the same work as to verify one
// of cost a+b.
type kind struct {
	family string
	cost   uint64
}

// Parse reads an encoded hash in any of the forms below, with a label before it or
// without. It refuses a cost that no login should pay, so what it returns can be
// verified safely; it may be Weak. An error never repeats the hash.
func Parse(encoded string) (Hash, error) {
	if len(encoded) > maxEncoded {
		return Hash{}, fmt.Errorf("password hash is longer than %d bytes", maxEncoded)
	}
	// encoding/base64 passes over line breaks, even where it is strict.
	if strings.ContainsAny(encoded, "\r\n") {
		return Hash{}, errors.New("password hash has a line break in it")
	}
	encoded = withoutLabel(encoded)
	switch {
	case strings.HasPrefix(encoded, wrappedPrefix):
		return parsed(parseWrapped(encoded))
	case isHexMD5(encoded):
		encoded = "md5$$" + encoded
	case isIdentity(encoded):
		return parsed(parseIdentity(encoded))
	}
	for _, form := range forms {
		if !strings.HasPrefix(encoded, form.prefix) {
			continue
		}
		return parsed(form.parse(encoded))
	}
	return Hash{}, errors.New("password hash is of an unknown scheme: docs/accounts.md lists those that are accepted")
}

// CheckImport reports whether a hash from elsewhere can be taken over: nil,
// or why not and what would be accepted. The text never repeats the hash.
func CheckImport(encoded string) error {
	_, err := Parse(encoded)
	return err
}

func parsed(s scheme, err error) (Hash, error) {
	if err == nil {
		err = s.check()
	}
	if err != nil {
		return Hash{}, err
	}
	return Hash{s}, nil
}

// forms are the texts by which hashes are known.
var forms = []struct {
	prefix string
	parse  func(string) (scheme, error)
}{
	{"$argon2id$", parseArgon2}, {"$argon2i$", parseArgon2},
	{"$2a$", parseBcrypt}, {"$2b$", parseBcrypt}, {"$2y$", parseBcrypt}, {"$wp$2", parseWordPress}, {pepperedPrefix, parsePeppered},
	{"$bcrypt-sha256$", parsePasslibBcryptSHA256}, {"bcrypt_sha256$", parseDjangoBcryptSHA256},
	{"$scrypt$", parseScrypt}, {"scrypt$", parseDjangoScrypt}, {"scrypt:", parseWerkzeugScrypt}, {"$firebase-scrypt$", parseFirebase},
	{"$pbkdf2-sha1$", parsePasslibPBKDF2}, {"$pbkdf2-sha256$", parsePasslibPBKDF2}, {"$pbkdf2-sha512$", parsePasslibPBKDF2}, {"$pbkdf2$", parsePasslibPBKDF2},
	{"pbkdf2_sha256$", parseDjangoPBKDF2}, {"pbkdf2_sha1$", parseDjangoPBKDF2}, {"pbkdf2:", parseWerkzeugPBKDF2},
	{"$5$", parseCrypt}, {"$6$", parseCrypt}, {"$1$", parseCrypt}, {"$apr1$", parseCrypt},
	{"$P$", parsePhpass}, {"$H$", parsePhpass}, {"$S$", parsePhpass}, {"U$P$", parsePhpass}, {"U$S$", parsePhpass},
	{"md5$", parseDjangoDigest}, {"sha1$", parseDjangoDigest}, {"sha256$", parseDjangoDigest}, {"sha512$", parseDjangoDigest},
	{"{PBKDF2}$1$", parseDovecotPBKDF2}, {"{", parseDirectoryDigest},
}

// Verify reports whether password has the hash. A password that Normalize refuses
// matches nothing, and neither does one over 72 bytes under bcrypt, which would
// cut it. It bounds nothing and levels nothing: logins go through a Hasher.
func (h Hash) Verify(password string) bool {
	forms, err := formsOf(password)
	return err == nil && h.scheme != nil && slices.ContainsFunc(forms, h.matches)
}

// argon2Hash is argon2id or argon2i, version 19 (0x13).
type argon2Hash struct {
	independent  bool // argon2i
	params       Params
	salt, digest []byte
}

func hashArgon2id(p Params, password string) argon2Hash {
	h := argon2Hash{params: p, salt: make([]byte, ownSaltBytes), digest: make([]byte, ownHashBytes)}
	rand.Read(h.salt) // never fails
	h.digest = h.compute(password)
	return h
}

func (h argon2Hash) compute(password string) []byte {
	key := argon2.IDKey
	if h.independent {
		key = argon2.Key
	}
	return key([]byte(password), h.salt, h.params.Time, h.params.MemoryKiB, h.params.Threads, uint32(len(h.digest)))
}

func (h argon2Hash) matches(password string) bool {
	return subtle.ConstantTimeCompare(h.compute(password), h.digest) == 1
}

func (h argon2Hash) check() error { return h.params.Check() }

// kind has each cost for itself: memory and passes do not add up.
func (h argon2Hash) kind() kind { return kind{h.cost(), 1} }

func (h argon2Hash) memoryKiB() uint32 { return h.params.MemoryKiB }

func (h argon2Hash) spend(times uint64, password string) {
	for range times {
		h.compute(password)
	}
}

func (h argon2Hash) blank() string {
	h.salt, h.digest = make([]byte, ownSaltBytes), make([]byte, ownHashBytes)
	return h.encode()
}

// cost returns the PHC string up to the salt.
func (h argon2Hash) cost() string {
	name := "argon2id"
	if h.independent {
		name = "argon2i"
	}
	return fmt.Sprintf("$%s$v=%d$m=%d,t=%d,p=%d", name, argon2.Version, h.params.MemoryKiB, h.params.Time, h.params.Threads)
}

// encode returns the PHC string.
func (h argon2Hash) encode() string {
	b64 := base64.RawStdEncoding
	return h.cost() + "$" + b64.EncodeToString(h.salt) + "$" + b64.EncodeToString(h.digest)
}

func parseArgon2(encoded string) (scheme, error) {
	const want = "as in $argon2id$v=19$m=19456,t=2,p=1$salt$hash"
	f := strings.Split(encoded, "$")
	if len(f) != 6 || f[2] != "v=19" {
		return nil, fmt.Errorf("argon2 hash must be of version 19, %s", want)
	}
	cost, err := parseCost(f[3], "m", "t", "p")
	if err != nil {
		return nil, fmt.Errorf("argon2 hash: %w, %s", err, want)
	}
	if cost[2] > MaxThreads {
		return nil, fmt.Errorf("argon2 with %d threads: 1 to %d are accepted", cost[2], MaxThreads)
	}
	h := argon2Hash{
		independent: f[1] == "argon2i",
		params:      Params{MemoryKiB: cost[0], Time: cost[1], Threads: uint8(cost[2])},
	}
	h.salt, h.digest, err = parseSaltAndDigest(base64.RawStdEncoding, f[4], f[5])
	if err != nil {
		return nil, fmt.Errorf("argon2 hash: %w", err)
	}
	return h, nil
}

// parseCost reads "a=1,b=2" with exactly these names, in any order.
func parseCost(s string, names ...string) ([]uint32, error) {
	parts := strings.Split(s, ",")
	if len(parts) != len(names) {
		return nil, fmt.Errorf("the cost must be %s", strings.Join(names, ","))
	}
	cost, seen := make([]uint32, len(names)), make([]bool, len(names))
	for _, part := range parts {
		name, value, _ := strings.Cut(part, "=")
		i := slices.Index(names, name)
		if i < 0 || seen[i] {
			return nil, fmt.Errorf("the cost must be %s", strings.Join(names, ","))
		}
		n, err := parseNumber(value)
		if err != nil {
			return nil, fmt.Errorf("the cost %s %w", name, err)
		}
		cost[i], seen[i] = n, true
	}
	return cost, nil
}

// parseNumber reads a decimal without sign or leading zero.
func parseNumber(s string) (uint32, error) {
	n, err := strconv.ParseUint(s, 10, 32)
	if err != nil || strconv.FormatUint(n, 10) != s {
		return 0, fmt.Errorf("must be a decimal number below 2^32")
	}
	return uint32(n), nil
}

func parseSaltAndDigest(enc *base64.Encoding, salt, digest string) ([]byte, []byte, error) {
	s, err := enc.Strict().DecodeString(salt)
	if err != nil {
		return nil, nil, fmt.Errorf("the salt must be base64")
	}
	if len(s) < minSaltBytes || len(s) > maxSaltBytes {
		return nil, nil, fmt.Errorf("a salt of %d bytes: %d to %d are accepted", len(s), minSaltBytes, maxSaltBytes)
	}
	d, err := parseDigest(enc, digest)
	return s, d, err
}

func parseDigest(enc *base64.Encoding, digest string) ([]byte, error) {
	d, err := enc.Strict().DecodeString(digest)
	if err != nil {
		return nil, fmt.Errorf("the hash must be base64")
	}
	return d, checkDigest(d)
}

func checkDigest(d []byte) error {
	if len(d) < minHashBytes || len(d) > maxHashBytes {
		return fmt.Errorf("a hash of %d bytes: %d to %d are accepted", len(d), minHashBytes, maxHashBytes)
	}
	return nil
}
