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

// smallOrder has the y of every point whose order is 1, 2, 4 or 8. Anybody can sign
// for such a point.
var smallOrder = []*big.Int{
	one, new(big.Int).Sub(prime, one), new(big.Int), ofOrder8, new(big.Int).Sub(prime, ofOrder8),
}

var ofOrder8, _ = new(big.Int).SetString("5fc536d880238b13933c6d305acdfd5f098eff289f4c345b027b2c28f95e826", 16)

// quotient returns a / b in the field.
func quotient(a, b *big.Int) *big.Int {
	inverse := new(big.Int).ModInverse(b, prime)
	return inverse.Mul(inverse, a).Mod(inverse, prime)
}

// isPoint reports whether text is the canonical form of a point of Ed25519 (RFC 8032
// §5.1.3) that is not of small order.
func isPoint(text []byte) bool {
	text = slices.Clone(text)
	text[len(text)-1] &= 0x7f // the sign of x
	slices.Reverse(text)
	y := new(big.Int).SetBytes(text)
	if y.Cmp(prime) >= 0 || slices.ContainsFunc(smallOrder, func(weak *big.Int) bool { return y.Cmp(weak) == 0 }) {
		return false
	}
	// x² = (y² - 1) / (dy² + 1) is a square if the product of the two is.
	yy := y.Mul(y, y)
	below := new(big.Int).Mul(curveD, yy)
	product := below.Mul(below.Add(below, one), yy.Sub(yy, one))
	return big.Jacobi(product.Mod(product, prime), prime) == 1
}
