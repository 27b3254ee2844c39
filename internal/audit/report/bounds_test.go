package report

import (
	"fmt"
	"math/rand/v2"
	"strings"
	"testing"
	"time"

	"pgregory.net/rapid"

	"github.com/keyturn/keyturn/internal/audit/audittest"
	"github.com/keyturn/keyturn/internal/audit/verify"
)

// TestReportIsBounded fills every list and every counter, and reads what was cut.
func TestReportIsBounded(t *testing.T) {
	b := NewBuilder(time.Time{}, time.Time{})
	line := func(i int, action, outcome, reason, rest string) {
		at := audittest.Dawn.Add(time.Duration(i) * 7 * time.Minute).Format(time.RFC3339Nano)
		b.Add([]byte(fmt.Sprintf(`{"keyturn":{"chain":{"id":"c%d"},"grant_type":"password","client_id":"c%d"},"@timestamp":%q,"event":{"action":%q,"outcome":%q,"reason":%q},`+
			`"user":{"id":"u%d"},"source":{"ip":"10.%d.%d.%d"},"user_agent":{"original":"agent %d"}%s}`, i, i, at, action, outcome, reason, i%(maxUsers+10), i>>16, i>>8&255, i&255, i, rest)))
	}
	const n = maxKeys + 2000
	for i := range maxUsers + 2000 {
		line(i, "token-issued", "success", "", "")
		if i >= n {
			continue
		}
		line(i, "token-refused", "failure", "wrong_password", "")
		line(i, "token-refused", "failure", "wrong_client_secret", "")
		line(i, "token-reuse", "failure", fmt.Sprint(i), "")
		line(i, "key-revoked", "success", "", "")
		line(i, "user-disabled", "failure", "unknown_user", "")
		line(i, "audit-events-lost", "failure", "", "")
	}
	b.Add([]byte(`{"keyturn":{},"@timestamp":"9999-12-31T00:00:00Z","event":{"action":"token-issued","outcome":"success"}}`))
	b.Add([]byte(`{"keyturn":{},"@timestamp":"0001-01-02T00:00:00Z","event":{"action":"token-issued","outcome":"success"}}`))
	for name, held := range map[string]int{
		"sources": len(b.sources.heap), "accounts": len(b.accounts.heap), "clients": len(b.clients.slot),
		"refusals": len(b.refusals.heap), "chains": len(b.chains.known), "steps": len(b.clock.kept) + maxKeys - maxKept,
	} {
		if held > maxKeys {
			t.Errorf("%d %s are held", held, name)
		}
	}
	r := b.Report()
	r.Conclude()
	if len(r.Reuses.Rows) != maxReuses || r.Reuses.Total != n || r.Reuses.Rows[maxReuses-1].User != fmt.Sprint("u", n-1) {
		t.Errorf("%d reuses of %d", len(r.Reuses.Rows), r.Reuses.Total)
	}
	if len(r.Sources.Rows) != maxTop || !r.Sources.More || r.Sources.Inexact == 0 {
		t.Errorf("%d sources, %v, %d", len(r.Sources.Rows), r.Sources.More, r.Sources.Inexact)
	}
	if len(r.Timeline.Steps) > maxSteps || len(r.Servers.Rows) > maxServers || len(r.Keys.Rows) != maxChanges || len(r.Admin.Rows) != 2*maxOfKind {
		t.Errorf("%d steps, %d servers, %d keys, %d actions", len(r.Timeline.Steps), len(r.Servers.Rows), len(r.Keys.Rows), len(r.Admin.Rows))
	}
	if len(r.Losses.Rows) != maxLosses || r.Losses.Total != n {
		t.Errorf("%d losses of %d", len(r.Losses.Rows), r.Losses.Total)
	}
	if r.Devices.Unwatched != 10 {
		t.Errorf("%d logins were not looked at", r.Devices.Unwatched)
	}
	page := pageOf(t, r)
	if len(page) > 2<<20 {
		t.Errorf("the page has %d bytes", len(page))
	}
	for _, note := range []string{
		"of chains beyond the first 10,000, which are not in this table.",
		"The latest 200 of 12,000; 11,800 earlier ones are not shown.", "The first 50; there are more.", "40 more rows", "too low by up to",
		"10 logins of users beyond the first 50,000 were not looked at.", "The latest of each action; 23,900 earlier ones are not shown.",
	} {
		if !strings.Contains(page, note) {
			t.Errorf("the page does not say %q", note)
		}
	}
}

