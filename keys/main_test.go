package keys

import (
	"flag"
	"os"
	"testing"
)

// TestMain has the simulations run the same lives each time, unless -rapid.seed
// names others: what a change breaks is told from what chance found.
func TestMain(m *testing.M) {
	flag.Parse()
	if seed := flag.Lookup("rapid.seed"); seed.Value.String() == "0" {
		if err := seed.Value.Set("20261129"); err != nil {
			panic(err)
		}
	}
	os.Exit(m.Run())
}
