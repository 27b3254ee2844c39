package sqlite

import (
	"context"
	"database/sql/driver"
	"strings"
	"time"

	"github.com/keyturn/keyturn/oauth"
)

// familyTexts are the columns of a family but the salt, the one that is no text
// and no number.
var familyTexts = []string{
	"id", "client_id", "user_id", "scope", "audience", "email", "claims", "master_id", "generation", "rotated_at",
	"auth_time", "created_at", "idle_expires_at", "expires_at", "purge_at", "first_ip", "first_user_agent", "last_ip",
	"last_user_agent", "revoked_at", "revoke_reason", "jkt", "login_id", "tell_end", "factor", "authenticated",
}

var (
	insertFamily = sql(`INSERT INTO families (` + strings.Join(familyTexts, ", ") + `, salt, unborn, slot_id, slot)
		VALUES (?,?,?,?,?,?,?,?,?,?,?,?,?,?,?,?,?,?,?,?,?,?,?,?,?,?,?,?,?,?)`)
	selectFamily    = `SELECT ` + packed(familyTexts) + `, salt FROM families `
	selectHeld      = `SELECT ` + packed(familyTexts) + `, salt, unborn, slot_id, slot FROM families `
	familyByID      = sql(selectFamily + `WHERE id = ? AND unborn = 0`)
	heldFamily      = sql(selectHeld + `WHERE id = ?`)
	familiesAfter   = sql(selectFamily + `WHERE id > ? AND unborn = 0 ORDER BY id LIMIT ?`)
	familiesUntold  = sql(selectFamily + `WHERE tell_end = 1 AND revoked_at > 0 AND unborn = 0 LIMIT ?`)
	familyTold      = sql(`UPDATE families SET tell_end = 0 WHERE id = ? AND tell_end = 1`)
	familiesPending = sql(selectHeld + `WHERE slot_id > '' LIMIT ?`)
	holdFamily      = sql(`UPDATE families SET unborn = ?3, slot_id = ?4, slot = ?5 WHERE id = ?1 AND slot_id = ?2`)
	holdEndedFamily = sql(`UPDATE families SET unborn = ?3, slot_id = ?4, slot = ?5, revoked_at = ?6, revoke_reason = ?7
		WHERE id = ?1 AND slot_id = ?2 AND revoked_at = 0`)
	removeFamily = sql(`DELETE FROM families WHERE id = ?1 AND slot_id = ?2 AND unborn = 1`)
	// Inside the transaction that has just read the row: no condition is left
	// to check (F1).
	rotateFamily = sql(`UPDATE families SET generation = ?2, rotated_at = ?3, master_id = ?4,
		idle_expires_at = ?5, last_ip = ?6, last_user_agent = ?7 WHERE id = ?1`)
	// Apart, since naming a column renews its index, changed or not.
	postponePurge  = sql(`UPDATE families SET purge_at = ?2 WHERE id = ?1`)
	clipEnd        = sql(`UPDATE families SET expires_at = ?2 WHERE id = ?1`)
	familiesOfUser = sql(selectFamily + `
		WHERE user_id = ?1 AND unborn = 0 AND revoked_at = 0 AND idle_expires_at > ?2 AND expires_at > ?2
		ORDER BY created_at DESC LIMIT ?3`)
	revokeFamily = sql(`UPDATE families SET revoked_at = ?2, revoke_reason = ?3 WHERE id = ?1 AND revoked_at = 0`)
	revokeOfUser = sql(`UPDATE families SET revoked_at = ?3, revoke_reason = ?4
		WHERE id IN (SELECT id FROM families WHERE user_id = ?1 AND revoked_at = 0 AND id <> ?2 LIMIT ?5)`)
	revokeAmong = sql(`UPDATE families SET revoked_at = ?5, revoke_reason = ?6
		WHERE id IN (SELECT id FROM families WHERE user_id = ?1 AND revoked_at = 0 AND (?2 = '' OR login_id = ?2) AND (?3 = '' OR client_id = ?3)
			AND NOT EXISTS (SELECT 1 FROM json_each(scope) WHERE value = ?4) LIMIT ?7)`)
	updateFamilyClaims = sql(`UPDATE families SET claims = ?2 WHERE user_id = ?1 AND revoked_at = 0`)
	updateFamilyEmail  = sql(`UPDATE families SET email = ?2 WHERE user_id = ?1 AND revoked_at = 0 AND email <> ''`)
	revokeOfClient     = sql(`UPDATE families SET revoked_at = ?2, revoke_reason = ?3
		WHERE id IN (SELECT id FROM families WHERE client_id = ?1 AND revoked_at = 0 LIMIT ?4)`)
)

// revokeStep is how many families one transaction ends at most, so that ending
// those of a large client does not keep everybody else's refreshes waiting.
const revokeStep = 500

