package sqlite

import (
	"cmp"
	"context"
	"database/sql/driver"

	"github.com/keyturn/keyturn/internal/outbox"
)

const (
	messageColumns = `id, kind, destination, payload, created_at, due_at, tries, holder`
	messageDue     = `(due_at <= ?1 OR due_at > ?2)`
)

var (
	insertMessage = sql(`INSERT INTO messages (` + messageColumns + `) VALUES (?,?,?,?,?,?,?,?)`)
	countMessages = sql(`SELECT count(*) FROM messages`)
	// From each destination to the next, however many messages wait for one.
	dueTo = sql(`WITH RECURSIVE found (destination) AS (SELECT min(destination) FROM messages UNION ALL
		SELECT (SELECT min(m.destination) FROM messages m WHERE m.destination > found.destination) FROM found WHERE destination IS NOT NULL)
		SELECT destination FROM found WHERE EXISTS (SELECT 1 FROM messages m WHERE m.destination = found.destination AND m.due_at <= ?1)
		OR EXISTS (SELECT 1 FROM messages m WHERE m.destination = found.destination AND m.due_at > ?2) LIMIT ?3`)
	messagesDue    = sql(`SELECT ` + messageColumns + ` FROM messages WHERE ` + messageDue + ` AND destination = ?3 ORDER BY due_at LIMIT ?4`)
	messagesAfter  = sql(`SELECT ` + messageColumns + ` FROM messages WHERE id > ? ORDER BY id LIMIT ?`)
	replaceMessage = sql(`UPDATE messages SET kind = ?3, destination = ?4, payload = ?5, created_at = ?6, due_at = ?7, tries = ?8, holder = ?9
		WHERE id = ?2 AND holder = ?1`)
	removeMessage = sql(`DELETE FROM messages WHERE id = ?1 AND holder = ?2`)
)

func messageValues(m outbox.Message) []driver.Value {
	return []driver.Value{m.ID, m.Kind, m.To, m.Payload, millis(m.CreatedAt), millis(m.DueAt), m.Tries, m.Holder}
}

func scanMessage(r *row) outbox.Message {
	return outbox.Message{
		ID: r.text(), Kind: r.text(), To: r.text(), Payload: r.blob(), CreatedAt: r.time(), DueAt: r.time(), Tries: r.integer(), Holder: r.text(),
	}
}

// AddMessage implements outbox.Store.
func (s *Store) AddMessage(ctx context.Context, m outbox.Message, most int) error {
	return s.transact(ctx, func(c *conn) (int, error) {
		if most > 0 {
			if n, err := scalar(c, countMessages); err != nil || n >= int64(most) {
				return 0, cmp.Or(err, outbox.ErrFull)
			}
		}
		n, err := c.exec(insertMessage, messageValues(m)...)
		if taken(err) {
			err = outbox.ErrQueued
		}
		return n, err
	})
}

// DueDestinations implements outbox.Store.
func (s *Store) DueDestinations(ctx context.Context, due outbox.Due, n int) ([]string, error) {
	return listed(ctx, s, dueTo, (*row).text, millis(due.At), millis(due.Never), limit(n))
}

// DueMessages implements outbox.Store.
func (s *Store) DueMessages(ctx context.Context, to string, due outbox.Due, n int) ([]outbox.Message, error) {
	return listed(ctx, s, messagesDue, scanMessage, millis(due.At), millis(due.Never), to, limit(n))
}

// ReplaceMessage implements outbox.Store.
func (s *Store) ReplaceMessage(ctx context.Context, seen, next outbox.Message) error {
	next.ID = seen.ID
	return s.heldMessage(ctx, replaceMessage, append([]driver.Value{seen.Holder}, messageValues(next)...)...)
}

// RemoveMessage implements outbox.Store.
func (s *Store) RemoveMessage(ctx context.Context, seen outbox.Message) error {
	return s.heldMessage(ctx, removeMessage, seen.ID, seen.Holder)
}

func (s *Store) heldMessage(ctx context.Context, change *statement, args ...driver.Value) error {
	n, err := s.exec(ctx, change, args...)
	if err == nil && n == 0 {
		err = outbox.ErrChanged
	}
	return err
}

// Messages implements outbox.Store.
func (s *Store) Messages(ctx context.Context, after string, n int) ([]outbox.Message, error) {
	return listed(ctx, s, messagesAfter, scanMessage, after, limit(n))
}