// TestTallyMissesNothingThatComesOften compares a tally that is too small with
// an exact count.
func TestTallyMissesNothingThatComesOften(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		room := rapid.IntRange(1, 20).Draw(t, "room")
		keys := rapid.SliceOf(rapid.IntRange(0, 60)).Draw(t, "keys")
		counts := newTally[int](room)
		exact := map[string]int64{}
		for _, k := range keys {
			key := fmt.Sprint(k * k / 60)
			exact[key]++
			*counts.add(key)++
		}
		for key, n := range exact {
			s := counts.slot[key]
			if s == nil && n > int64(len(keys)/room) {
				t.Fatalf("%s came %d times of %d and is lost", key, n, len(keys))
			}
			if s != nil && (s.count < n || s.count-s.over > n || int64(s.detail) > n) {
				t.Fatalf("%s came %d times and is counted %d, at most %d too high", key, n, s.count, s.over)
			}
		}
		if len(counts.heap) > room || len(counts.slot) != len(counts.heap) {
			t.Fatalf("%d keys in room for %d", len(counts.heap), room)
		}
	})
}

// TestTimelineLosesNothing adds times at random, in any order.
func TestTimelineLosesNothing(t *testing.T) {
	for _, spread := range []time.Duration{time.Second, time.Hour, 24 * 365 * time.Hour, 100 * 24 * 365 * time.Hour} {
		c := newClock()
		var first, last time.Time
		for range 5000 {
			at := audittest.Dawn.Add(time.Duration(rand.Int64N(int64(spread))))
			if first.IsZero() || at.Before(first) {
				first = at
			}
			if at.After(last) {
				last = at
			}
			c.add(at, Counts{Logins: 1})
		}
		line := c.timeline(first, last)
		var n int64
		for i, s := range line.Steps {
			n += s.Logins
			if i > 0 && s.From.Sub(line.Steps[i-1].From) != time.Duration(line.Step)*time.Second {
				t.Errorf("a gap before %v", s.From)
			}
		}
		if n != 5000 || len(line.Steps) > maxSteps {
			t.Errorf("%v: %d events in %d steps", spread, n, len(line.Steps))
		}
	}
}

func TestLatest(t *testing.T) {
	for n := range 10 {
		l := latest[int]{room: 4}
		for i := range n {
			l.add(i)
		}
		got := l.list()
		for i, row := range got.Rows {
			if row != max(0, n-4)+i {
				t.Errorf("%d of %v", n, got.Rows)
			}
		}
		if len(got.Rows) != min(n, 4) || got.Total != int64(n) {
			t.Errorf("%d: %v", n, got)
		}
	}
}

// BenchmarkAdd reads what a server writes most.
func BenchmarkAdd(b *testing.B) {
	s := audittest.NewScribe(b)
	s.QuietDay()
	s.Close()
	var lines [][]byte
	if err := verify.Lines([]string{s.Path}, func(line []byte) error { lines = append(lines, append([]byte(nil), line...)); return nil }); err != nil {
		b.Fatal(err)
	}
	build := NewBuilder(time.Time{}, time.Time{})
	b.ReportAllocs()
	for i := 0; b.Loop(); i++ {
		build.Add(lines[i%len(lines)])
		b.SetBytes(int64(len(lines[i%len(lines)])))
	}
}