func scanFamily(r *row) oauth.Family {
	f := r.unpack(familyTexts)
	return oauth.Family{
		ID:             f.text(),
		ClientID:       f.text(),
		UserID:         f.text(),
		Scope:          f.list(),
		Audience:       f.list(),
		Email:          f.text(),
		Claims:         f.text(),
		MasterID:       f.text(),
		Generation:     f.integer(),
		RotatedAt:      f.time(),
		AuthTime:       f.time(),
		CreatedAt:      f.time(),
		IdleExpiresAt:  f.time(),
		ExpiresAt:      f.time(),
		PurgeAt:        f.time(),
		FirstIP:        f.text(),
		FirstUserAgent: f.text(),
		LastIP:         f.text(),
		LastUserAgent:  f.text(),
		RevokedAt:      f.time(),
		RevokeReason:   f.text(),
		JKT:            f.text(),
		LoginID:        f.text(),
		TellEnd:        f.integer() != 0,
		Factor:         f.text(),
		Authenticated:  f.integer() != 0,
		Salt:           r.blob(),
	}
}

// familyValues are f's columns in the order of insertFamily.
func familyValues(f oauth.Family) []driver.Value {
	return []driver.Value{
		f.ID, f.ClientID, f.UserID, encodeList(f.Scope), encodeList(f.Audience), f.Email, f.Claims, f.MasterID,
		f.Generation, millis(f.RotatedAt), millis(f.AuthTime), millis(f.CreatedAt), millis(f.IdleExpiresAt),
		millis(f.ExpiresAt), millis(f.PurgeAt), f.FirstIP, f.FirstUserAgent, f.LastIP, f.LastUserAgent,
		millis(f.RevokedAt), f.RevokeReason, f.JKT, f.LoginID, integer(f.TellEnd), f.Factor, integer(f.Authenticated), f.Salt, integer(f.Unborn), f.SlotID, f.Slot,
	}
}

// CreateFamily implements oauth.Store.
func (s *Store) CreateFamily(ctx context.Context, f oauth.Family) error {
	err := s.run(ctx, insertFamily, familyValues(f)...)
	if taken(err) {
		return oauth.ErrFamilyExists
	}
	return err
}

// FamilyByID implements oauth.Store.
func (s *Store) FamilyByID(ctx context.Context, id string) (oauth.Family, error) {
	return found(ctx, s, familyByID, scanFamily, oauth.ErrNoFamily, id)
}

// HeldFamily implements oauth.Store.
func (s *Store) HeldFamily(ctx context.Context, id string) (oauth.Family, error) {
	return found(ctx, s, heldFamily, scanHeldFamily, oauth.ErrNoFamily, id)
}

func scanHeldFamily(r *row) oauth.Family {
	f := scanFamily(r)
	f.Unborn, f.SlotID, f.Slot = r.flag(), r.text(), r.blob()
	return f
}

// HoldFamily implements oauth.Store.
func (s *Store) HoldFamily(ctx context.Context, seen, next oauth.Family) error {
	return s.changeFamily(ctx, seen.ID, func(c *conn) (int, error) {
		if seen.RevokedAt.IsZero() && !next.RevokedAt.IsZero() {
			return c.exec(holdEndedFamily, seen.ID, seen.SlotID, integer(next.Unborn), next.SlotID, next.Slot,
				millis(next.RevokedAt), next.RevokeReason)
		}
		return c.exec(holdFamily, seen.ID, seen.SlotID, integer(next.Unborn), next.SlotID, next.Slot)
	})
}

// RemoveFamily implements oauth.Store.
func (s *Store) RemoveFamily(ctx context.Context, seen oauth.Family) error {
	return s.changeFamily(ctx, seen.ID, func(c *conn) (int, error) { return c.exec(removeFamily, seen.ID, seen.SlotID) })
}

// changeFamily runs a change of one family that must be as it was seen.
func (s *Store) changeFamily(ctx context.Context, id string, do func(c *conn) (int, error)) error {
	return s.transact(ctx, func(c *conn) (int, error) {
		n, err := do(c)
		if err != nil || n > 0 {
			return n, err
		}
		if _, err := one(c, heldFamily, scanHeldFamily, oauth.ErrNoFamily, id); err != nil {
			return 0, err
		}
		return 0, oauth.ErrFamilyChanged
	})
}

// PendingFamilies implements oauth.Store.
func (s *Store) PendingFamilies(ctx context.Context, n int) ([]oauth.Family, error) {
	return listed(ctx, s, familiesPending, scanHeldFamily, limit(n))
}

