//go:build interop

package e2e

import (
	"fmt"
	"path/filepath"
	"testing"
	"time"
)

// TestF8_LibrariesThatCheckProofs has resource servers on oauth4webapi and
// express-oauth2-jwt-bearer, as they come, refuse what docs/resource-servers.md says that
// they do: neither knows a proof again.
func TestF8_LibrariesThatCheckProofs(t *testing.T) {
	t.Parallel()
	s := openShopBehindFront(t, newDeployment(t, ""))
	w := s.wares(t)
	program := script("node", "node", "resource-dpop.mjs")
	r := program.start(t, s, nil)
	for path, ahead := range map[string]time.Duration{"/oauth4webapi": 300 * time.Second, "/express-oauth2-jwt-bearer": 30 * time.Second} {
		t.Run(path[1:], func(t *testing.T) {
			w.attack(t, checker{url: r.up(t) + path, window: window{300 * time.Second, ahead}}, r.clock.now())
		})
	}
}

// TestF8_ClientsThatNobodyHereWrote has openid-client and oauth4webapi hold bound
// sessions on both stores, where nonces are asked for and where they are not, and
// resource servers on oauth4webapi and express-oauth2-jwt-bearer check their proofs.
func TestF8_ClientsThatNobodyHereWrote(t *testing.T) {
	t.Parallel()
	for _, nonce := range []bool{false, true} {
		t.Run(fmt.Sprintf("dpop_nonce %t", nonce), func(t *testing.T) {
			t.Parallel()
			onBothStores(t, nil, func(t *testing.T, d *deployment) {
				s := openShopBehindFront(t, d, fmt.Sprintf("--dpop-nonce=%t", nonce))
				var got struct {
					Bound   map[string]string
					Lost    int
					Nonces  int
					Refused struct{ Unproven, Foreign, Revoked string }
				}
				ask(t, s.request(s.public), &got, "node", filepath.Join("clients", "node", "dpop.mjs"))
				for _, name := range []string{"openid-client", "oauth4webapi ES256", "oauth4webapi RS256", "oauth4webapi PS256", "oauth4webapi Ed25519"} {
					if got.Bound[name] != "dpop" {
						t.Errorf("%s got a token of the type %q", name, got.Bound[name])
					}
				}
				if got.Refused.Unproven != "invalid_dpop_proof" || got.Refused.Foreign != "invalid_grant" || got.Refused.Revoked != "invalid_grant" {
					t.Errorf("refused with %+v", got.Refused)
				}
				if (got.Nonces > 0) != nonce || got.Lost < 3 {
					t.Errorf("%d nonces were asked for, %d answers lost", got.Nonces, got.Lost)
				}
			})
		})
	}
}
