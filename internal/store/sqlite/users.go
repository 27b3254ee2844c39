package sqlite

import (
	"context"
	"encoding/json"
	"fmt"
	"time"

	"github.com/keyturn/keyturn/internal/factors"
	"github.com/keyturn/keyturn/users"
)

const userColumns = `uid, email, email_key, username, username_key, first_name, last_name, roles, claims,
	password_hash, reset_hash, reset_expires_at, disabled, epoch, unsettled, created_at, updated_at, password_changed_at,
	factors, consents, delete_at, verified_email, email_change, reset_issued_at, mailed, version, unborn, slot_id, slot`

var (
	insertUser     = sql(`INSERT INTO users (` + userColumns + `) VALUES (?,?,?,?,?,?,?,?,?,?,?,?,?,?,?,?,?,?,?,?,?,?,?,?,?,?,?,?,?)`)
	heldUser       = sql(`SELECT ` + userColumns + ` FROM users WHERE uid = ?`)
	userByID       = sql(`SELECT ` + userColumns + ` FROM users WHERE uid = ? AND unborn = 0`)
	userByEmail    = sql(`SELECT ` + userColumns + ` FROM users WHERE email_key = ? AND email_key <> '' AND unborn = 0`)
	userByUsername = sql(`SELECT ` + userColumns + ` FROM users WHERE username_key = ? AND username_key <> '' AND unborn = 0`)
	hasEmail       = sql(`SELECT 1 FROM users WHERE email_key = ? AND email_key <> '' AND uid <> ?`)
	hasUsername    = sql(`SELECT 1 FROM users WHERE username_key = ?1 AND username_key <> '' AND uid <> ?2`)
	usersAfter     = sql(`SELECT ` + userColumns + ` FROM users WHERE uid > ? AND unborn = 0 ORDER BY uid LIMIT ?`)
	usersUnsettled = sql(`SELECT ` + userColumns + ` FROM users WHERE unsettled = 1 AND unborn = 0 ORDER BY uid LIMIT ?`)
	usersToDelete  = sql(`SELECT ` + userColumns + ` FROM users WHERE delete_at > 0 AND delete_at <= ? AND unborn = 0 ORDER BY delete_at LIMIT ?`)
	usersPending   = sql(`SELECT ` + userColumns + ` FROM users WHERE slot_id > '' LIMIT ?`)
	replaceUser    = sql(`UPDATE users SET email = ?2, email_key = ?3, username = ?4, username_key = ?5, first_name = ?6, last_name = ?7,
		roles = ?8, claims = ?9, password_hash = ?10, reset_hash = ?11, reset_expires_at = ?12, disabled = ?13, epoch = ?14,
		unsettled = ?15, created_at = ?16, updated_at = ?17, password_changed_at = ?18,
		factors = ?19, consents = ?20, delete_at = ?21, verified_email = ?22, email_change = ?23, reset_issued_at = ?24, mailed = ?25, version = ?26, unborn = ?27, slot_id = ?28, slot = ?29 WHERE uid = ?1`)
	deleteUser = sql(`DELETE FROM users WHERE uid = ?`)
	updateHash = sql(`UPDATE users SET password_hash = ?3, version = version + 1
		WHERE uid = ?1 AND password_hash = ?2 AND slot_id = '' AND unborn = 0`)
	settleUser = sql(`UPDATE users SET unsettled = 0, version = version + 1 WHERE uid = ?1 AND epoch = ?2 AND unsettled = 1 AND unborn = 0`)
)

func scanUser(r *row) users.User {
	return users.User{
		UID:               r.text(),
		Email:             r.text(),
		EmailKey:          r.text(),
		Username:          r.text(),
		UsernameKey:       r.text(),
		FirstName:         r.text(),
		LastName:          r.text(),
		Roles:             r.list(),
		Claims:            r.text(),
		PasswordHash:      r.text(),
		ResetHash:         r.blob(),
		ResetExpiresAt:    r.time(),
		Disabled:          r.flag(),
		Epoch:             r.integer(),
		Unsettled:         r.flag(),
		CreatedAt:         r.time(),
		UpdatedAt:         r.time(),
		PasswordChangedAt: r.time(),
		Factors:           scanFactors(r),
		Consents:          scanConsents(r),
		DeleteAt:          r.time(),
		VerifiedEmail:     r.text(),
		EmailChange:       r.text(),
		ResetIssuedAt:     r.time(),
		Mailed:            scanMailed(r),
		Held:              scanHeld(r),
	}
}

// encodeFactors returns the stored form of second factors: JSON, or nothing.
func encodeFactors(s factors.Set) string {
	if s.IsZero() {
		return ""
	}
	text, _ := json.Marshal(s) // texts, times and numbers can always be encoded
	return string(text)
}

func scanFactors(r *row) (s factors.Set) {
	text := r.text()
	if text == "" {
		return s
	}
	if err := json.Unmarshal([]byte(text), &s); err != nil {
		r.wrong(r.next-1, fmt.Errorf("not a set of factors: %w", err))
	}
	return s
}

// encodeConsents returns the stored form of consents: JSON, or nothing.
func encodeConsents(list []users.Consent) string {
	if len(list) == 0 {
		return ""
	}
	text, _ := json.Marshal(list) // texts and times can always be encoded
	return string(text)
}

func scanConsents(r *row) (list []users.Consent) {
	text := r.text()
	if text == "" {
		return nil
	}
	if err := json.Unmarshal([]byte(text), &list); err != nil {
		r.wrong(r.next-1, fmt.Errorf("not a list of consents: %w", err))
	}
	return list
}