// RotateFamily implements oauth.Store. Family and client are read on the
// connection that writes, inside the transaction of the group: that makes the
// step atomic, and finds their pages in memory, which every commit drops from
// the caches of the connections that read.
func (s *Store) RotateFamily(ctx context.Context, familyID, clientID string, decide oauth.Decide) (oauth.Family, error) {
	var refused error
	f, err := change(ctx, s, func(c *conn) (oauth.Family, error) {
		by, err := c.client(clientID)
		if err != nil {
			return oauth.Family{}, err
		}
		f, err := oneOrZero(c, familyByID, scanFamily, familyID)
		if err != nil {
			return oauth.Family{}, err
		}
		var r *oauth.Rotation
		r, refused = decide(f, by)
		switch stays := r == nil || r.Stays; {
		case r == nil, refused != nil && !stays:
			return f, refused
		case f.ID == "":
			return f, oauth.ErrNoFamily
		}
		if r.Spends.JTI != "" {
			if err := deny(c, r.Spends); err != nil {
				return oauth.Family{}, err
			}
		}
		if r.Stays {
			return f, nil // what it spent is kept, refused or not
		}
		_, err = c.exec(rotateFamily, familyID, r.Presented+1, millis(r.At), r.MasterID,
			millis(r.IdleExpiresAt), r.IP, r.UserAgent)
		if err == nil && !r.PurgeAt.Equal(f.PurgeAt) {
			_, err = c.exec(postponePurge, familyID, millis(r.PurgeAt))
		}
		if err == nil && !r.ExpiresAt.IsZero() {
			_, err = c.exec(clipEnd, familyID, millis(r.ExpiresAt))
		}
		return r.Apply(f), err
	})
	if err == nil {
		err = refused
	}
	return f, err
}

// RevokeFamily implements oauth.Store.
func (s *Store) RevokeFamily(ctx context.Context, id string, at time.Time, reason string) (bool, error) {
	n, err := s.exec(ctx, revokeFamily, id, millis(at), reason)
	return n > 0, err
}

// RevokeFamiliesOfUser implements oauth.Store.
func (s *Store) RevokeFamiliesOfUser(ctx context.Context, uid, except string, at time.Time, reason string) (int, error) {
	return s.revokeInSteps(ctx, func(c *conn) (int, error) {
		return c.exec(revokeOfUser, uid, except, millis(at), reason, int64(revokeStep))
	})
}

// RevokeFamiliesOfClient implements oauth.Store.
func (s *Store) RevokeFamiliesOfClient(ctx context.Context, clientID string, at time.Time, reason string) (int, error) {
	return s.revokeInSteps(ctx, func(c *conn) (int, error) {
		return c.exec(revokeOfClient, clientID, millis(at), reason, int64(revokeStep))
	})
}

// RevokeFamiliesAmong implements oauth.Store.
func (s *Store) RevokeFamiliesAmong(ctx context.Context, a oauth.Among, at time.Time, reason string) (int, error) {
	return s.revokeInSteps(ctx, func(c *conn) (int, error) {
		return c.exec(revokeAmong, a.UserID, a.LoginID, a.ClientID, a.Sparing, millis(at), reason, int64(revokeStep))
	})
}

// SetFamilyClaims implements oauth.Store.
func (s *Store) SetFamilyClaims(ctx context.Context, uid, claims string) (int, error) {
	return s.exec(ctx, updateFamilyClaims, uid, claims)
}

// SetFamilyEmail implements oauth.Store.
func (s *Store) SetFamilyEmail(ctx context.Context, uid, email string) (int, error) {
	return s.exec(ctx, updateFamilyEmail, uid, email)
}

// revokeInSteps repeats step, which ends revokeStep families or the rest.
func (s *Store) revokeInSteps(ctx context.Context, step func(c *conn) (int, error)) (int, error) {
	for total := 0; ; {
		n, err := change(ctx, s, step)
		total += n
		if err != nil || n < revokeStep {
			return total, err
		}
	}
}

// UntoldFamilies implements oauth.Store.
func (s *Store) UntoldFamilies(ctx context.Context, n int) ([]oauth.Family, error) {
	return listed(ctx, s, familiesUntold, scanFamily, limit(n))
}

// ToldFamily implements oauth.Store.
func (s *Store) ToldFamily(ctx context.Context, id string) (bool, error) {
	n, err := s.exec(ctx, familyTold, id)
	return n > 0, err
}

// FamiliesOfUser implements oauth.Store.
func (s *Store) FamiliesOfUser(ctx context.Context, uid string, now time.Time, n int) ([]oauth.Family, error) {
	return listed(ctx, s, familiesOfUser, scanFamily, uid, millis(now), limit(n))
}

// AllFamilies implements store.Store.
func (s *Store) AllFamilies(ctx context.Context, after string, n int) ([]oauth.Family, error) {
	return listed(ctx, s, familiesAfter, scanFamily, after, limit(n))
}
