// Package inspect looks for records of a store that do not fit together, or that
// the deployment's master keys do not open.
package inspect

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/keyturn/keyturn/internal/clients"
	"github.com/keyturn/keyturn/internal/listing"
	"github.com/keyturn/keyturn/internal/store"
	"github.com/keyturn/keyturn/keys"
	"github.com/keyturn/keyturn/oauth"
	"github.com/keyturn/keyturn/users"
)

// Progress is told of a stage and how many of about how many records are done;
// total is 0 where it is not known.
type Progress func(stage string, done, total int64)

// named is how many records a finding names; the others are counted.
const named = 10

// Records reads all records and returns a sentence for each kind of thing that
// is wrong: live sessions of an account or a client that does not exist, signing
// keys and live sessions under a master key that is not among masters, keys that
// do not open. Without masters (nil) the last two are not looked for. Servers may
// work on the store meanwhile. It keeps the ids of all accounts in memory.
func Records(ctx context.Context, s store.Store, masters *keys.Masters, now time.Time, progress Progress) ([]string, error) {
	i := inspector{store: s, masters: masters, now: now, progress: progress}
	var err error
	if i.sizes, err = s.Sizes(ctx); err != nil {
		return nil, err
	}
	for _, look := range []func(context.Context) error{i.keys, i.clients, i.users, i.sessions} {
		if err := look(ctx); err != nil {
			return nil, err
		}
	}
	sentences := make([]string, len(i.found))
	for n, f := range i.found {
		sentences[n] = f.sentence()
	}
	return sentences, nil
}

type inspector struct {
	store    store.Store
	masters  *keys.Masters
	now      time.Time
	progress Progress
	sizes    store.Sizes

	userIDs, clientIDs map[string]bool
	found              []*finding
}

// finding is one thing that is wrong, with some of the records that it is wrong
// with.
type finding struct {
	what, advice string
	names        []string
	count        int
}

func (f *finding) sentence() string {
	more := ""
	if f.count > len(f.names) {
		more = fmt.Sprintf(" and %d more", f.count-len(f.names))
	}
	return fmt.Sprintf("%s: %s%s (%s)", f.what, strings.Join(f.names, ", "), more, f.advice)
}

// report adds a record to the finding of that kind.
func (i *inspector) report(what, advice, name string) {
	at := slices.IndexFunc(i.found, func(f *finding) bool { return f.what == what })
	if at < 0 {
		at = len(i.found)
		i.found = append(i.found, &finding{what: what, advice: advice})
	}
	f := i.found[at]
	if f.count++; len(f.names) < named {
		f.names = append(f.names, name)
	}
}

const restoreMaster = "keep its line in the master key file, or put it back, until none needs it"

// keys opens the private half of every signing key that has one.
func (i *inspector) keys(ctx context.Context) error {
	if i.masters == nil {
		return nil
	}
	records, err := i.store.Keys(ctx)
	if err != nil {
		return fmt.Errorf("reading keys: %w", err)
	}
	vault := i.masters.Vault()
	for _, r := range records {
		if len(r.Sealed) == 0 {
			continue
		}
		if id, _ := vault.SealedUnder(r.Sealed); id != "" && !i.masters.Has(id) {
			i.report("signing keys under the master key "+id+", which is not given", restoreMaster, r.KID)
			continue
		}
		if _, err := vault.Open(ctx, r.Sealed, r.KID); err != nil {
			i.report("signing keys that do not open", "revoke them with keyturn keys revoke", r.KID)
		}
	}
	return nil
}

func (i *inspector) clients(ctx context.Context) error {
	i.clientIDs = map[string]bool{"": true} // a browser's log-in is of no client
	for c, err := range listing.All(ctx, i.store.ListClients, func(c clients.Client) string { return c.ID }) {
		if err != nil {
			return err
		}
		i.clientIDs[c.ID] = true
	}
	return nil
}

func (i *inspector) users(ctx context.Context) error {
	i.userIDs = map[string]bool{}
	for u, err := range listing.All(ctx, i.store.ListUsers, func(u users.User) string { return u.UID }) {
		if err != nil {
			return err
		}
		for _, f := range u.Factors.List {
			if i.masters == nil || len(f.Sealed) == 0 {
				continue
			}
			if id, _ := i.masters.Sealer(users.SealFactors).SealedUnder(f.Sealed); !i.masters.Has(id) {
				i.report("accounts with a second factor under the master key "+id+", which is not given", restoreMaster, u.UID)
			}
		}
		if i.userIDs[u.UID] = true; len(i.userIDs)%listing.Page == 0 {
			i.progress("reading accounts", int64(len(i.userIDs)), i.sizes.Users)
		}
	}
	return nil
}

func (i *inspector) sessions(ctx context.Context) error {
	done := int64(0)
	for f, err := range listing.All(ctx, i.store.AllFamilies, func(f oauth.Family) string { return f.ID }) {
		if err != nil {
			return err
		}
		if done++; done%listing.Page == 0 {
			i.progress("examining sessions", done, i.sizes.Families)
		}
		if !i.live(f) {
			continue
		}
		if i.masters != nil && !i.masters.Has(f.MasterID) {
			i.report("live sessions under the master key "+f.MasterID+", which is not given", restoreMaster, f.ID)
		}
		if err := i.refersTo(ctx, f); err != nil {
			return err
		}
	}
	return nil
}

func (i *inspector) live(f oauth.Family) bool {
	return f.RevokedAt.IsZero() && i.now.Before(f.ExpiresAt) && i.now.Before(f.IdleExpiresAt)
}

// refersTo reports a session whose account or client is not there. Since servers
// may be at work, what seems so is looked up again.
func (i *inspector) refersTo(ctx context.Context, f oauth.Family) error {
	noUser, err := missing(ctx, i.userIDs, f.UserID, i.store.UserByID, users.ErrNotFound)
	if err != nil {
		return err
	}
	noClient, err := missing(ctx, i.clientIDs, f.ClientID, i.store.ClientByID, clients.ErrNotFound)
	if err != nil || !noUser && !noClient {
		return err
	}
	now, err := i.store.FamilyByID(ctx, f.ID)
	if errors.Is(err, oauth.ErrNoFamily) || err == nil && !i.live(now) {
		return nil
	}
	if err != nil {
		return err
	}
	if noUser {
		i.report("live sessions of accounts that do not exist", "an access token of theirs tells nobody who it is; keyturn clients logout ends the sessions of a client, and its users log in again", f.ID+" of "+f.UserID)
	}
	if noClient {
		i.report("live sessions of clients that do not exist", "nobody can refresh them; they go when they expire", f.ID+" of "+f.ClientID)
	}
	return nil
}

// missing reports whether there is no record with that id, and notes one that
// came after the listing was read.
func missing[T any](ctx context.Context, known map[string]bool, id string, find func(context.Context, string) (T, error), none error) (bool, error) {
	if known[id] {
		return false, nil
	}
	_, err := find(ctx, id)
	if errors.Is(err, none) {
		return true, nil
	}
	known[id] = err == nil
	return false, err
}
