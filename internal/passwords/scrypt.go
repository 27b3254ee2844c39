package passwords

import (
	"crypto/subtle"
	"encoding/base64"
	"encoding/hex"
	"fmt"
	"math/bits"
	"strings"

	"golang.org/x/crypto/scrypt"
)

const (
	minScryptLogN = 8
	maxScryptLogN = 20
)

// scryptHash is scrypt with N = 2^logN (RFC 7914).
type scryptHash struct {
	logN, r, p   uint32
	salt, digest []byte
}

// parseScrypt parses passlib's $scrypt$ln=16,r=8,p=1$salt$hash.
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

// parseDjangoScrypt parses scrypt$16384$salt$8$1$hash, whose salt is plain
// text.
func parseDjangoScrypt(encoded string) (scheme, error) {
	const want = "as in scrypt$16384$salt$8$1$hash"
	f := strings.Split(encoded, "$")
	if len(f) != 6 {
		return nil, fmt.Errorf("scrypt hash must have N, a salt, r, p and a hash, %s", want)
	}
	h, err := scryptOf(f[1], f[3], f[4], f[2])
	if err != nil {
		return nil, fmt.Errorf("%w, %s", err, want)
	}
	if h.digest, err = parseDigest(base64.StdEncoding, f[5]); err != nil {
		return nil, fmt.Errorf("scrypt hash: %w", err)
	}
	return h, nil
}

// parseWerkzeugScrypt parses scrypt:32768:8:1$salt$hash, whose hash is
// hexadecimal.
func parseWerkzeugScrypt(encoded string) (scheme, error) {
	const want = "as in scrypt:32768:8:1$salt$hash"
	f := strings.Split(encoded, "$")
	cost := strings.Split(f[0], ":")
	if len(f) != 3 || len(cost) != 4 {
		return nil, fmt.Errorf("scrypt hash must have N, r and p, a salt and a hash, %s", want)
	}
	h, err := scryptOf(cost[1], cost[2], cost[3], f[1])
	if err != nil {
		return nil, fmt.Errorf("%w, %s", err, want)
	}
	if h.digest, err = parseHexDigest(f[2]); err != nil {
		return nil, fmt.Errorf("scrypt hash: %w", err)
	}
	return h, nil
}

// scryptOf parses a cost with N itself, and a plain text salt.
func scryptOf(n, r, p, salt string) (scryptHash, error) {
	cost := make([]uint32, 3)
	for i, number := range []string{n, r, p} {
		var err error
		if cost[i], err = parseNumber(number); err != nil {
			return scryptHash{}, fmt.Errorf("scrypt hash: the cost %w", err)
		}
	}
	if bits.OnesCount32(cost[0]) != 1 {
		return scryptHash{}, fmt.Errorf("scrypt hash: N must be a power of two")
	}
	if err := checkTextSalt(salt); err != nil {
		return scryptHash{}, fmt.Errorf("scrypt hash: %w", err)
	}
	return scryptHash{logN: uint32(bits.TrailingZeros32(cost[0])), r: cost[1], p: cost[2], salt: []byte(salt)}, nil
}

// checkTextSalt bounds the length of a plain text salt.
func checkTextSalt(salt string) error {
	if len(salt) < minSaltBytes || len(salt) > maxSaltBytes {
		return fmt.Errorf("a salt of %d bytes: %d to %d are accepted", len(salt), minSaltBytes, maxSaltBytes)
	}
	return nil
}

func parseHexDigest(digest string) ([]byte, error) {
	d, err := hex.DecodeString(digest)
	if err != nil {
		return nil, fmt.Errorf("the hash must be hexadecimal")
	}
	return d, checkDigest(d)
}

func (h scryptHash) compute(password string) []byte {
	// The cost was checked, so Key cannot fail.
	got, _ := scrypt.Key([]byte(password), h.salt, 1<<h.logN, int(h.r), int(h.p), len(h.digest))
	return got
}

func (h scryptHash) matches(password string) bool {
	return subtle.ConstantTimeCompare(h.compute(password), h.digest) == 1
}

// cost returns the cost as in passlib's form.
func (h scryptHash) cost() string { return fmt.Sprintf("ln=%d,r=%d,p=%d", h.logN, h.r, h.p) }

// memoryKiB returns 128·N·r bytes in KiB. scrypt fills that memory p times, one
// after the other.
func (h scryptHash) memoryKiB() uint32 { return uint32(min(uint64(h.r)<<h.logN/8, 1<<32-1)) }

func (h scryptHash) check() error {
	if h.logN < minScryptLogN || h.logN > maxScryptLogN {
		return fmt.Errorf("scrypt %s: ln %d to %d are accepted", h.cost(), minScryptLogN, maxScryptLogN)
	}
	if h.r < 1 || h.p < 1 || h.p > MaxThreads {
		return fmt.Errorf("scrypt %s: r from 1 and p from 1 to %d are accepted", h.cost(), MaxThreads)
	}
	memoryKiB := uint64(h.memoryKiB())
	if memoryKiB > MaxMemoryKiB || memoryKiB*uint64(h.p) > maxWorkKiB {
		return fmt.Errorf("scrypt %s: at most %d KiB at once and %d KiB in all (128·2^ln·r·p bytes) are accepted",
			h.cost(), MaxMemoryKiB, maxWorkKiB)
	}
	return nil
}

// kind makes each cost a family of its own, because memory and passes do not
// add up.
func (h scryptHash) kind() kind { return kind{"scrypt " + h.cost(), 1} }

func (h scryptHash) blank() string {
	none := base64.RawStdEncoding.EncodeToString(make([]byte, minHashBytes))
	return "$scrypt$" + h.cost() + "$" + none + "$" + none
}

func (h scryptHash) spend(times uint64, password string) {
	for range times {
		h.compute(password)
	}
}
