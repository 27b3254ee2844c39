package main

import (
	"context"
	"errors"

	"github.com/keyturn/keyturn/oauth"
)

// lookForFirstParty notes whether the client that the /auth routes act for is
// registered, and logs it when that has changed: without it they refuse everybody.
func (d *deployment) lookForFirstParty(ctx context.Context) {
	id := d.cfg.FirstPartyClient
	if id == "" {
		return
	}
	_, err := d.store.ClientByID(ctx, id)
	if err != nil && !errors.Is(err, oauth.ErrNoClient) {
		return // that the store does not answer is said elsewhere
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

// firstPartyWarning is what /readyz warns of while that client is missing.
func (d *deployment) firstPartyWarning() []string {
	if d.noFirstParty.Load() {
		return []string{"first_party_client_unregistered"}
	}
	return nil
}
