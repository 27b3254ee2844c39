package passwords

import (
	"crypto/pbkdf2"
	"crypto/sha1"
	"crypto/sha256"
	"crypto/sha512"
	"crypto/subtle"
	"encoding/base64"
	"errors"
	"fmt"
	"hash"
	"strconv"
	"strings"
)

const (
	minPBKDF2Rounds = 1000
	maxPBKDF2Rounds = 3_000_000
)

// pbkdf2Hash is PBKDF2 with HMAC (RFC 8018 §5.2).
type pbkdf2Hash struct {
	function     string // "sha1", "sha256" or "sha512"
	rounds       uint32
	salt, digest []byte
}

// pbkdf2Functions are the hash functions by the names of passlib and PHC strings.
var pbkdf2Functions = map[string]string{
	"pbkdf2": "sha1", "pbkdf2-sha1": "sha1", "pbkdf2-sha256": "sha256", "pbkdf2-sha512": "sha512",
}

// parsePasslibPBKDF2 parses $pbkdf2-sha256$rounds$salt$hash, also with sha512, or
// without a function for SHA-1. Its base64 uses a dot in place of the plus and no
// padding.
func parsePasslibPBKDF2(encoded string) (scheme, error) {
	const want = "as in $pbkdf2-sha256$29000$salt$hash"
	f := strings.Split(encoded, "$")
	if len(f) != 5 {
		return nil, fmt.Errorf("pbkdf2 hash must have rounds, a salt and a hash, %s", want)
	}
	if strings.HasPrefix(f[2], "i=") {
		return parsePHCPBKDF2(f)
	}
	rounds, err := parseNumber(f[2])
	if err != nil {
		return nil, fmt.Errorf("pbkdf2 hash: the number of rounds %w, %s", err, want)
	}
	h := pbkdf2Hash{function: pbkdf2Functions[f[1]], rounds: rounds}
	h.salt, h.digest, err = parseSaltAndDigest(passlibBase64, f[3], f[4])
	if err != nil {
		return nil, fmt.Errorf("pbkdf2 hash: %w", err)
	}
	return h, nil
}

// parsePHCPBKDF2 parses the fields of $pbkdf2-sha256$i=10000,l=32$salt$hash, in
// standard base64 without padding. The length is optional.
func parsePHCPBKDF2(f []string) (scheme, error) {
	rounds, length, hasLength := strings.Cut(strings.TrimPrefix(f[2], "i="), ",l=")
	n, err := parseNumber(rounds)
	if err != nil {
		return nil, fmt.Errorf("pbkdf2 hash: the number of rounds %w, as in $pbkdf2-sha256$i=10000,l=32$salt$hash", err)
	}
	h := pbkdf2Hash{function: pbkdf2Functions[f[1]], rounds: n}
	h.salt, h.digest, err = parseSaltAndDigest(base64.RawStdEncoding, f[3], f[4])
	if err == nil && hasLength && length != strconv.Itoa(len(h.digest)) {
		err = fmt.Errorf("a hash of %d bytes, not of the length that it tells", len(h.digest))
	}
	if err != nil {
		return nil, fmt.Errorf("pbkdf2 hash: %w", err)
	}
	return h, nil
}

var passlibBase64 = base64.NewEncoding("ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789./").WithPadding(base64.NoPadding)

// parseDjangoPBKDF2 parses pbkdf2_sha256$rounds$salt$hash and pbkdf2_sha1$…, whose salt
// is plain text.
func parseDjangoPBKDF2(encoded string) (scheme, error) {
	const want = "as in pbkdf2_sha256$1000000$salt$hash"
	f := strings.Split(encoded, "$")
	if len(f) != 4 {
		return nil, fmt.Errorf("pbkdf2 hash must have rounds, a salt and a hash, %s", want)
	}
	h, err := pbkdf2Of(f[1], f[2])
	if err != nil {
		return nil, fmt.Errorf("%w, %s", err, want)
	}
	h.function = strings.TrimPrefix(f[0], "pbkdf2_")
	if h.digest, err = parseDigest(base64.StdEncoding, f[3]); err != nil {
		return nil, fmt.Errorf("pbkdf2 hash: %w", err)
	}
	return h, nil
}

