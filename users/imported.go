package users

import (
	"crypto/pbkdf2"
	"crypto/sha256"
	"crypto/sha512"
	"crypto/subtle"
	"encoding/base64"
	"fmt"
	"hash"
	"strings"

	"golang.org/x/crypto/bcrypt"
	"golang.org/x/crypto/scrypt"
)

// The bounds of imported costs; see also those in hash.go. The upper ones keep
// one verification near a second. The lower ones are far below what anyone
// should use (a weak hash becomes argon2id at the next login), but a cost under
// them is a mistake of the export.
const (
	maxBcryptCost     = 14
	maxBcryptPassword = 72
	minScryptLogN     = 8
	maxScryptLogN     = 20
	minPBKDF2Rounds   = 1000
	maxPBKDF2Rounds   = 3_000_000
	maxDjangoSalt     = 64
)

// CheckImport reports whether a hash from elsewhere can be taken over: nil,
// or why not and what would be accepted. The text never repeats the hash.
func CheckImport(encoded string) error {
	_, err := ParseHash(encoded)
	return err
}

// bcryptHash is one of $2a$, $2b$ and $2y$, which differ in bugs of old
// implementations only.
type bcryptHash struct {
	cost    int
	encoded string
}

func parseBcrypt(encoded string) (scheme, error) {
	const length = 60
	// $2b$10$ and 53 characters of bcrypt's own base64.
	if len(encoded) != length || encoded[6] != '$' || !isDigit(encoded[4]) || !isDigit(encoded[5]) {
		return nil, fmt.Errorf("bcrypt hash must have %d characters, as in $2b$12$ and 53 more", length)
	}
	for _, c := range []byte(encoded[7:]) {
		if !isDigit(c) && (c|0x20 < 'a' || c|0x20 > 'z') && c != '.' && c != '/' {
			return nil, fmt.Errorf("bcrypt hash must consist of the characters ./A-Za-z0-9 after its cost")
		}
	}
	return bcryptHash{cost: int(encoded[4]-'0')*10 + int(encoded[5]-'0'), encoded: encoded}, nil
}

func isDigit(c byte) bool { return c >= '0' && c <= '9' }

func (h bcryptHash) matches(password string) bool {
	// bcrypt looks at 72 bytes only. What is longer is refused rather than
	// let in by its beginning, after the same work as any other mismatch.
	looked := min(len(password), maxBcryptPassword)
	err := bcrypt.CompareHashAndPassword([]byte(h.encoded), []byte(password[:looked]))
	return err == nil && looked == len(password)
}

func (h bcryptHash) class() string { return fmt.Sprintf("bcrypt cost %d", h.cost) }

func (h bcryptHash) check() error {
	if h.cost < bcrypt.MinCost || h.cost > maxBcryptCost {
		return fmt.Errorf("%s: %d to %d are accepted", h.class(), bcrypt.MinCost, maxBcryptCost)
	}
	return nil
}

// scryptHash is passlib's $scrypt$ln=16,r=8,p=1$salt$hash.
type scryptHash struct {
	logN, r, p   uint32
	salt, digest []byte
}

func parseScrypt(encoded string) (scheme, error) {
	const want = "as in $scrypt$ln=16,r=8,p=1$salt$hash"
	f := strings.Split(encoded, "$")
	if len(f) != 5 {
		return nil, fmt.Errorf("scrypt hash must have a cost, a salt and a hash, %s", want)
	}
	cost, err := parseCost(f[2], "ln", "r", "p")
	if err != nil {
		return nil, fmt.Errorf("scrypt hash: %w, %s", err, want)
	}
	h := scryptHash{logN: cost[0], r: cost[1], p: cost[2]}
	h.salt, h.digest, err = parseSaltAndDigest(base64.RawStdEncoding, f[3], f[4])
	if err != nil {
		return nil, fmt.Errorf("scrypt hash: %w", err)
	}
	return h, nil
}

func (h scryptHash) matches(password string) bool {
	got, err := scrypt.Key([]byte(password), h.salt, 1<<h.logN, int(h.r), int(h.p), len(h.digest))
	return err == nil && subtle.ConstantTimeCompare(got, h.digest) == 1
}

func (h scryptHash) class() string {
	return fmt.Sprintf("scrypt ln=%d,r=%d,p=%d", h.logN, h.r, h.p)
}

