package mongodb

import (
	"context"
	"errors"
	"testing"
	"testing/synctest"
	"time"
)

// TestJointReads has a thousand callers ask at once, and again while the first
// read is under way: whoever asks while one is must be shown what a later one
// found, and all of them together cost two.
func TestJointReads(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		reads := 0
		j := newJointReads(func(context.Context, string) (int, error) {
			reads++
			n := reads
			time.Sleep(time.Second)
			return n, nil
		})
		ask := func(want int) {
			if got, err := j.get(t.Context(), "web"); got != want || err != nil {
				t.Errorf("shown read %d, %v; want %d", got, err, want)
			}
		}
		go ask(1)
		synctest.Wait() // the first read has begun
		for range 1000 {
			go ask(2)
		}
		synctest.Wait()
		time.Sleep(3 * time.Second)
		synctest.Wait()
		if reads != 2 || len(j.next) != 0 || len(j.busy) != 0 {
			t.Errorf("%d reads; left are %v, %v", reads, j.next, j.busy)
		}
	})
}

// TestJointReadsKeepDeadlines lets callers with different deadlines share a read
// that hangs: each hears by its own, and the read ends with the last.
func TestJointReadsKeepDeadlines(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		began, first := time.Now(), true
		j := newJointReads(func(ctx context.Context, _ string) (int, error) {
			if first {
				first = false
				time.Sleep(time.Second)
				return 0, nil
			}
			<-ctx.Done()
			if at := time.Since(began); at != 5*time.Second {
				t.Errorf("the read ended after %v", at)
			}
			return 0, ctx.Err()
		})
		go func() { _, _ = j.get(t.Context(), "web") }()
		synctest.Wait() // under way; the others share the next
		for _, after := range []time.Duration{5 * time.Second, 2 * time.Second} {
			go func() {
				ctx, cancel := context.WithTimeout(t.Context(), after)
				defer cancel()
				_, err := j.get(ctx, "web")
				if at := time.Since(began); !errors.Is(err, context.DeadlineExceeded) || at != after {
					t.Errorf("%v after %v; want it after %v", err, at, after)
				}
			}()
		}
		time.Sleep(10 * time.Second)
	})
}
