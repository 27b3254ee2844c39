package server_test

import (
	"time"

	"github.com/keyturn/keyturn/internal/audit"
	"github.com/keyturn/keyturn/keys"
)

func keyErrands() []errand {
	rotate := func(w faultyWorld) error {
		_, err := w.keeper.Rotate(w.t.Context(), "")
		return err
	}
	revoke := func(w faultyWorld) error {
		active, err := w.keeper.Ring().Active()
		must(w.t, err)
		return w.keeper.Revoke(w.t.Context(), active.KID, "leaked")
	}
	return []errand{
		{rotate, audit.KeyRotated, "", "", 0},
		{func(w faultyWorld) error {
			must(w.t, rotate(w))
			w.journal.take()
			return rotate(w)
		}, audit.KeyRotated, "already_scheduled", "", 0},
		{rotate, audit.KeyRotated, "store_error", "UpdateKey", 0},
		{revoke, audit.KeyRevoked, "", "", 0},
		{func(w faultyWorld) error { return w.keeper.Revoke(w.t.Context(), "x", "") }, audit.KeyRevoked, "no_reason", "", 0},
		{func(w faultyWorld) error { return w.keeper.Revoke(w.t.Context(), "x", "leaked") }, audit.KeyRevoked, "no_such_key", "", 0},
		{func(w faultyWorld) error {
			active, err := w.keeper.Ring().Active()
			must(w.t, err)
			must(w.t, w.keeper.Revoke(w.t.Context(), active.KID, "leaked"))
			w.journal.take()
			return w.keeper.Revoke(w.t.Context(), active.KID, "leaked")
		}, audit.KeyRevoked, "already_revoked", "", 0},
		{revoke, audit.KeyRevoked, "store_error", "UpdateKey", 0},
		{rewrap(0, 1), audit.KeyRewrapped, "", "", 2},
		{rewrap(0), audit.KeyRewrapped, "cannot_open", "", 2},
		{rewrap(0, 1), audit.KeyRewrapped, "store_error", "UpdateKey", 4},
	}
}

// rewrap seals the two keys of the world anew under a new master secret, with
// the old one at hand where that is among those named.
func rewrap(masters ...int) func(faultyWorld) error {
	return func(w faultyWorld) error {
		young, err := keys.NewMaster()
		must(w.t, err)
		lines := []string{young, w.master}
		var held string
		for _, i := range masters {
			held += lines[i] + "\n"
		}
		all, err := keys.ParseMasters([]byte(held))
		must(w.t, err)
		keeper, err := keys.NewKeeper(keys.Options{Store: w.store, Vault: all.Vault(), Audit: w.audit, Now: time.Now, Policy: keyPolicy("ES256")})
		must(w.t, err)
		_, err = keeper.Rewrap(w.t.Context(), nil)
		return err
	}
}
