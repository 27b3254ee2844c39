package factors

import (
	"cmp"
	"crypto/hmac"
	"crypto/rand"
	"crypto/sha1"
	"crypto/sha256"
	"crypto/sha512"
	"crypto/subtle"
	"encoding/base32"
	"encoding/binary"
	"errors"
	"fmt"
	"hash"
	"net/url"
	"strings"
	"time"
)

// The parameters of new TOTP factors. They are the only ones that all authenticator
// apps know.
const (
	digits      = 6
	period      = 30
	secretBytes = 20 // RFC 4226 §4, R6
	// window is how many steps an authenticator's clock may be off, either way.
	window = 1
	// maxSecret bounds an imported secret, in bytes.
	maxSecret = 128
)

// Params are the parameters of a TOTP factor (RFC 6238 §1.2) that was imported. The
// zero ones are those of new factors.
type Params struct {
	// Algorithm is SHA1, SHA256 or SHA512; empty is SHA1.
	Algorithm string `json:"algorithm,omitempty" bson:"algorithm,omitempty"`
	// Digits are 6 or 8; 0 is 6.
	Digits int `json:"digits,omitempty" bson:"digits,omitempty"`
	// Period is the length of a step, 15 to 120 seconds; 0 is 30.
	Period int64 `json:"period,omitempty" bson:"period,omitempty"`
}

var algorithms = map[string]func() hash.Hash{"": sha1.New, "SHA1": sha1.New, "SHA256": sha256.New, "SHA512": sha512.New}

// CheckTOTP refuses a secret or parameters that no TOTP factor may have.
func CheckTOTP(secret []byte, p Params) error {
	switch {
	case len(secret) < 10 || len(secret) > maxSecret:
		return fmt.Errorf("its secret must have 10 to %d bytes", maxSecret)
	case algorithms[p.Algorithm] == nil:
		return errors.New("its algorithm must be SHA1, SHA256 or SHA512")
	case p.Digits != 0 && p.Digits != 6 && p.Digits != 8:
		return errors.New("its digits must be 6 or 8")
	case p.Period != 0 && (p.Period < 15 || p.Period > 120):
		return errors.New("its period must be 15 to 120 seconds")
	}
	return nil
}

func (p Params) digits() int { return cmp.Or(p.Digits, digits) }

var encoding = base32.StdEncoding.WithPadding(base32.NoPadding)

// NewSecret returns the secret of a new TOTP factor.
func NewSecret() []byte {
	secret := make([]byte, secretBytes)
	rand.Read(secret) // never fails
	return secret
}

// Text returns a secret in the form that people type into an authenticator app.
func Text(secret []byte) string { return encoding.EncodeToString(secret) }

// ParseText reads the secret of another system's factor, in base 32 as apps take it.
func ParseText(s string) ([]byte, error) {
	s = strings.ToUpper(strings.TrimRight(strings.NewReplacer(" ", "", "-", "").Replace(s), "="))
	secret, err := encoding.DecodeString(s)
	if err != nil {
		return nil, errors.New("its secret must be base 32")
	}
	return secret, nil
}

// URI returns what an authenticator app reads from a QR code (the Key URI Format).
func URI(secret []byte, issuer, account string) string {
	issuer = strings.ReplaceAll(issuer, ":", " ") // which parts it from the account
	u := url.URL{Scheme: "otpauth", Host: "totp", Path: "/" + issuer + ":" + account}
	// The format has a space as %20 and not as +.
	u.RawQuery = "secret=" + Text(secret) + "&issuer=" + strings.ReplaceAll(url.QueryEscape(issuer), "+", "%20") + fmt.Sprintf("&algorithm=SHA1&digits=%d&period=%d", digits, period)
	return u.String()
}

// step returns the number of the time step of now (RFC 6238 §4.2).
func (p Params) step(now time.Time) int64 { return now.Unix() / cmp.Or(p.Period, period) }

// codeAt returns the code of a step (RFC 4226 §5.3).
func (p Params) codeAt(secret []byte, step int64) string {
	mac := hmac.New(algorithms[p.Algorithm], secret)
	var counter [8]byte
	binary.BigEndian.PutUint64(counter[:], uint64(step))
	mac.Write(counter[:])
	sum := mac.Sum(nil)
	at := sum[len(sum)-1] & 0xf
	modulus := uint32(1_000_000)
	if p.digits() == 8 {
		modulus = 100_000_000
	}
	return fmt.Sprintf("%0*d", p.digits(), binary.BigEndian.Uint32(sum[at:])&0x7fffffff%modulus)
}

// Verdict says what a code is.
type Verdict int

// The verdicts.
const (
	// Wrong is not the code of a step in the window.
	Wrong Verdict = iota
	// Used was the code of a step in the window, and that step or a later one was
	// used.
	Used
	// Right is the code of a step that was not used.
	Right
)

// Check judges a code, and returns the step of one that is Right. It compares with
// every step of the window, whichever matches.
func (f Factor) Check(secret []byte, code Code, now time.Time) (verdict Verdict, at int64) {
	for s := f.step(now) - window; s <= f.step(now)+window; s++ {
		if subtle.ConstantTimeCompare([]byte(f.codeAt(secret, s)), []byte(code.text)) != 1 {
			continue
		}
		if s > f.Step {
			verdict, at = Right, s
		} else if verdict == Wrong {
			verdict = Used
		}
	}
	return verdict, at
}
