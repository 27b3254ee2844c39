package sqlite

import (
	"fmt"
	"path/filepath"
	"sync/atomic"
	"testing"
	"time"

	"github.com/keyturn/keyturn/keys"
	"github.com/keyturn/keyturn/oauth"
)

// benchFamilies is how many families the benchmarks' store holds.
const benchFamilies = 20_000

func benchStore(b *testing.B) *Store {
	b.Helper()
	s, err := Open(b.Context(), filepath.Join(b.TempDir(), "keyturn.db"))
	if err != nil {
		b.Fatal(err)
	}
	b.Cleanup(func() {
		if err := s.Close(); err != nil {
			b.Error(err)
		}
	})
	return s
}

// benchFill stores the families, spread over the key space as random ids are.
func benchFill(b *testing.B, s *Store) []oauth.Family {
	b.Helper()
	families := make([]oauth.Family, benchFamilies)
	for i := range families {
		f := family(fmt.Sprintf("%08x-0000-4000-8000-%012x", uint32(i)*2654435761, i))
		f.UserID = fmt.Sprintf("user-%d", i%5000)
		families[i] = f
	}
	for at := 0; at < len(families); at += 1000 {
		_, err := change(b.Context(), s, func(c *conn) (int, error) {
			for _, f := range families[at:min(at+1000, len(families))] {
				if _, err := c.exec(insertFamily, familyValues(f)...); err != nil {
					return 0, err
				}
			}
			return 0, nil
		})
		if err != nil {
			b.Fatal(err)
		}
	}
	return families
}

// BenchmarkRotateFamily is 32 clients that refresh at the same time, as fast
// as they can, each its own families.
func BenchmarkRotateFamily(b *testing.B) {
	s := benchStore(b)
	families := benchFill(b, s)
	if err := s.CreateClient(b.Context(), client("web")); err != nil {
		b.Fatal(err)
	}
	var turn atomic.Int64
	b.SetParallelism(16) // times two processors
	b.RunParallel(func(pb *testing.PB) {
		for pb.Next() {
			n := turn.Add(1)
			f := families[n%benchFamilies]
			r := rotation(f, f.Generation+n/benchFamilies)
			r.At = r.At.Add(time.Duration(n) * time.Millisecond)
			r.PurgeAt = r.PurgeAt.Add(time.Duration(n) * time.Millisecond)
			if _, err := rotate(b.Context(), s, f, r); err != nil {
				b.Error(err)
				return
			}
		}
	})
	b.ReportMetric(float64(b.N)/b.Elapsed().Seconds(), "rotations/s")
}

func BenchmarkFamilyByID(b *testing.B) {
	s := benchStore(b)
	families := benchFill(b, s)
	for i := 0; b.Loop(); i++ {
		if _, err := s.FamilyByID(b.Context(), families[i*7919%benchFamilies].ID); err != nil {
			b.Fatal(err)
		}
	}
}

// BenchmarkKeys is what a poll of the signing keys reads.
func BenchmarkKeys(b *testing.B) {
	s := benchStore(b)
	for seq := range int64(40) {
		k := keys.Record{
			Seq: seq, KID: fmt.Sprint(seq), Alg: keys.ES256, Public: make([]byte, 200), Sealed: make([]byte, 200),
			CreatedAt: time.Now(), ActivateAt: time.Now(), Archived: seq < 37, Version: 1,
		}
		if err := s.CreateKey(b.Context(), k); err != nil {
			b.Fatal(err)
		}
	}
	b.ReportAllocs()
	for b.Loop() {
		if list, err := s.Keys(b.Context()); err != nil || len(list) != 3 {
			b.Fatal(len(list), err)
		}
	}
}

func BenchmarkClientByID(b *testing.B) {
	s := benchStore(b)
	if err := s.CreateClient(b.Context(), client("web")); err != nil {
		b.Fatal(err)
	}
	for b.Loop() {
		if _, err := s.ClientByID(b.Context(), "web"); err != nil {
			b.Fatal(err)
		}
	}
}
