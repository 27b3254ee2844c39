package store

import (
	"context"
	"time"
)

const (
	// sweepStep is how many records of each kind one step of SweepAll removes:
	// few, for a refresh that comes meanwhile waits for the step to end.
	sweepStep = 500
	// sweepFor bounds one SweepAll, so that what else is done on time is.
	sweepFor = 30 * time.Second
)

// Sweeper is the part of a Store that SweepAll needs.
type Sweeper interface {
	Sweep(ctx context.Context, now time.Time, limit int) (int, error)
}

// Shrinker is a store whose disk space does not come back by itself.
type Shrinker interface {
	// Shrink gives a little of what is free back to the disk, and reports
	// whether there may be more.
	Shrink(ctx context.Context) (more bool, err error)
}

// SweepAll removes what had expired at now, in small steps, until nothing is
// left or half a minute is over. Between steps it rests as long as one took, so
// that whatever there is to remove, requests have half of the store at least.
// When nothing is left, a Shrinker gives back the space in the same way.
// It returns how many records it removed. The error is the store's, or the
// context's if that ended first.
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
