package main

import (
	"context"
	"errors"
	"fmt"

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

// checkFirstParty refuses a third party's client as that of the /auth routes, where who
// holds a user's access token can end sessions and remove factors.
func (d *deployment) checkFirstParty() error {
	id := d.cfg.FirstPartyClient
	c, err := d.store.ClientByID(d.ctx, id)
	switch {
	case id == "" || errors.Is(err, clients.ErrNotFound):
		return nil
	case err != nil:
		return err
	}
	return mayBeFirstParty(id, c)
}

// mayBeFirstParty returns an error if the client is that of the setting
// first_party_client and a third party's.
func mayBeFirstParty(setting string, c clients.Client) error {
	if c.ID != setting || !c.ThirdParty {
		return nil
	}
	return usageError{fmt.Errorf("first_party_client %s: the client is a third party's; name one of the deployment's own apps, or make it one with keyturn clients update %[1]s --third-party=false", setting)}
}

// firstPartyWarning returns the warning of /readyz while that client is missing.
func (d *deployment) firstPartyWarning() []string {
	if d.noFirstParty.Load() {
		return []string{"first_party_client_unregistered"}
	}
	return nil
}
