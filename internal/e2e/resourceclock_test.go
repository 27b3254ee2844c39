package e2e

import (
	"fmt"
	"os"
	"path/filepath"
	"testing"
	"time"
)

// clock is the clock of a resource program: that of the world, and ahead on top.
// The program in Go looks at it, libfaketime shows it to those that use the C
// library. Caches that live for hours are seen through in seconds.
type clock struct {
	file string
	// ahead is how far it is before the world's clock.
	ahead time.Duration
}

func newClock(t *testing.T, dir string) *clock {
	t.Helper()
	c := &clock{file: filepath.Join(dir, "clock")}
	c.set(t, 0)
	return c
}

// set puts the clock ahead of the world's.
func (c *clock) set(t *testing.T, ahead time.Duration) {
	t.Helper()
	c.ahead = ahead
	next := c.file + ".next"
	// Apache's children read it as another user.
	if err := os.WriteFile(next, fmt.Appendf(nil, "%+d\n", int(ahead.Seconds())), 0o644); err != nil {
		t.Fatal(err)
	}
	if err := os.Rename(next, c.file); err != nil {
		t.Fatal(err)
	}
}

// advance puts the clock on by d, and by what makes it whole seconds, which are
// all that the file tells.
func (c *clock) advance(t *testing.T, d time.Duration) {
	t.Helper()
	if part := d % time.Second; part > 0 {
		d += time.Second - part
	}
	c.set(t, c.ahead+d)
}

// now is what the clock shows.
func (c *clock) now() time.Time { return time.Now().Add(c.ahead) }
