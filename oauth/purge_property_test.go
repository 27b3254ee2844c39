package oauth

import (
	"cmp"
	"testing"
	"time"

	"pgregory.net/rapid"

	"github.com/keyturn/keyturn/internal/clients"
)

// TestNothingThatCanRefreshIsRemoved moves a session on under random settings:
// its record may never go while its refresh token, or the access token that came
// with it, still counts.
func TestNothingThatCanRefreshIsRemoved(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		lifetime := func(name string, least time.Duration) time.Duration {
			return time.Duration(rapid.Int64Range(int64(least/time.Millisecond), int64(400*24*time.Hour/time.Millisecond)).Draw(t, name)) * time.Millisecond
		}
		settings := Settings{AccessTTL: lifetime("access_token_ttl", time.Second), RefreshIdleTTL: lifetime("idle", time.Millisecond), RefreshTTL: lifetime("whole", time.Second)}
		client := clients.Client{}
		if rapid.Bool().Draw(t, "client's own") {
			client.RefreshTTL = lifetime("client's whole", time.Second)
			client.RefreshIdleTTL = lifetime("client's idle", time.Millisecond)
		}
		now := time.UnixMilli(rapid.Int64Range(0, 4_000_000_000_000).Draw(t, "now")).UTC()
		f := &Families{settings: settings}
		expires := now.Add(cmp.Or(client.RefreshTTL, settings.RefreshTTL))
		for range 20 {
			idle, purge := f.lifetimes(client, expires, now)
			if idle.After(expires) || idle.Before(now) {
				t.Fatalf("used at %v it expires at %v, wholly at %v", now, idle, expires)
			}
			for what, end := range map[string]time.Time{"refresh token": idle, "access token": now.Add(settings.AccessTTL)} {
				if purge.Before(end.Add(purgeGrace)) {
					t.Fatalf("the record may go at %v, but its %s counts until %v", purge, what, end)
				}
			}
			if !idle.After(now) {
				return
			}
			now = now.Add(time.Duration(rapid.Int64Range(0, int64(idle.Sub(now)-1)).Draw(t, "unused for")))
		}
	})
}
