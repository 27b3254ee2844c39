package main

import (
	"context"
	"errors"
	"time"

	"github.com/keyturn/keyturn/internal/throttle"
	"github.com/keyturn/keyturn/keys"
	"github.com/keyturn/keyturn/oauth"
	"github.com/keyturn/keyturn/users"
)

// settleDecisions completes the decisions that a process left unfinished because
// it died, or could not reach the store or the audit log, and writes the events
// that are owed (A3). It returns how many there were.
func (d *deployment) settleDecisions(ctx context.Context) (int, error) {
	sessions := oauth.SessionEnder{Store: d.store, Audit: d.audit, Now: time.Now}
	accounts := users.Service{Store: d.store, Sessions: sessions, Audit: d.audit, Now: time.Now, Post: d.letterBox(), Letters: throttle.New(d.store, wallClock)}
	accounts.Mailless = d.serves && accounts.Post == nil
	sessions.Notify = accounts.Notify
	total := 0
	var errs []error
	for _, settle := range []func(context.Context) (int, error){
		accounts.SettleDecisions, d.clients().SettleDecisions, sessions.SettleDecisions,
		func(ctx context.Context) (int, error) { return keys.SettleDecisions(ctx, d.store, d.audit, time.Now) },
	} {
		n, err := settle(ctx)
		total += n
		if errs = append(errs, err); ctx.Err() != nil {
			break
		}
	}
	return total, errors.Join(errs...)
}

// settleFirstTime bounds settleDecisions before a command, which has something else to do.
const settleFirstTime = 2 * time.Second

// settleDecisionsFirst calls settleDecisions before a command.
func (d *deployment) settleDecisionsFirst() {
	ctx, cancel := context.WithTimeout(d.ctx, settleFirstTime)
	defer cancel()
	if _, err := d.settleDecisions(ctx); err != nil {
		d.log.Warn().Err(err).Msg("a decision that was interrupted before this command is still on its way")
	}
}

// settleDecisionsAgain calls settleDecisions; a server calls it every second.
// While the store or the log is away it fails each time, which other messages
// report too.
func (d *deployment) settleDecisionsAgain(ctx context.Context) {
	n, err := d.settleDecisions(ctx)
	if err != nil {
		d.log.Debug().Err(err).Msg("decisions that were interrupted are still on their way")
	}
	if n > 0 {
		d.log.Info().Int("decisions", n).Msg("decisions that were interrupted are carried out, and in the audit log")
	}
}
