package throttle

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"net/netip"
	"slices"
	"strings"
	"sync"
	"time"
)

// dimension is one way of counting failures; see Throttle for its values.
type dimension struct {
	name   string
	window time.Duration
	free   int64
	first  time.Duration
	limit  time.Duration
}

var (
	perPair    = dimension{"pair", 24 * time.Hour, 5, time.Second, 15 * time.Minute}
	perAccount = dimension{"account", 24 * time.Hour, 50, time.Second, 30 * time.Second}
	perNetwork = dimension{"network", time.Hour, 100, time.Second, time.Minute}
	perCodes   = dimension{"codes", 24 * time.Hour, 5, time.Second, time.Hour}
	perLetters = dimension{"letters", 24 * time.Hour, 3, 5 * time.Minute, time.Hour}
	perNotices = dimension{"notices", 24 * time.Hour, 5, time.Hour, 24 * time.Hour}
)

// knownPeriod is the least time for which a network stays known to an account.
const knownPeriod = 30 * 24 * time.Hour

// intervals is how many intervals of its grid a turn blocks. A delay is divided
// into that many, so the block lasts between two thirds of the delay and all of
// it.
const intervals = 3

// delay returns the time between failure number n and the next judged attempt.
func (d dimension) delay(n int64) time.Duration {
	if n < d.free {
		return 0
	}
	delay := d.first
	for ; n > d.free && delay < d.limit; n-- {
		delay *= 2
	}
	return min(delay, d.limit)
}

// delays returns every delay of the dimension, the shortest first.
func (d dimension) delays() []time.Duration {
	delays := []time.Duration{d.first}
	for n := d.free + 1; delays[len(delays)-1] < d.limit; n++ {
		delays = append(delays, d.delay(n))
	}
	return delays
}

// gate is a dimension for one subject: a pair, an account or a network.
//
// It counts failures in a sliding window with two counters: one for the running
// window, and one for the window before, which is weighed by how much of it the
// sliding window still covers.
//
// It keeps the time since the last attempt in counters too. Attempt number n
// marks the interval in which it happens, on a grid of a third of the delay
// after n. The gate is closed while one of the last three intervals of any grid
// is marked. Before that an attempt marks the finest grid. The value of the
// counter tells who was first, so that only one attempt in each interval of the
// finest grid is let in, whatever number it computed.
type gate struct {
	dimension
	id            string
	at            time.Time
	count, before string
	expire        time.Time
	earlier       int64 // failures of the window before, weighed
	seen          int64 // all failures in the sliding window

	charged  bool
	ownTurns []string
}

// turn is a mark: the gate is closed until a time if its counter is not zero.
type turn struct {
	key   string
	until time.Time
}

func newGate(d dimension, at time.Time, subject ...string) *gate {
	g := &gate{dimension: d, at: at, id: digest(append([]string{d.name}, subject...)...)}
	window := at.UnixMilli() / d.window.Milliseconds()
	g.count = fmt.Sprintf("%s:%s:%d", d.name, g.id, window)
	g.before = fmt.Sprintf("%s:%s:%d", d.name, g.id, window-1)
	g.expire = time.UnixMilli((window + 2) * d.window.Milliseconds())
	return g
}

// read sets the values of the counters count and before.
func (g *gate) read(count, before int64) {
	elapsed := g.at.UnixMilli() % g.window.Milliseconds()
	left := g.window.Milliseconds() - elapsed
	g.earlier = max(before, 0) * left / g.window.Milliseconds()
	g.seen = max(count, 0) + g.earlier
}

// turns returns the marks that may close the gate now. It returns those of all
// grids, because the number of failures may have shrunk since the last attempt
// as the window moved, while the delay due then still holds.
func (g *gate) turns() []turn {
	if g.seen < g.free {
		return nil
	}
	var turns []turn
	for _, delay := range g.delays() {
		for ago := range int64(intervals) {
			turns = append(turns, g.turnAt(delay, ago))
		}
	}
	return turns
}

// turnAt returns the mark on the grid of a delay, ago intervals ago.
func (g *gate) turnAt(delay time.Duration, ago int64) turn {
	interval := delay.Milliseconds() / intervals
	index := g.at.UnixMilli()/interval - ago
	return turn{
		key:   fmt.Sprintf("%s:%s:turn:%d:%d", g.name, g.id, interval, index),
		until: time.UnixMilli((index + intervals) * interval),
	}
}

// takeTurn marks attempt number n and reports whether it was the first in its
// interval.
func (g *gate) takeTurn(ctx context.Context, c Counters, n int64) (bool, error) {
	delays := []time.Duration{g.first, g.delay(n)}
	for _, delay := range slices.Compact(delays) {
		turn := g.turnAt(delay, 0)
		marks, err := c.AddCount(ctx, turn.key, 1, turn.until.Add(time.Minute))
		if err != nil || marks > 1 {
			return false, err
		}
		g.ownTurns = append(g.ownTurns, turn.key)
	}
	return true, nil
}

// add counts a failure. If free attempts come at once it lets in as many as are
// free, and returns the wait of the others.
func (g *gate) add(ctx context.Context, c Counters) (time.Duration, error) {
	count, err := c.AddCount(ctx, g.count, 1, g.expire)
	if err != nil {
		return 0, err
	}
	g.charged = true
	n := max(count, 0) + g.earlier
	if len(g.ownTurns) > 0 || n < g.free {
		return 0, nil
	}
	if first, err := g.takeTurn(ctx, c, g.free); err != nil || first {
		return 0, err
	}
	return g.delay(n), nil
}

// withdraw undoes add and takeTurn.
func (g *gate) withdraw(ctx context.Context, c Counters) error {
	var errs []error
	if g.charged {
		_, err := c.AddCount(ctx, g.count, -1, g.expire)
		errs = append(errs, err)
	}
	if len(g.ownTurns) > 0 {
		errs = append(errs, c.ResetCounts(ctx, g.ownTurns))
	}
	return errors.Join(errs...)
}

// knownKeys returns the counters that record logins of account from network:
// those of this period and of the one before.
func knownKeys(at time.Time, account, network string) (now, before string) {
	id := digest("known", account, network)
	period := at.UnixMilli() / knownPeriod.Milliseconds()
	return fmt.Sprintf("known:%s:%d", id, period), fmt.Sprintf("known:%s:%d", id, period-1)
}

// digest returns a counter name that does not reveal its subject.
func digest(parts ...string) string {
	sum := sha256.Sum256([]byte(strings.Join(parts, "\x00")))
	return hex.EncodeToString(sum[:16])
}

// networkOf returns the network of an address: an IPv4 /24, or an IPv6 /48,
// which one site can easily obtain. It returns "" for an unknown address.
func networkOf(ip string) string {
	addr, err := netip.ParseAddr(ip)
	if err != nil {
		return ""
	}
	addr = addr.Unmap().WithZone("")
	bits := 48
	if addr.Is4() {
		bits = 24
	}
	prefix, err := addr.Prefix(bits)
	if err != nil {
		return ""
	}
	return prefix.String()
}

// inParallel calls f(0) to f(n-1) concurrently, so that a store can commit them
// together, and returns their errors joined.
func inParallel(n int, f func(i int) error) error {
	if n == 1 {
		return f(0)
	}
	errs := make([]error, n)
	var wg sync.WaitGroup
	for i := range n {
		wg.Go(func() { errs[i] = f(i) })
	}
	wg.Wait()
	return errors.Join(errs...)
}
