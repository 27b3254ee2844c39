package e2e

import (
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/keyturn/keyturn/internal/model"
)

// checkModel holds what the servers of a deployment did, as their logs tell it,
// against the model of the session and key rules.
func (d *deployment) checkModel(t *testing.T) {
	files, err := filepath.Glob(filepath.Join(d.dir, "audit*"))
	if err != nil {
		t.Fatal(err)
	}
	var logs [][]byte
	for _, file := range files {
		if info, err := os.Stat(file); err == nil && info.Mode().IsRegular() {
			logs = append(logs, []byte(readFile(t, file)))
		}
	}
	of := model.Deployment{
		Bounded: d.bounded.Load(), Rings: d.rings.Load(), Lossy: d.logAway.Load(), WrongClock: d.launch != nil,
		// FerretDB reads, then writes.
		TwoWin: strings.HasPrefix(d.store, "mongodb:") && os.Getenv("KEYTURN_TEST_MONGODB_URI") == "",
	}
	wrong, sessions := model.Replay(of, logs...)
	if sessions > 0 {
		t.Logf("%d sessions in %d logs replayed against the model", sessions, len(logs))
	}
	if len(wrong) > 0 {
		t.Errorf("the model forbids what the servers did:\n%s", strings.Join(wrong, "\n"))
	}
}

// noteFlags takes note of a retry window and of several algorithms among the flags.
func (d *deployment) noteFlags(args []string) {
	for _, arg := range args {
		if strings.Contains(arg, "retry-window") {
			d.bounded.Store(true)
		}
		if strings.Contains(arg, "signing-algs") {
			d.rings.Store(true)
		}
	}
}