func (h scryptHash) check() error {
	if h.logN < minScryptLogN || h.logN > maxScryptLogN {
		return fmt.Errorf("%s: ln %d to %d are accepted", h.class(), minScryptLogN, maxScryptLogN)
	}
	if h.r < 1 || h.p < 1 || h.p > maxThreads {
		return fmt.Errorf("%s: r from 1 and p from 1 to %d are accepted", h.class(), maxThreads)
	}
	// 128·N·r bytes are held at once, p times one after the other.
	memoryKiB := uint64(h.r) << h.logN / 8
	if memoryKiB > maxMemoryKiB || memoryKiB*uint64(h.p) > maxWorkKiB {
		return fmt.Errorf("%s: at most %d KiB at once and %d KiB in all (128·2^ln·r·p bytes) are accepted",
			h.class(), maxMemoryKiB, maxWorkKiB)
	}
	return nil
}

// pbkdf2Hash is PBKDF2 with HMAC-SHA-256 or HMAC-SHA-512 (RFC 8018 §5.2).
type pbkdf2Hash struct {
	sha512       bool
	rounds       uint32
	salt, digest []byte
}

// parsePasslibPBKDF2 reads $pbkdf2-sha256$rounds$salt$hash, or the same with
// sha512, whose base64 has a dot for the plus and no padding.
func parsePasslibPBKDF2(encoded string) (scheme, error) {
	const want = "as in $pbkdf2-sha256$29000$salt$hash"
	f := strings.Split(encoded, "$")
	if len(f) != 5 {
		return nil, fmt.Errorf("pbkdf2 hash must have rounds, a salt and a hash, %s", want)
	}
	rounds, err := parseNumber(f[2])
	if err != nil {
		return nil, fmt.Errorf("pbkdf2 hash: the number of rounds %w, %s", err, want)
	}
	h := pbkdf2Hash{sha512: f[1] == "pbkdf2-sha512", rounds: rounds}
	h.salt, h.digest, err = parseSaltAndDigest(passlibBase64, f[3], f[4])
	if err != nil {
		return nil, fmt.Errorf("pbkdf2 hash: %w", err)
	}
	return h, nil
}

var passlibBase64 = base64.NewEncoding("ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789./").WithPadding(base64.NoPadding)

// parseDjangoPBKDF2 reads pbkdf2_sha256$rounds$salt$hash, whose salt is taken
// as the text it is.
func parseDjangoPBKDF2(encoded string) (scheme, error) {
	const want = "as in pbkdf2_sha256$1000000$salt$hash"
	f := strings.Split(encoded, "$")
	if len(f) != 4 {
		return nil, fmt.Errorf("pbkdf2 hash must have rounds, a salt and a hash, %s", want)
	}
	rounds, err := parseNumber(f[1])
	if err != nil {
		return nil, fmt.Errorf("pbkdf2 hash: the number of rounds %w, %s", err, want)
	}
	if len(f[2]) < minSaltBytes || len(f[2]) > maxDjangoSalt {
		return nil, fmt.Errorf("pbkdf2 hash: a salt of %d bytes: %d to %d are accepted", len(f[2]), minSaltBytes, maxDjangoSalt)
	}
	digest, err := parseDigest(base64.StdEncoding, f[3])
	if err != nil {
		return nil, fmt.Errorf("pbkdf2 hash: %w", err)
	}
	return pbkdf2Hash{rounds: rounds, salt: []byte(f[2]), digest: digest}, nil
}

func (h pbkdf2Hash) matches(password string) bool {
	var digest func() hash.Hash = sha256.New
	if h.sha512 {
		digest = sha512.New
	}
	got, err := pbkdf2.Key(digest, password, h.salt, int(h.rounds), len(h.digest))
	return err == nil && subtle.ConstantTimeCompare(got, h.digest) == 1
}

func (h pbkdf2Hash) class() string {
	name := "pbkdf2-sha256"
	if h.sha512 {
		name = "pbkdf2-sha512"
	}
	return fmt.Sprintf("%s of %d rounds", name, h.rounds)
}

func (h pbkdf2Hash) check() error {
	if h.rounds < minPBKDF2Rounds || h.rounds > maxPBKDF2Rounds {
		return fmt.Errorf("%s: %d to %d are accepted", h.class(), minPBKDF2Rounds, maxPBKDF2Rounds)
	}
	return nil
}
