package keys

import (
	"context"
	"errors"
	"fmt"

	"github.com/keyturn/keyturn/internal/audit"
)

// Rewrap seals every private key that is sealed under an older master secret
// anew under the primary one. It returns how many it sealed. It can be
// interrupted and repeated at any time, while servers run. It calls progress,
// if not nil, after each key. It leaves keys that cannot be opened as they are
// and names them in the error.
//
// Each event is recorded before its write (A3); if the write fails, a second
// event says so.
func (k *Keeper) Rewrap(ctx context.Context, progress func(done, total int)) (int, error) {
	k.mu.Lock()
	defer k.mu.Unlock()
	records, err := k.allRecords(ctx)
	if err != nil {
		return 0, err
	}
	var due []string
	for _, r := range records {
		if k.needsReseal(r) {
			due = append(due, r.KID)
		}
	}
	n := 0
	var errs []error
	for i, kid := range due {
		did, err := k.rewrapOne(ctx, kid)
		if did {
			n++
		}
		if err != nil {
			errs = append(errs, fmt.Errorf("key %s: %w", kid, err))
		}
		if progress != nil {
			progress(i+1, len(due))
		}
	}
	return n, errors.Join(errs...)
}

func (k *Keeper) needsReseal(r Record) bool {
	id, current := k.vault.SealedUnder(r.Sealed)
	return len(r.Sealed) > 0 && id != "" && !current
}

func (k *Keeper) allRecords(ctx context.Context) ([]Record, error) {
	records, err := k.store.Keys(ctx)
	if err != nil {
		return nil, fmt.Errorf("reading the signing keys: %w", err)
	}
	archived, err := k.store.ArchivedKeys(ctx)
	if err != nil {
		return nil, fmt.Errorf("reading the archived keys: %w", err)
	}
	return append(records, archived...), nil
}

// rewrapOne reads the record anew on each attempt, so that a private half that
// was erased meanwhile does not come back.
func (k *Keeper) rewrapOne(ctx context.Context, kid string) (bool, error) {
	event := audit.Event{Action: audit.KeyRewrapped, Outcome: audit.Success, KeyID: kid}
	for range maxConflicts {
		records, err := k.allRecords(ctx)
		if err != nil {
			return false, err
		}
		i := find(records, kid)
		if i < 0 || !k.needsReseal(records[i]) {
			return false, nil
		}
		r := records[i]
		if r.Sealed, err = k.vault.Reseal(ctx, r.Sealed, r.KID); err != nil {
			return false, k.refuse(ctx, event, audit.ReasonCannotOpen, err)
		}
		if err := k.audit.Record(ctx, event); err != nil {
			return false, fmt.Errorf("recording the change, which was not made: %w", err)
		}
		err = k.store.UpdateKey(ctx, r)
		if err == nil {
			return true, nil
		}
		if err = k.refuse(ctx, event, audit.ReasonStoreError, err); !isConflict(err) {
			return false, err
		}
	}
	return false, errors.New("the key kept changing; try again")
}
