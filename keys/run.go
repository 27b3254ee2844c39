package keys

import (
	"context"
	"fmt"
	"sync"
	"time"
)

// pollTimeout bounds one poll, so that a store that hangs is noticed.
const pollTimeout = 10 * time.Second

// Run polls every Policy.Poll until ctx ends, and records each turn when it comes,
// whatever the store does meanwhile. What goes wrong is given to OnError and tried
// again; so is each Warning, when it comes up and every hour. Poll once before Run,
// to learn whether the keys can be used at all.
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
// whenever a poll may have changed when that is.
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
