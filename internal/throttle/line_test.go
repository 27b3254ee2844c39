package throttle

import (
	"context"
	"testing"
	"testing/synctest"

	"github.com/keyturn/keyturn/internal/refusal"
)

func TestU4_RightPasswordsThatComeTogetherAreNotGuesses(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var l lines
		ctx, cancel := context.WithCancel(t.Context())
		var leave []func()
		for range abreast {
			done, err := l.enter(ctx, "ada@example.com")
			if err != nil {
				t.Fatal(err)
			}
			leave = append(leave, done)
		}
		if done, err := l.enter(ctx, "eve@example.com"); err != nil {
			t.Fatalf("another account had to wait: %v", err)
		} else {
			done()
		}
		admitted, gaveUp := make(chan func(), 1), make(chan error, maxInLine)
		for range maxInLine - abreast {
			go func() {
				done, err := l.enter(ctx, "ada@example.com")
				if err != nil {
					gaveUp <- err
					return
				}
				admitted <- done
			}()
		}
		synctest.Wait()
		if len(admitted) > 0 {
			t.Fatal("more were judged at once than may be")
		}
		if _, err := l.enter(ctx, "ada@example.com"); !refusal.Is(err, refusal.Busy) {
			t.Fatalf("a line that is full: %v", err)
		}
		leave[0]()
		synctest.Wait()
		if len(admitted) != 1 {
			t.Fatal("a free place was not taken")
		}
		cancel()
		synctest.Wait()
		if len(gaveUp) != maxInLine-abreast-1 {
			t.Fatalf("%d gave up", len(gaveUp))
		}
		for _, done := range append(leave[1:], <-admitted) {
			done()
		}
		if len(l.by) != 0 {
			t.Fatal("the line outlives those who stood in it")
		}
	})
}
