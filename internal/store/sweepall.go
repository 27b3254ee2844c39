package store

import (
	"context"
	"time"
)

const (
	// sweepStep is how many records of each kind one step of SweepAll removes.
	// It is small because a refresh has to wait for the end of a step.
	sweepStep = 500
	// sweepFor bounds one SweepAll, so that other periodic work is done on
	// time.
	sweepFor = 30 * time.Second
)

// Sweeper is the part of a Store that SweepAll needs.
type Sweeper interface {
	Sweep(ctx context.Context, now time.Time, limit int) (int, error)
}

// Shrinker is a store that does not free disk space by itself.
type Shrinker interface {
	// Shrink returns a little free space to the disk, and reports whether there
	// may be more.
	Shrink(ctx context.Context) (more bool, err error)
}

// SweepAll removes everything that had expired at now in small steps, until
// nothing is left or half a minute is over. After each step it pauses as long
// as the step took, so that requests have at least half of the store. When
// nothing is left, it lets a Shrinker free space in the same way. It returns
// how many records it removed. The error is from the store, or from ctx if that
// ended first.
func SweepAll(ctx context.Context, s Sweeper, now time.Time) (int, error) {
	total := 0
	for until := time.Now().Add(sweepFor); time.Now().Before(until); {
		began := time.Now()
		n, err := s.Sweep(ctx, now, sweepStep)
		total += n
		more := n > 0
		if shrinker, ok := s.(Shrinker); ok && err == nil && !more {
			more, err = shrinker.Shrink(ctx)
		}
		if err != nil || !more {
			return total, err
		}
		select {
		case <-ctx.Done():
			return total, ctx.Err()
		case <-time.After(time.Since(began)):
		}
	}
	return total, nil
}
