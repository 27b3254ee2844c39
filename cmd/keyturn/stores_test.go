package main

import (
	"errors"
	"path/filepath"
	"testing"

	"github.com/keyturn/keyturn/internal/audit"
	"github.com/keyturn/keyturn/internal/store/storetest"
)

// TestACopyKnowsNoChainThatItsSourceDoesNot: otherwise the next attempt would
// take it for a store that something has worked on.
func TestACopyKnowsNoChainThatItsSourceDoesNot(t *testing.T) {
	var stores [2]*storetest.Faulty
	for i := range stores {
		s, err := openStore(t.Context(), "sqlite:"+filepath.Join(t.TempDir(), "keyturn.db"))
		if err != nil {
			t.Fatal(err)
		}
		t.Cleanup(func() { _ = s.Close() })
		stores[i] = storetest.NewFaulty(s)
	}
	source, target := stores[0], stores[1]
	source.Inject(func(string) storetest.Fault { return storetest.Fails })
	err := bothStores{source, target}.SetAnchor(t.Context(), audit.Anchor{Chain: "c"})
	anchors, aerr := target.Anchors(t.Context())
	if !errors.Is(err, storetest.ErrFault) || aerr != nil || len(anchors) > 0 {
		t.Errorf("the target has %v; errors are %v, %v", anchors, err, aerr)
	}
}
