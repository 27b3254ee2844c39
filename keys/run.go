package keys

import (
	"context"
	"fmt"
	"sync"
	"time"
)

// pollTimeout bounds one poll, so that a hanging store is noticed.
const pollTimeout = 10 * time.Second

// Run polls every Policy.Poll until ctx ends. It records each turn when it comes,
// whatever the state of the store. It passes failures to OnError and tries again;
// it also passes each Warning to OnError, when it comes up and then every hour.
// Call Poll once before Run, to learn whether the keys can be used.
func (k *Keeper) Run(ctx context.Context) {
	var turns sync.WaitGroup
	defer turns.Wait()
	turns.Go(func() { k.watchTurns(ctx) })
	k.warn()
	tick := time.NewTicker(k.policy.Poll)
	defer tick.Stop()
	for {
		select {
		case <-ctx.Done():
			return
		case <-tick.C:
			k.pollOnce(ctx)
		}
	}
}

func (k *Keeper) pollOnce(ctx context.Context) {
	bounded, cancel := context.WithTimeout(ctx, pollTimeout)
	defer cancel()
	if err := k.Poll(bounded); err != nil && ctx.Err() == nil {
		k.pollFailures.Add(1)
		k.onError(fmt.Errorf("polling the signing keys: %w", err))
	}
	k.warn()
}

// watchTurns announces scheduled turns. It wakes when the next one is due, and
// after each poll, which may have changed the schedule.
func (k *Keeper) watchTurns(ctx context.Context) {
	timer := time.NewTimer(0)
	defer timer.Stop()
	for {
		select {
		case <-ctx.Done():
			return
		case <-k.filled:
		case <-timer.C:
			if err := k.announce(ctx); err != nil && ctx.Err() == nil {
				k.onError(err)
			}
		}
		timer.Stop()
		if s := k.ring.current(); s != nil && !s.until.IsZero() {
			timer.Reset(max(s.until.Sub(k.clock()), 0))
		}
	}
}
