package sqlite

import (
	"context"
	"database/sql/driver"
	"errors"
	"time"

	"github.com/keyturn/keyturn/users"
)

const userColumns = `uid, email, email_key, username, username_key, first_name, last_name, roles, claims,
	password_hash, reset_hash, reset_expires_at, disabled, epoch, unsettled, created_at, updated_at, password_changed_at`

var (
	insertUser     = sql(`INSERT INTO users (` + userColumns + `) VALUES (?,?,?,?,?,?,?,?,?,?,?,?,?,?,?,?,?,?)`)
	userByID       = sql(`SELECT ` + userColumns + ` FROM users WHERE uid = ?`)
	userByEmail    = sql(`SELECT ` + userColumns + ` FROM users WHERE email_key = ?`)
	hasUser        = sql(`SELECT 1 FROM users WHERE uid = ?`)
	hasEmail       = sql(`SELECT 1 FROM users WHERE email_key = ? AND uid <> ?`)
	hasUsername    = sql(`SELECT 1 FROM users WHERE username_key = ?1 AND username_key <> '' AND uid <> ?2`)
	usersAfter     = sql(`SELECT ` + userColumns + ` FROM users WHERE uid > ? ORDER BY uid LIMIT ?`)
	usersUnsettled = sql(`SELECT ` + userColumns + ` FROM users WHERE unsettled = 1 ORDER BY uid LIMIT ?`)
	updatePassword = sql(`UPDATE users SET password_hash = ?3, epoch = epoch + 1, unsettled = 1,
		reset_hash = NULL, reset_expires_at = 0,
		password_changed_at = ?4, updated_at = ?4
		WHERE uid = ?1 AND epoch = ?2 RETURNING ` + userColumns)
	updateReset = sql(`UPDATE users SET reset_hash = ?2, reset_expires_at = ?3, updated_at = ?4
		WHERE uid = ?1 RETURNING ` + userColumns)
	updateClaims  = sql(`UPDATE users SET roles = ?2, claims = ?3, updated_at = ?4 WHERE uid = ?1 RETURNING ` + userColumns)
	updateProfile = sql(`UPDATE users SET
		email = coalesce(?2, email), email_key = coalesce(?3, email_key),
		username = coalesce(?4, username), username_key = coalesce(?5, username_key),
		first_name = coalesce(?6, first_name), last_name = coalesce(?7, last_name), updated_at = ?8
		WHERE uid = ?1 RETURNING ` + userColumns)
	deleteUser  = sql(`DELETE FROM users WHERE uid = ?`)
	updateHash  = sql(`UPDATE users SET password_hash = ?3 WHERE uid = ?1 AND password_hash = ?2`)
	disableUser = sql(`UPDATE users SET epoch = epoch + (disabled = 0), disabled = 1, unsettled = 1, updated_at = ?2
		WHERE uid = ?1 RETURNING ` + userColumns)
	enableUser = sql(`UPDATE users SET disabled = 0, updated_at = ?2 WHERE uid = ?1 RETURNING ` + userColumns)
	settleUser = sql(`UPDATE users SET unsettled = 0 WHERE uid = ?1 AND epoch = ?2`)
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
	}
}

// CreateUser implements users.Store.
func (s *Store) CreateUser(ctx context.Context, u users.User) error {
	_, err := change(ctx, s, func(c *conn) (int, error) {
		n, err := writeUser(c, insertUser, u)
		if taken(err) {
			err = whichTaken(c, u, "", err)
		}
		return n, err
	})
	return err
}

// writeUser runs insertUser or putUser.
func writeUser(c *conn, s *statement, u users.User) (int, error) {
	return c.exec(s, u.UID, u.Email, u.EmailKey, u.Username, u.UsernameKey, u.FirstName, u.LastName,
		encodeList(u.Roles), u.Claims, u.PasswordHash, u.ResetHash, millis(u.ResetExpiresAt),
		integer(u.Disabled), u.Epoch, integer(u.Unsettled),
		millis(u.CreatedAt), millis(u.UpdatedAt), millis(u.PasswordChangedAt))
}

// whichTaken tells which unique value of u an account has that is not the one
// called but; refused is what the engine said.
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
	return read(ctx, s, func(c *conn) (users.User, error) {
		return one(c, userByID, scanUser, users.ErrNotFound, uid)
	})
}

// UserByEmailKey implements users.Store.
func (s *Store) UserByEmailKey(ctx context.Context, key string) (users.User, error) {
	return read(ctx, s, func(c *conn) (users.User, error) {
		return one(c, userByEmail, scanUser, users.ErrNotFound, key)
	})
}

