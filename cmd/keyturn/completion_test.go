package main

import (
	"io"
	"strings"
	"testing"
)

// TestCompletion asks as shells do. A directive of 4 keeps the shell from
// proposing files.
func TestCompletion(t *testing.T) {
	for line, want := range map[string]string{
		"audit tail --outcome ":      "success failure :4",
		"store copy --from ":         "sqlite: mongodb:// :4",
		"store copy --to ":           "sqlite: mongodb:// :4",
		"serve --signing-alg ":       "ES256 RS256 PS256 EdDSA Ed25519 :4",
		"keys revoke ":               ":4",
		"users sessions ":            ":4",
		"audit verify ":              ":0",
		"users add --password-file ": ":0",
		"users import ":              ":0",
		"man ":                       ":0",
	} {
		var out strings.Builder
		p := &program{stdout: &out, stderr: io.Discard}
		code := p.run(t.Context(), append([]string{"__complete"}, strings.Split(line, " ")...))
		if got := strings.Join(strings.Fields(out.String()), " "); code != exitOK || got != want {
			t.Errorf("%q: exit code %d, %q; want %q", line, code, got, want)
		}
	}
}