// parseWerkzeugPBKDF2 parses pbkdf2:sha256:rounds$salt$hash, also with sha1 or sha512.
// The hash is hexadecimal.
func parseWerkzeugPBKDF2(encoded string) (scheme, error) {
	const want = "as in pbkdf2:sha256:600000$salt$hash"
	f := strings.Split(encoded, "$")
	how := strings.Split(f[0], ":")
	if len(f) != 3 || len(how) != 3 || how[1] != "sha1" && how[1] != "sha256" && how[1] != "sha512" {
		return nil, fmt.Errorf("pbkdf2 hash must have sha1, sha256 or sha512, rounds, a salt and a hash, %s", want)
	}
	h, err := pbkdf2Of(how[2], f[1])
	if err != nil {
		return nil, fmt.Errorf("%w, %s", err, want)
	}
	h.function = how[1]
	if h.digest, err = parseHexDigest(f[2]); err != nil {
		return nil, fmt.Errorf("pbkdf2 hash: %w", err)
	}
	return h, nil
}

// parseDovecotPBKDF2 parses {PBKDF2}$1$salt$rounds$hash, which uses SHA-1 and
// hexadecimal.
func parseDovecotPBKDF2(encoded string) (scheme, error) {
	f := strings.Split(encoded, "$")
	if len(f) != 5 {
		return nil, errors.New("pbkdf2 hash must have a salt, rounds and a hash, as in {PBKDF2}$1$salt$5000$hash")
	}
	h, err := pbkdf2Of(f[3], f[2])
	if err != nil {
		return nil, err
	}
	h.function = "sha1"
	if h.digest, err = parseHexDigest(f[4]); err != nil {
		return nil, fmt.Errorf("pbkdf2 hash: %w", err)
	}
	return h, nil
}

func pbkdf2Of(rounds, salt string) (pbkdf2Hash, error) {
	n, err := parseNumber(rounds)
	if err != nil {
		return pbkdf2Hash{}, fmt.Errorf("pbkdf2 hash: the number of rounds %w", err)
	}
	if err := checkTextSalt(salt); err != nil {
		return pbkdf2Hash{}, fmt.Errorf("pbkdf2 hash: %w", err)
	}
	return pbkdf2Hash{rounds: n, salt: []byte(salt)}, nil
}

func (h pbkdf2Hash) hash() func() hash.Hash {
	switch h.function {
	case "sha1":
		return sha1.New
	case "sha512":
		return sha512.New
	}
	return sha256.New
}

func (h pbkdf2Hash) matches(password string) bool {
	got, err := pbkdf2.Key(h.hash(), password, h.salt, int(h.rounds), len(h.digest))
	return err == nil && subtle.ConstantTimeCompare(got, h.digest) == 1
}

func (h pbkdf2Hash) name() string { return "pbkdf2-" + h.function }

func (h pbkdf2Hash) check() error {
	if h.rounds < minPBKDF2Rounds || h.rounds > maxPBKDF2Rounds {
		return fmt.Errorf("%s of %d rounds: %d to %d are accepted", h.name(), h.rounds, minPBKDF2Rounds, maxPBKDF2Rounds)
	}
	return nil
}

// kind counts the rounds of all blocks of the digest.
func (h pbkdf2Hash) kind() kind {
	size := h.hash()().Size()
	blocks := (len(h.digest) + size - 1) / size
	return kind{h.name(), uint64(h.rounds) * uint64(blocks)}
}

func (pbkdf2Hash) memoryKiB() uint32 { return 0 }

func (h pbkdf2Hash) blank() string {
	none := func(n int) string { return passlibBase64.EncodeToString(make([]byte, n)) }
	return fmt.Sprintf("$%s$%d$%s$%s", h.name(), h.rounds, none(minSaltBytes), none(len(h.digest)))
}

func (h pbkdf2Hash) spend(rounds uint64, password string) {
	// Key only fails for an impossible length of salt or key.
	_, _ = pbkdf2.Key(h.hash(), password, make([]byte, minSaltBytes), int(rounds), minHashBytes)
}