// UsernameTaken implements users.Store.
func (s *Store) UsernameTaken(ctx context.Context, key string) (bool, error) {
	return read(ctx, s, func(c *conn) (bool, error) {
		return exists(c, hasUsername, key, "")
	})
}

// ListUsers implements users.Store.
func (s *Store) ListUsers(ctx context.Context, after string, n int) ([]users.User, error) {
	return read(ctx, s, func(c *conn) ([]users.User, error) {
		return list(c, usersAfter, scanUser, after, limit(n))
	})
}

// SetPassword implements users.Store.
func (s *Store) SetPassword(ctx context.Context, uid string, epoch int64, hash string, at time.Time) (users.User, error) {
	return change(ctx, s, func(c *conn) (users.User, error) {
		u, err := one(c, updatePassword, scanUser, users.ErrConflict, uid, epoch, hash, millis(at))
		if errors.Is(err, users.ErrConflict) {
			found, err := exists(c, hasUser, uid)
			if err != nil {
				return u, err
			}
			if !found {
				return u, users.ErrNotFound
			}
		}
		return u, err
	})
}

// SetReset implements users.Store.
func (s *Store) SetReset(ctx context.Context, uid string, hash []byte, expires, at time.Time) (users.User, error) {
	return s.changeUser(ctx, updateReset, uid, hash, millis(expires), millis(at))
}

// SetClaims implements users.Store.
func (s *Store) SetClaims(ctx context.Context, uid string, roles []string, claims string, at time.Time) (users.User, error) {
	return s.changeUser(ctx, updateClaims, uid, encodeList(roles), claims, millis(at))
}

// UpdateUser implements users.Store.
func (s *Store) UpdateUser(ctx context.Context, uid string, p users.ProfileChange, at time.Time) (users.User, error) {
	args := []driver.Value{uid}
	wanted := users.User{}
	for _, name := range []struct {
		to  *users.Name
		key *string
	}{{p.Email, &wanted.EmailKey}, {p.Username, &wanted.UsernameKey}} {
		if name.to == nil {
			args = append(args, nil, nil)
			continue
		}
		args = append(args, name.to.Text, name.to.Key)
		*name.key = name.to.Key
	}
	for _, text := range []*string{p.FirstName, p.LastName} {
		if text == nil {
			args = append(args, nil)
			continue
		}
		args = append(args, *text)
	}
	return change(ctx, s, func(c *conn) (users.User, error) {
		u, err := one(c, updateProfile, scanUser, users.ErrNotFound, append(args, millis(at))...)
		if taken(err) {
			err = whichTaken(c, wanted, uid, err)
		}
		return u, err
	})
}

// changeUser runs an update of one account, which must exist.
func (s *Store) changeUser(ctx context.Context, update *statement, args ...driver.Value) (users.User, error) {
	return change(ctx, s, func(c *conn) (users.User, error) {
		return one(c, update, scanUser, users.ErrNotFound, args...)
	})
}

// DeleteUser implements users.Store.
func (s *Store) DeleteUser(ctx context.Context, uid string) error {
	n, err := change(ctx, s, func(c *conn) (int, error) {
		return c.exec(deleteUser, uid)
	})
	if err == nil && n == 0 {
		err = users.ErrNotFound
	}
	return err
}

// RehashPassword implements users.Store.
func (s *Store) RehashPassword(ctx context.Context, uid, from, to string) error {
	_, err := change(ctx, s, func(c *conn) (int, error) {
		return c.exec(updateHash, uid, from, to)
	})
	return err
}

// SetDisabled implements users.Store.
func (s *Store) SetDisabled(ctx context.Context, uid string, disabled bool, at time.Time) (users.User, error) {
	set := enableUser
	if disabled {
		set = disableUser
	}
	return s.changeUser(ctx, set, uid, millis(at))
}

// Settle implements users.Store.
func (s *Store) Settle(ctx context.Context, uid string, epoch int64) error {
	_, err := change(ctx, s, func(c *conn) (int, error) {
		return c.exec(settleUser, uid, epoch)
	})
	return err
}

// Unsettled implements users.Store.
func (s *Store) Unsettled(ctx context.Context, n int) ([]users.User, error) {
	return read(ctx, s, func(c *conn) ([]users.User, error) {
		return list(c, usersUnsettled, scanUser, limit(n))
	})
}
