// Package passwords implements every password hash that an account may have, which
// is one idea because all schemes are bounded and their work levelled in one way:
// argon2id, which Keyturn makes, and the schemes of other systems, which it only
// verifies. The package also bounds how many hashes are computed at once, and makes
// all refusals take the same time.
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

// The bounds of a hash's cost; bcrypt, scrypt and PBKDF2 have their own. Above the
// upper bounds one login could hold a core for seconds or exhaust the server's
// memory. They hold for Keyturn's own parameters and for imported hashes. The lower
// bounds are far below any recommendation, and a weak hash becomes argon2id at the
// next login, but a cost below them is a mistake of the export.
const (
	MaxMemoryKiB  = 256 << 10 // argon2 and scrypt: 256 MiB at once
	maxWorkKiB    = 1 << 20   // argon2 and scrypt: 1 GiB written in total
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

// Params is the cost of an argon2id hash (RFC 9106 §3.1). The zero Params is not
// usable; start from DefaultParams.
type Params struct {
	// MemoryKiB is the memory that one computation fills, in KiB.
	MemoryKiB uint32
	// Time is the number of passes over that memory.
	Time uint32
	// Threads is the number of lanes, each its own goroutine.
	Threads uint8
}

// DefaultParams returns OWASP's parameters: 19 MiB, two passes, one lane.
func DefaultParams() Params { return Params{MemoryKiB: 19456, Time: 2, Threads: 1} }

// Check returns an error if p is out of bounds: at least 8 KiB for each lane, at
// most 256 MiB at once and 1 GiB over all passes, 16 lanes, 256 passes.
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
	// matches reports in constant time whether password, normalised, has this hash.
	matches(password string) bool
	// check returns an error if the cost is out of bounds.
	check() error
	// kind returns the cost of verifying the hash.
	kind() kind
	// memoryKiB returns the memory that verifying takes, or 0 if it is negligible.
	memoryKiB() uint32
	// spend does the work of verifying password against a hash of this family and of
	// this cost.
	spend(cost uint64, password string)
	// blank returns an encoded hash of the same kind with an empty salt and digest.
	blank() string
}

// kind is the cost of verifying a hash. Costs within a family add up: verifying a
// hash of cost a and spending b more is the same work as verifying a hash of cost
// a+b.
type kind struct {
	family string
	cost   uint64
}

// Parse parses an encoded hash in any of the forms below, with or without a label.
// It refuses a cost out of bounds, so that its result can be verified safely. The
// result may be Weak. Errors never contain the hash.
func Parse(encoded string) (Hash, error) {
	if len(encoded) > maxEncoded {
		return Hash{}, fmt.Errorf("password hash is longer than %d bytes", maxEncoded)
	}
	// encoding/base64 skips line breaks, even in strict mode.
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

// CheckImport returns an error if a hash of another system cannot be imported; it
// says why and what would be accepted. The error never contains the hash.
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

// forms are the parsers by the prefix of the encoded hash.
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

// Verify reports whether password has the hash. It returns false for a password that
// Normalize refuses, and under bcrypt for one over 72 bytes, which bcrypt would cut.
// It neither bounds nor levels the work: logins must use a Hasher.
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

// kind makes each cost a family of its own, because memory and passes do not add up.
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

// cost returns the PHC string before the salt.
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

// parseCost parses "a=1,b=2" with exactly these names, in any order.
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

// parseNumber parses a decimal number without sign or leading zeros.
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
