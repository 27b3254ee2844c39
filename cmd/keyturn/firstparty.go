package main

import (
	"context"
	"errors"

	"github.com/keyturn/keyturn/internal/clients"
)

// lookForFirstParty records whether the client of the /auth routes is registered,
// and logs a change, because without it the routes refuse everybody.
func (d *deployment) lookForFirstParty(ctx context.Context) {
	id := d.cfg.FirstPartyClient
	if id == "" {
		return
	}
	_, err := d.store.ClientByID(ctx, id)
	if err != nil && !errors.Is(err, clients.ErrNotFound) {
		return // other messages report that the store does not answer
	}
	missing := err != nil
	if d.noFirstParty.Swap(missing) == missing {
		return
	}
	if missing {
		d.log.Warn().Str("first_party_client", id).Msg("the client of first_party_client is not registered, and the /auth routes refuse everybody: run keyturn clients add, or correct the setting")
	} else {
		d.log.Info().Str("first_party_client", id).Msg("the client of first_party_client is registered now")
	}
}

// firstPartyWarning returns the warning of /readyz while that client is missing.
func (d *deployment) firstPartyWarning() []string {
	if d.noFirstParty.Load() {
		return []string{"first_party_client_unregistered"}
	}
	return nil
}
