//go:build interop

package e2e

import "testing"

// TestDetectionCounts holds the queries of docs/detection.md that count with jq.
func TestDetectionCounts(t *testing.T) {
	t.Parallel()
	holdRecipes(t, true, "/bin/bash", "-o", "pipefail")
}
