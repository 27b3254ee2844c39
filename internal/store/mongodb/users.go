package mongodb

import (
	"cmp"
	"context"
	"errors"
	"time"

	"go.mongodb.org/mongo-driver/v2/bson"
	"go.mongodb.org/mongo-driver/v2/mongo"
	"go.mongodb.org/mongo-driver/v2/mongo/options"

	"github.com/keyturn/keyturn/internal/decision"
	"github.com/keyturn/keyturn/internal/factors"
	"github.com/keyturn/keyturn/users"
)

type userRecord struct {
	UID               string            `bson:"_id"`
	Email             string            `bson:"email"`
	EmailKey          string            `bson:"email_key,omitempty"` // omitted from the sparse index if empty
	VerifiedEmail     string            `bson:"verified_email,omitempty"`
	EmailChange       string            `bson:"email_change,omitempty"`
	Username          string            `bson:"username,omitempty"`
	UsernameKey       string            `bson:"username_key,omitempty"` // likewise
	FirstName         string            `bson:"first_name"`
	LastName          string            `bson:"last_name"`
	Roles             []string          `bson:"roles,omitempty"`
	Claims            string            `bson:"claims,omitempty"`
	PasswordHash      string            `bson:"password_hash"`
	ResetHash         []byte            `bson:"reset_hash,omitempty"`
	ResetIssuedAt     time.Time         `bson:"reset_issued_at,omitempty"`
	ResetExpiresAt    time.Time         `bson:"reset_expires_at,omitempty"`
	Mailed            users.MailedReset `bson:"mailed,omitempty"`
	Factors           factors.Set       `bson:"factors,omitempty"`
	Consents          []users.Consent   `bson:"consents,omitempty"`
	Disabled          bool              `bson:"disabled"`
	DeleteAt          time.Time         `bson:"delete_at,omitempty"` // likewise
	Epoch             int64             `bson:"epoch"`
	Unsettled         bool              `bson:"unsettled,omitempty"` // likewise
	CreatedAt         time.Time         `bson:"created_at"`
	UpdatedAt         time.Time         `bson:"updated_at"`
	PasswordChangedAt time.Time         `bson:"password_changed_at"`
	decision.Held     `bson:",inline"`
}

func (r userRecord) domain() users.User { return users.User(r) }

// CreateUser implements users.Store.
func (s *Store) CreateUser(ctx context.Context, u users.User) error {
	_, err := s.users.InsertOne(ctx, userRecord(u))
	if mongo.IsDuplicateKeyError(err) {
		return s.taken(ctx, u, err)
	}
	return failed("creating an account", err)
}

// taken returns the error for the name of a new account that another account has,
// given the server's error. It asks again if that error names no index, or names
// the index of the uid first, as MongoDB does for an account that is created twice.
func (s *Store) taken(ctx context.Context, u users.User, refused error) error {
	switch violatedIndex(refused) {
	case indexEmail, formerIndexEmail:
		return users.ErrEmailTaken
	case indexUsername:
		return users.ErrUsernameTaken
	}
	if err := s.lookForNames(ctx, u, ""); err != nil {
		return err
	}
	return errors.New("mongodb: creating an account: the uid is taken")
}

// lookForNames returns the error for the name of u that another account has than
// the one with the uid but, or nil.
func (s *Store) lookForNames(ctx context.Context, u users.User, but string) error {
	emailTaken, err := exists(ctx, s.users, bson.M{"email_key": u.EmailKey, "_id": bson.M{"$ne": but}})
	if err != nil {
		return failed("looking for the e-mail address", err)
	}
	if emailTaken && u.EmailKey != "" {
		return users.ErrEmailTaken
	}
	nameTaken, err := exists(ctx, s.users, bson.M{"username_key": u.UsernameKey, "_id": bson.M{"$ne": but}})
	if err != nil {
		return failed("looking for the username", err)
	}
	if nameTaken && u.UsernameKey != "" {
		return users.ErrUsernameTaken
	}
	return nil
}

// UserByID implements users.Store.
func (s *Store) UserByID(ctx context.Context, uid string) (users.User, error) {
	return s.user(ctx, bson.M{"_id": uid, "unborn": absent})
}

