package keys

import (
	"flag"
	"os"
	"testing"
)

// TestMain has the simulations run the same lives each time, unless -rapid.seed
// names others: what a change breaks is told from what chance found. The race
// detector, for which a life has little, sees few of them.
func TestMain(m *testing.M) {
	flag.Parse()
	preset("rapid.seed", "0", "20261129")
	if raceDetector {
		preset("rapid.checks", "100", "5")
	}
	os.Exit(m.Run())
}

// preset sets a flag that has its default value.
func preset(name, byDefault, value string) {
	f := flag.Lookup(name)
	if f.Value.String() != byDefault {
		return
	}
	if err := f.Value.Set(value); err != nil {
		panic(err)
	}
}
