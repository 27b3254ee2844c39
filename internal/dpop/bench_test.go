package dpop_test

import (
	"testing"

	"github.com/keyturn/keyturn/internal/dpop/dpoptest"
)

func BenchmarkCheck(b *testing.B) {
	c := newChecker(b)
	for _, alg := range []string{"ES256", "Ed25519", "RS256"} {
		b.Run(alg, func(b *testing.B) {
			proof := []string{dpoptest.New(b, alg).Prove(b, dpoptest.For("POST", url))}
			b.ReportAllocs()
			for b.Loop() {
				if _, e := c.Check(proof, request); e != nil {
					b.Fatal(e)
				}
			}
		})
	}
}
