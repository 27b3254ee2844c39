package sqlite

import (
	"context"

	"github.com/keyturn/keyturn/internal/decision"
	"github.com/keyturn/keyturn/keys"
)

const keyColumns = `kid, seq, alg, public, sealed, created_at, activate_at, token_ttl, revoked_at, revoke_reason,
	archived, version, margin, lead, answers, end_at, slot_id, slot`

var (
	insertKey  = sql(`INSERT INTO keys (` + keyColumns + `) VALUES (?,?,?,?,?,?,?,?,?,?,?,?,?,?,?,?,?,?)`)
	keysBySeq  = sql(`SELECT ` + keyColumns + ` FROM keys WHERE archived = ? ORDER BY seq`)
	hasKey     = sql(`SELECT 1 FROM keys WHERE kid = ?`)
	replaceKey = sql(`UPDATE keys SET seq = ?2, alg = ?3, public = ?4, sealed = ?5, created_at = ?6, activate_at = ?7,
		token_ttl = ?8, revoked_at = ?9, revoke_reason = ?10, archived = ?11, version = ?12 + 1, margin = ?13, lead = ?14, answers = ?15, end_at = ?16,
		slot_id = ?17, slot = ?18
		WHERE kid = ?1 AND version = ?12`)
)

func scanKey(r *row) keys.Record {
	return keys.Record{
		KID:          r.text(),
		Seq:          r.integer(),
		Alg:          r.text(),
		Public:       r.blob(),
		Sealed:       r.blob(),
		CreatedAt:    r.time(),
		ActivateAt:   r.time(),
		TokenTTL:     r.duration(),
		RevokedAt:    r.time(),
		RevokeReason: r.text(),
		Archived:     r.flag(),
		Version:      r.integer(),
		Margin:       r.duration(),
		Lead:         r.duration(),
		Answers:      r.time(),
		EndAt:        r.time(),
		Decision:     decision.Held{SlotID: r.text(), Slot: r.blob()},
	}
}

// writeKey runs insertKey, replaceKey or putKey.
func writeKey(c *conn, s *statement, k keys.Record) (int, error) {
	n, err := c.exec(s, k.KID, k.Seq, k.Alg, k.Public, k.Sealed, millis(k.CreatedAt), millis(k.ActivateAt),
		int64(k.TokenTTL), millis(k.RevokedAt), k.RevokeReason, integer(k.Archived), k.Version,
		int64(k.Margin), int64(k.Lead), millis(k.Answers), millis(k.EndAt), k.Decision.SlotID, k.Decision.Slot)
	if taken(err) {
		err = keys.ErrKeyExists
	}
	return n, err
}

// Keys implements keys.Store. Every replica calls it at every poll, so it also
// checks whether the path names another file now.
func (s *Store) Keys(ctx context.Context) ([]keys.Record, error) {
	if err := s.path.check(); err != nil {
		return nil, err
	}
	return s.keys(ctx, false)
}

// ArchivedKeys implements keys.Store.
func (s *Store) ArchivedKeys(ctx context.Context) ([]keys.Record, error) {
	return s.keys(ctx, true)
}

func (s *Store) keys(ctx context.Context, archived bool) ([]keys.Record, error) {
	return listed(ctx, s, keysBySeq, scanKey, integer(archived))
}

// CreateKey implements keys.Store.
func (s *Store) CreateKey(ctx context.Context, k keys.Record) error {
	return s.transact(ctx, func(c *conn) (int, error) { return writeKey(c, insertKey, k) })
}

// UpdateKey implements keys.Store.
func (s *Store) UpdateKey(ctx context.Context, k keys.Record) error {
	return s.transact(ctx, func(c *conn) (int, error) {
		n, err := writeKey(c, replaceKey, k)
		if err != nil || n > 0 {
			return n, err
		}
		found, err := exists(c, hasKey, k.KID)
		if err != nil {
			return 0, err
		}
		if !found {
			return 0, keys.ErrNoKey
		}
		return 0, keys.ErrConflict
	})
}
