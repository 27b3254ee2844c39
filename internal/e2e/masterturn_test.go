package e2e

import (
	"strings"
	"testing"
)

// TestK7_TheMasterKeyTurns follows the documented procedure on the real binary: a new
// line first, a restart, rewrap (twice). The signing keys and the sessions live on.
func TestK7_TheMasterKeyTurns(t *testing.T) {
	onBothStores(t, nil, func(t *testing.T, d *deployment) {
		s := openShop(t, d)
		r := &refresher{url: s.url, by: s.public, token: s.login(t, s.public, email, password).RefreshToken}
		// asleep refreshes only when the turn is long over.
		asleep := &refresher{url: s.url, by: s.public, token: s.login(t, s.public, email, password).RefreshToken}
		var before, after []struct {
			KID      string
			MasterID string `json:"master_id"`
			Problem  string
		}
		s.must(t, &before, "keys", "list")
		old := readFile(t, d.masterKeys)
		newMasterKeys(t, d.masterKeys)
		young := readFile(t, d.masterKeys)
		writeFile(t, d.masterKeys, young+old)
		s.server.stop(t)
		next := s.server.again(t)
		if _, ok := r.refresh(); !ok {
			t.Fatal("the session ended with the turn of the master key")
		}
		for _, want := range []int{len(before), 0} {
			var done struct{ Rewrapped int }
			s.must(t, &done, "keys", "rewrap")
			if done.Rewrapped != want {
				t.Errorf("%d keys were sealed anew; want %d", done.Rewrapped, want)
			}
		}
		s.must(t, &after, "keys", "list")
		for i, key := range after {
			if key.KID != before[i].KID || key.MasterID == before[i].MasterID || key.Problem != "" {
				t.Errorf("after the turn: %+v; before: %+v", key, before[i])
			}
		}
		// One session is still under the old line, which store check knows.
		s.must(t, nil, "store", "check")
		writeFile(t, d.masterKeys, young)
		if o := d.run(t, "store", "check"); o.code != 1 || !strings.Contains(o.stderr, "live sessions under the master key "+before[0].MasterID) {
			t.Errorf("store check without the old master key: exit code %d, %q; want 1, and the session under %s", o.code, o.stderr, before[0].MasterID)
		}
		writeFile(t, d.masterKeys, young+old)
		for _, r := range []*refresher{r, asleep} {
			if _, ok := r.refresh(); !ok {
				t.Error("a session ended with the rewrapping")
			}
		}
		writeFile(t, d.masterKeys, young)
		s.must(t, nil, "store", "check")
		next.stop(t)
	})
}
