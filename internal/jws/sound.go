package jws

import (
	"crypto/rsa"
	"errors"
	"math/big"
	"slices"
)

// CheckSound refuses a public key whose signatures others could make: an RSA modulus
// that is a prime or a square (NIST SP 800-89 §5.3.3). It is for keys that are
// registered, because it costs more than a signature.
func CheckSound(key any) error {
	if key, ok := key.(*rsa.PublicKey); ok {
		root := new(big.Int).Sqrt(key.N)
		if key.N.ProbablyPrime(0) || root.Mul(root, root).Cmp(key.N) == 0 {
			return errors.New("its n is no product of two primes")
		}
	}
	return nil
}

// The prime of the field of Ed25519, and the curve's d.
var (
	one    = big.NewInt(1)
	prime  = new(big.Int).Sub(new(big.Int).Lsh(one, 255), big.NewInt(19))
	curveD = quotient(big.NewInt(-121665), big.NewInt(121666))
)

// quotient returns a / b in the field.
func quotient(a, b *big.Int) *big.Int {
	inverse := new(big.Int).ModInverse(b, prime)
	return inverse.Mul(inverse, a).Mod(inverse, prime)
}

// isPoint reports whether text is the canonical form of a point of Ed25519 (RFC 8032
// §5.1.3) whose order is not 1, 2, 4 or 8. Anybody can sign for a point of those
// orders: doubled three times, it is the neutral one, whose y is 1.
func isPoint(text []byte) bool {
	text = slices.Clone(text)
	text[len(text)-1] &= 0x7f // the sign of x
	slices.Reverse(text)
	y := new(big.Int).SetBytes(text)
	if y.Cmp(prime) >= 0 {
		return false
	}
	for range 3 {
		// x² = (y² - 1) / (dy² + 1); the y of twice the point is (y² + x²) / (1 - dx²y²).
		yy := new(big.Int).Mul(y, y)
		dyy := new(big.Int).Mul(curveD, yy)
		xx := quotient(new(big.Int).Sub(yy, one), new(big.Int).Add(dyy, one))
		if xx.Sign() != 0 && big.Jacobi(xx, prime) != 1 {
			return false
		}
		y = quotient(yy.Add(yy, xx), dyy.Sub(one, dyy.Mul(dyy, xx)))
	}
	return y.Cmp(one) != 0
}
