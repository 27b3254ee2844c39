package e2e

import (
	"errors"
	"math/rand/v2"
	"os"
	"os/exec"
	"slices"
	"strings"
	"syscall"
	"testing"
)

// sealedKey is a key of which a private half is stored.
type sealedKey struct {
	KID      string
	MasterID string `json:"master_id"`
	Problem  string
}

// sealedKeys lists the keys with a private half; none may have a problem.
func (d *deployment) sealedKeys(t *testing.T) (sealed []sealedKey) {
	t.Helper()
	var list []sealedKey
	d.must(t, &list, "keys", "list")
	for _, key := range list {
		if key.Problem != "" {
			t.Errorf("the key %s cannot be used: %s", key.KID, key.Problem)
		}
		if key.MasterID != "" {
			sealed = append(sealed, key)
		}
	}
	if len(sealed) < 2 {
		t.Fatalf("%d keys with a private half; want an active key and a standby: %+v", len(sealed), list)
	}
	return sealed
}

// masters counts the master keys that the keys rest under.
func masters(list []sealedKey) int {
	ids := map[string]bool{}
	for _, key := range list {
		ids[key.MasterID] = true
	}
	return len(ids)
}

// turnMaster puts a new master key first in the file and restarts the server.
func (s *shop) turnMaster(t *testing.T) {
	t.Helper()
	old := readFile(t, s.masterKeys)
	newMasterKeys(t, s.masterKeys)
	writeFile(t, s.masterKeys, readFile(t, s.masterKeys)+old)
	s.server.stop(t)
	s.server = s.server.again(t)
}

// beginRewrap starts keys rewrap, with what it says going to stderr.
func (d *deployment) beginRewrap(t *testing.T, stderr *os.File) *exec.Cmd {
	t.Helper()
	cmd := exec.Command(keyturn, slices.Concat([]string{"keys", "rewrap"}, d.flags())...)
	cmd.Env, cmd.Dir, cmd.Stderr = bareEnviron(), t.TempDir(), stderr
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	return cmd
}

func kill9(cmd *exec.Cmd) {
	_ = cmd.Process.Kill() // it may have ended
	_ = cmd.Wait()
}

// fullPipe returns the writing end of a pipe that takes nothing more: whoever writes
// to it waits.
func fullPipe(t *testing.T) *os.File {
	t.Helper()
	r, w, err := os.Pipe()
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { r.Close(); w.Close() })
	fd := int(w.Fd())
	if err := syscall.SetNonblock(fd, true); err != nil {
		t.Fatal(err)
	}
	for err == nil {
		_, err = syscall.Write(fd, []byte("x"))
	}
	if !errors.Is(err, syscall.EAGAIN) {
		t.Fatalf("filling a pipe: %v", err)
	}
	if err := syscall.SetNonblock(fd, false); err != nil {
		t.Fatal(err)
	}
	return w
}

// TestK7_RewrapSurvivesKill ends keys rewrap by kill -9, between one key and the next
// for sure, and then after any number of refreshes, while a server and its sessions go on. Whatever is
// left is whole, a repetition ends it, and nobody is logged out.
func TestK7_RewrapSurvivesKill(t *testing.T) {
	t.Parallel()
	onBothStores(t, nil, func(t *testing.T, d *deployment) {
		s := openShop(t, d)
		r := &refresher{url: s.url, by: s.public, token: s.login(t, s.public, email, password).RefreshToken}
		refreshes := func(when string) {
			t.Helper()
			if _, ok := r.refresh(); !ok {
				t.Fatalf("the session did not go on %s: %v", when, r.lost.Load())
			}
		}
		first := s.sealedKeys(t)

		s.turnMaster(t)
		// It tells of each key, and waits here once it has done the first.
		stuck := d.beginRewrap(t, fullPipe(t))
		eventually(t, "one key rests under the new master key and one under the old", func() bool {
			return masters(s.sealedKeys(t)) == 2
		})
		refreshes("while it ran")
		kill9(stuck)
		if n := masters(s.sealedKeys(t)); n != 2 {
			t.Errorf("after the kill the keys rest under %d master keys", n)
		}
		s.server.stop(t)
		s.server = s.server.again(t)
		refreshes("on a server that found it half done")

		for range 4 {
			s.turnMaster(t)
			for range 3 {
				running := d.beginRewrap(t, nil)
				for range rand.IntN(12) {
					refreshes("while it ran")
				}
				kill9(running)
				s.sealedKeys(t)
				refreshes("after a kill")
			}
		}
		s.must(t, nil, "keys", "rewrap")
		last := s.sealedKeys(t)
		if masters(last) != 1 || last[0].MasterID == first[0].MasterID {
			t.Errorf("in the end the keys rest as %+v, at first as %+v", last, first)
		}
		for i := range first {
			if last[i].KID != first[i].KID {
				t.Errorf("the keys were %+v and are %+v", first, last)
			}
		}
		refreshes("after the last run")
		// The newest master key alone opens every key.
		newest, _, _ := strings.Cut(readFile(t, s.masterKeys), "\n")
		writeFile(t, s.masterKeys, newest+"\n")
		s.sealedKeys(t)
		s.server.stop(t)
		d.checkAudit(t)
	})
}