// encodeMailed returns the stored form of what letters can do: JSON, or nothing.
func encodeMailed(m users.MailedReset) string {
	if m.IsZero() {
		return ""
	}
	text, _ := json.Marshal(m) // texts and times can always be encoded
	return string(text)
}

func scanMailed(r *row) (m users.MailedReset) {
	text := r.text()
	if text == "" {
		return m
	}
	if err := json.Unmarshal([]byte(text), &m); err != nil {
		r.wrong(r.next-1, fmt.Errorf("not what letters can do: %w", err))
	}
	return m
}

// CreateUser implements users.Store.
func (s *Store) CreateUser(ctx context.Context, u users.User) error {
	return s.transact(ctx, func(c *conn) (int, error) {
		n, err := writeUser(c, insertUser, u)
		if taken(err) {
			err = whichTaken(c, u, "", err)
		}
		return n, err
	})
}

// writeUser runs insertUser, replaceUser or putUser.
func writeUser(c *conn, s *statement, u users.User) (int, error) {
	return c.exec(s, u.UID, u.Email, u.EmailKey, u.Username, u.UsernameKey, u.FirstName, u.LastName,
		encodeList(u.Roles), u.Claims, u.PasswordHash, u.ResetHash, millis(u.ResetExpiresAt),
		integer(u.Disabled), u.Epoch, integer(u.Unsettled),
		millis(u.CreatedAt), millis(u.UpdatedAt), millis(u.PasswordChangedAt), encodeFactors(u.Factors), encodeConsents(u.Consents), millis(u.DeleteAt), u.VerifiedEmail, u.EmailChange,
		millis(u.ResetIssuedAt), encodeMailed(u.Mailed),
		u.Version, integer(u.Unborn), u.SlotID, u.Slot)
}

// whichTaken returns the error for the unique value of u that another account
// has than the one with the uid but. If there is none it returns refused, the
// engine's error.
func whichTaken(c *conn, u users.User, but string, refused error) error {
	found, err := exists(c, hasEmail, u.EmailKey, but)
	if err != nil {
		return err
	}
	if found {
		return users.ErrEmailTaken
	}
	if found, err = exists(c, hasUsername, u.UsernameKey, but); err != nil {
		return err
	}
	if found {
		return users.ErrUsernameTaken
	}
	return refused
}

// UserByID implements users.Store.
func (s *Store) UserByID(ctx context.Context, uid string) (users.User, error) {
	return found(ctx, s, userByID, scanUser, users.ErrNotFound, uid)
}

// UserByEmailKey implements users.Store.
func (s *Store) UserByEmailKey(ctx context.Context, key string) (users.User, error) {
	return found(ctx, s, userByEmail, scanUser, users.ErrNotFound, key)
}

// UserByUsernameKey implements users.Store.
func (s *Store) UserByUsernameKey(ctx context.Context, key string) (users.User, error) {
	return found(ctx, s, userByUsername, scanUser, users.ErrNotFound, key)
}

// ListUsers implements users.Store.
func (s *Store) ListUsers(ctx context.Context, after string, n int) ([]users.User, error) {
	return listed(ctx, s, usersAfter, scanUser, after, limit(n))
}

// HeldUser implements users.Store.
func (s *Store) HeldUser(ctx context.Context, uid string) (users.User, error) {
	return found(ctx, s, heldUser, scanUser, users.ErrNotFound, uid)
}

// ReplaceUser implements users.Store.
func (s *Store) ReplaceUser(ctx context.Context, seen, next users.User) error {
	return s.transact(ctx, func(c *conn) (int, error) {
		if err := stillUser(c, seen); err != nil {
			return 0, err
		}
		next.UID, next.Version = seen.UID, seen.Version+1
		n, err := writeUser(c, replaceUser, next)
		if taken(err) {
			err = whichTaken(c, next, next.UID, err)
		}
		return n, err
	})
}

// RemoveUser implements users.Store.
func (s *Store) RemoveUser(ctx context.Context, seen users.User) error {
	return s.transact(ctx, func(c *conn) (int, error) {
		if err := stillUser(c, seen); err != nil {
			return 0, err
		}
		return c.exec(deleteUser, seen.UID)
	})
}

// stillUser checks, inside a writing transaction, that an account is unchanged
// since seen was read.
func stillUser(c *conn, seen users.User) error {
	now, err := one(c, heldUser, scanUser, users.ErrNotFound, seen.UID)
	if err == nil && (now.Version != seen.Version || !now.UpdatedAt.Equal(instant(millis(seen.UpdatedAt)))) {
		err = users.ErrConflict
	}
	return err
}

// UsersToDelete implements users.Store.
func (s *Store) UsersToDelete(ctx context.Context, at time.Time, n int) ([]users.User, error) {
	return listed(ctx, s, usersToDelete, scanUser, millis(at), limit(n))
}

// PendingUsers implements users.Store.
func (s *Store) PendingUsers(ctx context.Context, n int) ([]users.User, error) {
	return listed(ctx, s, usersPending, scanUser, limit(n))
}

// RehashPassword implements users.Store.
func (s *Store) RehashPassword(ctx context.Context, uid, from, to string) error {
	return s.run(ctx, updateHash, uid, from, to)
}

// Settle implements users.Store.
func (s *Store) Settle(ctx context.Context, uid string, epoch int64) error {
	return s.run(ctx, settleUser, uid, epoch)
}

// Unsettled implements users.Store.
func (s *Store) Unsettled(ctx context.Context, n int) ([]users.User, error) {
	return listed(ctx, s, usersUnsettled, scanUser, limit(n))
}
