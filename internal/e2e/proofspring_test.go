//go:build interop && installed

package e2e

import (
	"testing"
	"time"
)

// TestF8_SpringSecurityChecksProofs has Spring Security's resource server take bound
// tokens with the proofs that are theirs, each once.
func TestF8_SpringSecurityChecksProofs(t *testing.T) {
	t.Parallel()
	s := openShopBehindFront(t, newDeployment(t, ""))
	r := javaProgram.start(t, s, nil)
	s.wares(t).attackProofs(t, checker{url: r.up(t) + "/spring-dpop", window: window{30 * time.Second, 30 * time.Second}, remembers: true}, r.clock.now())
}