// UserByEmailKey implements users.Store. It reads linearizably, because no write
// follows a refused login.
func (s *Store) UserByEmailKey(ctx context.Context, key string) (users.User, error) {
	return s.user(ctx, bson.M{"email_key": key, "unborn": absent})
}

// UserByUsernameKey implements users.Store.
func (s *Store) UserByUsernameKey(ctx context.Context, key string) (users.User, error) {
	return s.user(ctx, bson.M{"username_key": key, "unborn": absent})
}

// user reads the only account that matches filter.
func (s *Store) user(ctx context.Context, filter bson.M) (users.User, error) {
	return one[userRecord](s.latest.users.FindOne(ctx, filter), "reading an account", users.ErrNotFound)
}

// ListUsers implements users.Store.
func (s *Store) ListUsers(ctx context.Context, after string, limit int) ([]users.User, error) {
	return page[userRecord](ctx, s.latest.users, after, limit)
}

// HeldUser implements users.Store.
func (s *Store) HeldUser(ctx context.Context, uid string) (users.User, error) {
	return s.user(ctx, bson.M{"_id": uid})
}

// ReplaceUser implements users.Store.
func (s *Store) ReplaceUser(ctx context.Context, seen, next users.User) error {
	next.UID, next.Version = seen.UID, seen.Version+1
	changed, err := replaced(ctx, s.users, as(seen.UID, seen.Version, seen.UpdatedAt), userRecord(seen), userRecord(next))
	var refused mongo.ServerError
	switch {
	case errors.As(err, &refused):
		// Not every server says for a change that a key is a duplicate.
		if taken := s.lookForNames(ctx, next, next.UID); taken != nil {
			return taken
		}
		return failed("changing an account", err)
	case err != nil:
		return failed("changing an account", err)
	case changed:
		return nil
	}
	return s.userChanged(ctx, seen.UID)
}

// RemoveUser implements users.Store.
func (s *Store) RemoveUser(ctx context.Context, seen users.User) error {
	found, err := removed(s.users.DeleteOne(ctx, as(seen.UID, seen.Version, seen.UpdatedAt)))
	if err != nil || found {
		return failed("deleting an account", err)
	}
	return s.userChanged(ctx, seen.UID)
}

// userChanged returns why an account did not match.
func (s *Store) userChanged(ctx context.Context, uid string) error {
	_, err := s.HeldUser(ctx, uid)
	return cmp.Or(err, users.ErrConflict)
}

// UsersToDelete implements users.Store.
func (s *Store) UsersToDelete(ctx context.Context, at time.Time, limit int) ([]users.User, error) {
	if limit <= 0 {
		return nil, nil
	}
	return list[userRecord](ctx, s.users, bson.M{"delete_at": bson.M{"$lte": at}, "unborn": absent},
		options.Find().SetSort(bson.D{{Key: "delete_at", Value: 1}}).SetLimit(int64(limit)))
}

// PendingUsers implements users.Store.
func (s *Store) PendingUsers(ctx context.Context, limit int) ([]users.User, error) {
	return pending[userRecord](ctx, s.users, limit)
}

// RehashPassword implements users.Store.
func (s *Store) RehashPassword(ctx context.Context, uid, from, to string) error {
	_, err := s.users.UpdateOne(ctx,
		bson.M{"_id": uid, "password_hash": from, "slot_id": absent, "unborn": absent},
		bson.M{"$set": bson.M{"password_hash": to}, "$inc": bson.M{"version": int64(1)}})
	return failed("replacing a password hash", err)
}

// Settle implements users.Store.
func (s *Store) Settle(ctx context.Context, uid string, epoch int64) error {
	_, err := s.users.UpdateOne(ctx,
		bson.M{"_id": uid, "epoch": epoch, "unsettled": true, "unborn": absent},
		bson.M{"$unset": bson.M{"unsettled": ""}, "$inc": bson.M{"version": int64(1)}})
	return failed("settling an account", err)
}

// Unsettled implements users.Store.
func (s *Store) Unsettled(ctx context.Context, limit int) ([]users.User, error) {
	if limit <= 0 {
		return nil, nil
	}
	return list[userRecord](ctx, s.users, bson.M{"unsettled": true, "unborn": absent},
		options.Find().SetLimit(int64(limit)))
}
