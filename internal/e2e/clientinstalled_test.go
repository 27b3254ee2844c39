//go:build interop && installed

package e2e

import (
	"path/filepath"
	"testing"
)

// TestInstalledClients is TestPythonClients of those that need much compiling, or
// installing.
func TestInstalledClients(t *testing.T) {
	t.Parallel()
	programs, err := installedRust()
	if err != nil {
		t.Fatal(err)
	}
	classes, err := installedJava()
	if err != nil {
		t.Fatal(err)
	}
	onBothStores(t, nil, func(t *testing.T, d *deployment) {
		s := openShopBehindFront(t, d)
		for _, by := range []credentials{s.confidential, s.public} {
			var got journey
			ask(t, s.request(by), &got, filepath.Join(programs, "client"))
			got.check(t, s, "oauth2", by)
		}
		var got journey
		ask(t, s.request(s.confidential), &got, "java", "-Xshare:auto", "-XX:TieredStopAtLevel=1",
			"-cp", classes+":"+filepath.Join("clients", "java", "lib", "*"), "Client")
		got.check(t, s, "Spring Security", s.confidential)
	})
}
