package passwords

import (
	"crypto/hmac"
	"crypto/sha256"
	"crypto/sha512"
	"encoding/base64"
	"encoding/hex"
	"fmt"
	"strings"

	"golang.org/x/crypto/bcrypt"
)

const (
	maxBcryptCost     = 14
	maxBcryptPassword = 72
	bcryptLength      = 60
	bcryptSaltEnd     = 29 // $2b$10$ and 22 characters of salt
)

// bcryptHash is a $2a$, $2b$ or $2y$ hash. They differ only in bugs of old
// implementations.
type bcryptHash struct {
	cost    int
	encoded string
	before  prehash
}

// prehash is the transformation that a program applies to a password before
// bcrypt, so that passwords over 72 bytes count in full.
type prehash int

const (
	noPrehash    prehash = iota
	djangoSHA256         // the SHA-256 in hexadecimal
	passlibV1            // the SHA-256 in base64
	passlibV2            // the HMAC-SHA-256 under the salt's text, in base64
	wordPress            // the HMAC-SHA-384 under a name, in base64
)

func parseBcrypt(encoded string) (scheme, error) {
	// $2b$10$ and 53 characters of bcrypt's own base64.
	if len(encoded) != bcryptLength || encoded[6] != '$' || !isDigit(encoded[4]) || !isDigit(encoded[5]) {
		return nil, fmt.Errorf("bcrypt hash must have %d characters, as in $2b$12$ and 53 more", bcryptLength)
	}
	for _, c := range []byte(encoded[7:]) {
		if !isDigit(c) && (c|0x20 < 'a' || c|0x20 > 'z') && c != '.' && c != '/' {
			return nil, fmt.Errorf("bcrypt hash must consist of the characters ./A-Za-z0-9 after its cost")
		}
	}
	return bcryptHash{cost: int(encoded[4]-'0')*10 + int(encoded[5]-'0'), encoded: encoded}, nil
}

func isDigit(c byte) bool { return c >= '0' && c <= '9' }

// parseDjangoBcryptSHA256 parses bcrypt_sha256$$2b$12$….
func parseDjangoBcryptSHA256(encoded string) (scheme, error) {
	inner := strings.TrimPrefix(encoded, "bcrypt_sha256$")
	return parsePrehashed(inner, djangoSHA256)
}

// parseWordPress parses $wp$2y$10$…, which WordPress makes since version 6.8.
func parseWordPress(encoded string) (scheme, error) {
	return parsePrehashed(strings.TrimPrefix(encoded, "$wp"), wordPress)
}

// parsePasslibBcryptSHA256 parses $bcrypt-sha256$v=2,t=2b,r=12$salt$hash and the
// older $bcrypt-sha256$2b,12$salt$hash.
func parsePasslibBcryptSHA256(encoded string) (scheme, error) {
	const want = "as in $bcrypt-sha256$v=2,t=2b,r=12$salt$hash"
	f := strings.Split(encoded, "$")
	if len(f) != 5 {
		return nil, fmt.Errorf("bcrypt-sha256 hash must have a cost, a salt and a hash, %s", want)
	}
	before, separator := passlibV1, ","
	how, isV2 := strings.CutPrefix(f[2], "v=2,t=")
	if isV2 {
		before, separator = passlibV2, ",r="
	}
	ident, cost, _ := strings.Cut(how, separator)
	rounds, err := parseNumber(cost)
	if err != nil {
		return nil, fmt.Errorf("bcrypt-sha256 hash: the cost %w, %s", err, want)
	}
	if rounds > maxBcryptCost {
		return nil, bcryptHash{cost: int(min(rounds, 1<<20))}.check()
	}
	return parsePrehashed(fmt.Sprintf("$%s$%02d$%s%s", ident, rounds, f[3], f[4]), before)
}

func parsePrehashed(inner string, before prehash) (scheme, error) {
	if !isBcrypt(inner) {
		return nil, fmt.Errorf("bcrypt hash must be of the kind 2a, 2b or 2y")
	}
	s, err := parseBcrypt(inner)
	if err != nil {
		return nil, err
	}
	h := s.(bcryptHash)
	h.before = before
	return h, nil
}

func isBcrypt(encoded string) bool {
	return strings.HasPrefix(encoded, "$2a$") || strings.HasPrefix(encoded, "$2b$") || strings.HasPrefix(encoded, "$2y$")
}

func (h bcryptHash) matches(password string) bool {
	seen := h.before.of(password, h.encoded)
	// bcrypt uses only the first 72 bytes. A longer password is refused, after
	// the same work as any other mismatch, because its beginning alone must not
	// be accepted.
	looked := min(len(seen), maxBcryptPassword)
	err := bcrypt.CompareHashAndPassword([]byte(h.encoded), []byte(seen[:looked]))
	return err == nil && looked == len(seen)
}

// of returns the input of bcrypt for password and the hash encoded.
func (p prehash) of(password, encoded string) string {
	switch p {
	case djangoSHA256:
		sum := sha256.Sum256([]byte(password))
		return hex.EncodeToString(sum[:])
	case passlibV1:
		sum := sha256.Sum256([]byte(password))
		return base64.StdEncoding.EncodeToString(sum[:])
	case passlibV2:
		mac := hmac.New(sha256.New, []byte(encoded[7:bcryptSaltEnd]))
		mac.Write([]byte(password))
		return base64.StdEncoding.EncodeToString(mac.Sum(nil))
	case wordPress:
		mac := hmac.New(sha512.New384, []byte("wp-sha384"))
		mac.Write([]byte(password))
		return base64.StdEncoding.EncodeToString(mac.Sum(nil))
	}
	return password
}

func (h bcryptHash) check() error {
	if h.cost < bcrypt.MinCost || h.cost > maxBcryptCost {
		return fmt.Errorf("bcrypt cost %d: %d to %d are accepted", h.cost, bcrypt.MinCost, maxBcryptCost)
	}
	return nil
}

// kind counts rounds: 2^cost.
func (h bcryptHash) kind() kind { return kind{"bcrypt", 1 << h.cost} }

func (bcryptHash) memoryKiB() uint32 { return 0 }

func (h bcryptHash) blank() string {
	return fmt.Sprintf("$2b$%02d$%s", h.cost, strings.Repeat(".", bcryptLength-len("$2b$10$")))
}

// spend computes one hash for each power of two in rounds. The difference of two
// costs contains no power below the lesser cost.
func (bcryptHash) spend(rounds uint64, password string) {
	seen := password[:min(len(password), maxBcryptPassword)]
	for cost := bcrypt.MinCost; cost <= maxBcryptCost; cost++ {
		if rounds&(1<<cost) != 0 {
			// Only the time matters, not the result.
			_ = bcrypt.CompareHashAndPassword([]byte(bcryptHash{cost: cost}.blank()), []byte(seen))
		}
	}
}
