package sqlite

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"sync"
	"testing"
	"time"

	"github.com/keyturn/keyturn/internal/clients"
	"github.com/keyturn/keyturn/internal/store"
	"github.com/keyturn/keyturn/oauth"
)

// expiredVariable sets how many sessions have expired in TestSweepBesideRefreshes.
// A plain run has time for few; what stands in docs/operating.md is of a million.
const expiredVariable = "KEYTURN_TEST_EXPIRED"

// TestSweepBesideRefreshes removes expired sessions while clients refresh theirs:
// all that expired goes, and nothing else, and no refresh fails. It logs how long
// refreshes take, without a sweep and beside it.
func TestSweepBesideRefreshes(t *testing.T) {
	expired := 5000
	if text := os.Getenv(expiredVariable); text != "" {
		var err error
		if expired, err = strconv.Atoi(text); err != nil || expired < 1 {
			t.Fatalf("%s=%q is not a number of sessions", expiredVariable, text)
		}
	}
	const live = 1000
	s := open(t, filepath.Join(t.TempDir(), "keyturn.db"))
	create := func(n int, change func(*oauth.Family)) []oauth.Family {
		all := make([]oauth.Family, n)
		for i := range all {
			all[i] = family(fmt.Sprintf("%08x-%d", uint32(i)*2654435761, n))
			all[i].UserID = fmt.Sprintf("user-%d", i%5000)
			change(&all[i])
		}
		for page := range slices.Chunk(all, 5000) {
			if err := s.Put(t.Context(), store.Records{Families: page}); err != nil {
				t.Fatal(err)
			}
		}
		return all
	}
	create(expired, func(f *oauth.Family) { f.PurgeAt = began.Add(-time.Minute) })
	families := create(live, func(*oauth.Family) {})

	alone, stop := context.WithTimeout(t.Context(), time.Duration(expired)*100*time.Microsecond)
	before := refreshing(t, s, families, alone.Done())
	stop()
	done := make(chan struct{})
	sweep := time.Now()
	go func() {
		defer close(done)
		for removed := 0; removed < expired; {
			n, err := store.SweepAll(t.Context(), s, began)
			if removed += n; err != nil || n == 0 {
				t.Errorf("%d of %d removed, %v", removed, expired, err)
				return
			}
		}
	}()
	beside := refreshing(t, s, families, done)
	shrinks(t, s)
	t.Logf("%d expired sessions were removed in %v", expired, time.Since(sweep).Round(10*time.Millisecond))
	t.Logf("refreshes alone: %v", before)
	t.Logf("beside the sweep: %v", beside)
	if left, err := s.AllFamilies(t.Context(), "", 2*live); err != nil || len(left) != live {
		t.Errorf("%d sessions are left, %v; want %d", len(left), err, live)
	}
}

// latencies are how long refreshes took.
type latencies []time.Duration

func (l latencies) String() string {
	slices.Sort(l)
	at := func(share float64) time.Duration {
		return l[min(int(share*float64(len(l))), len(l)-1)].Round(10 * time.Microsecond)
	}
	return fmt.Sprintf("%d, p50 %v, p99 %v, longest %v", len(l), at(0.5), at(0.99), at(1))
}

// refreshing has 32 clients refresh sessions of their own until done.
func refreshing(t *testing.T, s *Store, families []oauth.Family, done <-chan struct{}) latencies {
	t.Helper()
	const callers = 32
	var all sync.WaitGroup
	took := make([]latencies, callers)
	for c := range callers {
		all.Go(func() {
			for n := c; ; n += callers {
				f := families[n%len(families)]
				begin := time.Now()
				_, err := s.RotateFamily(context.Background(), f.ID, f.ClientID, func(seen oauth.Family, _ clients.Client) (*oauth.Rotation, error) {
					return rotation(seen, seen.Generation), nil
				})
				if err != nil {
					t.Errorf("refreshing %s: %v", f.ID, err)
					return
				}
				took[c] = append(took[c], time.Since(begin))
				select {
				case <-done:
					return
				default:
				}
			}
		})
	}
	all.Wait()
	return slices.Concat(took...)
}

// shrinks has the store give back what the sweep has freed: all but what it keeps
// for later.
func shrinks(t *testing.T, s *Store) {
	t.Helper()
	pages := func(c *conn) ([2]int64, error) {
		all, err := scalar(c, countPages)
		free, freeErr := scalar(c, countFree)
		return [2]int64{all, free}, errors.Join(err, freeErr)
	}
	before, err := read(t.Context(), s, pages)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := store.SweepAll(t.Context(), s, began); err != nil {
		t.Fatal(err)
	}
	after, err := read(t.Context(), s, pages)
	if err != nil || after[1] > spare || before[0]-after[0] < before[1]-spare {
		t.Errorf("%d pages, %d of them free, became %d and %d (%v)", before[0], before[1], after[0], after[1], err)
	}
	t.Logf("%d pages became %d", before[0], after[0])
}

// TestRewrite has a file that was made without giving space back do so, while the
// store is open, with all that it holds.
func TestRewrite(t *testing.T) {
	path := filepath.Join(t.TempDir(), "keyturn.db")
	s := open(t, path)
	all := make([]oauth.Family, 2000)
	for i := range all {
		all[i] = family(fmt.Sprintf("%08x", i))
		all[i].PurgeAt = began.Add(-time.Minute)
	}
	kept := family("kept")
	if err := s.Put(t.Context(), store.Records{Families: append(all, kept)}); err != nil {
		t.Fatal(err)
	}
	if err := s.Close(); err != nil {
		t.Fatal(err)
	}
	c, err := file(path).connect(t.Context(), forReading)
	if err != nil {
		t.Fatal(err)
	}
	if err := errors.Join(c.script(`PRAGMA query_only=OFF; PRAGMA auto_vacuum=NONE; VACUUM`), c.Close()); err != nil {
		t.Fatal(err)
	}
	s = open(t, path)
	if _, err := s.Sweep(t.Context(), began, 5000); err != nil {
		t.Fatal(err)
	}
	if more, err := s.Shrink(t.Context()); more || err != nil {
		t.Fatalf("the file can shrink: %t, %v", more, err)
	}
	for range 2 {
		if err := s.Rewrite(t.Context()); err != nil {
			t.Fatal(err)
		}
	}
	mode, err := change(t.Context(), s, func(c *conn) (int64, error) { return scalar(c, readAutoVacuum) })
	if err != nil || mode != incremental {
		t.Errorf("the mode is %d, %v", mode, err)
	}
	if f, err := s.FamilyByID(t.Context(), kept.ID); err != nil || f.ID != kept.ID {
		t.Errorf("what was kept is %v, %v", f.ID, err)
	}
	if err := s.Put(t.Context(), store.Records{Families: []oauth.Family{family("young")}}); err != nil {
		t.Error(err)
	}
	if err := s.Close(); err != nil {
		t.Fatal(err)
	}
	if info, err := os.Stat(path); err != nil || info.Size() > 300<<10 {
		t.Errorf("the file has %d bytes, %v", info.Size(), err)
	}
	if found, err := file(path).verify(t.Context()); err != nil || found.Families != 2 {
		t.Errorf("it holds %+v, %v", found, err)
	}
}
