package main

import (
	"context"
	"sync"
	"time"

	"github.com/keyturn/keyturn/internal/store"
)

// sweep removes expired records. It also finishes what a process that died left
// half done: ending the sessions of accounts and clients.
func (d *deployment) sweep(ctx context.Context, s *services) {
	warn := func(err error, message string) {
		if err != nil && ctx.Err() == nil {
			d.log.Warn().Err(err).Msg(message)
		}
	}
	d.lookForFirstParty(ctx)
	d.lookForPepper(ctx)
	_, err := s.users.Settle(ctx)
	warn(err, "sessions that were to end could not be; trying again in a minute")
	_, err = s.users.DeleteClosed(ctx, d.past())
	warn(err, "accounts that their users closed could not be deleted; trying again in a minute")
	_, err = d.clients().Settle(ctx)
	warn(err, "sessions of disabled clients could not be ended; trying again in a minute")
	_, err = store.SweepAll(ctx, d.store, d.past())
	warn(err, "expired records could not be removed; trying again in a minute")
}

// settleRefreshes takes back the refreshes that the store did not answer. An
// error is logged only at debug level, because /readyz and the log report a
// store that does not answer anyway.
func (d *deployment) settleRefreshes(ctx context.Context, s *services) {
	n, err := s.families.Settle(ctx)
	if err != nil {
		d.log.Debug().Err(err).Msg("refreshes that the store did not answer to are still in doubt")
	}
	if n > 0 {
		d.log.Info().Int("refreshes", n).Msg("refreshes that the store did not answer to were settled; their clients go on with the tokens that they hold")
	}
}

// settleTime bounds how long a server that stops waits for settleLast if the
// store does not answer.
const settleTime = 3 * time.Second

// settleLast calls settleRefreshes for a server that stops, whose ctx is done:
// no other process knows of these refreshes. The retry window covers those that
// remain. Meanwhile it stores the time for the next start.
func (d *deployment) settleLast(ctx context.Context, s *services) {
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), settleTime)
	defer cancel()
	var both sync.WaitGroup
	both.Go(func() { d.settleRefreshes(ctx, s) })
	both.Go(func() { d.keepTime(ctx) })
	both.Wait()
}
