package mongodb

import (
	"context"
	"errors"
	"time"

	"go.mongodb.org/mongo-driver/v2/bson"
	"go.mongodb.org/mongo-driver/v2/mongo"
	"go.mongodb.org/mongo-driver/v2/mongo/options"

	"github.com/keyturn/keyturn/users"
)

type userRecord struct {
	UID               string    `bson:"_id"`
	Email             string    `bson:"email"`
	EmailKey          string    `bson:"email_key"`
	Username          string    `bson:"username,omitempty"`
	UsernameKey       string    `bson:"username_key,omitempty"` // left out, the sparse index does not see it
	FirstName         string    `bson:"first_name"`
	LastName          string    `bson:"last_name"`
	Roles             []string  `bson:"roles,omitempty"`
	Claims            string    `bson:"claims,omitempty"`
	PasswordHash      string    `bson:"password_hash"`
	ResetHash         []byte    `bson:"reset_hash,omitempty"`
	ResetExpiresAt    time.Time `bson:"reset_expires_at,omitempty"`
	Disabled          bool      `bson:"disabled"`
	Epoch             int64     `bson:"epoch"`
	Unsettled         bool      `bson:"unsettled,omitempty"` // likewise
	CreatedAt         time.Time `bson:"created_at"`
	UpdatedAt         time.Time `bson:"updated_at"`
	PasswordChangedAt time.Time `bson:"password_changed_at"`
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

// taken returns which of a new account's names another has, refused being the
// server's answer. A server that does not say is asked once more.
func (s *Store) taken(ctx context.Context, u users.User, refused error) error {
	switch violatedIndex(refused) {
	case indexEmail:
		return users.ErrEmailTaken
	case indexUsername:
		return users.ErrUsernameTaken
	case "":
		if err := s.lookForNames(ctx, u, ""); err != nil {
			return err
		}
	}
	return errors.New("mongodb: creating an account: the uid is taken")
}

// lookForNames returns which of u's names an account has that is not the one
// called but; nil if none.
func (s *Store) lookForNames(ctx context.Context, u users.User, but string) error {
	emailTaken, err := exists(ctx, s.users, bson.M{"email_key": u.EmailKey, "_id": bson.M{"$ne": but}})
	if err != nil {
		return failed("looking for the e-mail address", err)
	}
	if emailTaken {
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
	return s.user(ctx, bson.M{"_id": uid})
}

// UserByEmailKey implements users.Store.
func (s *Store) UserByEmailKey(ctx context.Context, key string) (users.User, error) {
	return s.user(ctx, bson.M{"email_key": key})
}

// UsernameTaken implements users.Store.
func (s *Store) UsernameTaken(ctx context.Context, key string) (bool, error) {
	if key == "" {
		return false, nil // the sparse index knows no account without one
	}
	taken, err := exists(ctx, s.users, bson.M{"username_key": key})
	return taken, failed("looking for the username", err)
}

func (s *Store) user(ctx context.Context, filter bson.M) (users.User, error) {
	return one[userRecord](s.users.FindOne(ctx, filter), "reading an account", users.ErrNotFound)
}

// ListUsers implements users.Store.
func (s *Store) ListUsers(ctx context.Context, after string, limit int) ([]users.User, error) {
	found, err := page[userRecord](ctx, s.users, after, limit)
	return found, failed("listing accounts", err)
}

// SetPassword implements users.Store.
func (s *Store) SetPassword(
	ctx context.Context, uid string, epoch int64, hash string, at time.Time,
) (users.User, error) {
	u, err := s.changeUser(ctx, bson.M{"_id": uid, "epoch": epoch}, bson.M{
		"$set": bson.M{
			"password_hash": hash, "unsettled": true, "password_changed_at": at, "updated_at": at,
		},
		"$inc":   bson.M{"epoch": int64(1)},
		"$unset": noReset,
	}, users.ErrConflict)
	if !errors.Is(err, users.ErrConflict) {
		return u, err
	}
	known, err := exists(ctx, s.users, bson.M{"_id": uid})
	switch {
	case err != nil:
		return users.User{}, failed("looking for an account", err)
	case known:
		return users.User{}, users.ErrConflict
	}
	return users.User{}, users.ErrNotFound
}

// noReset are the fields of a one-time token, which an account without one
// lacks.
var noReset = bson.M{"reset_hash": "", "reset_expires_at": ""}

// SetReset implements users.Store.
func (s *Store) SetReset(ctx context.Context, uid string, hash []byte, expires, at time.Time) (users.User, error) {
	update := bson.M{"$set": bson.M{"reset_hash": hash, "reset_expires_at": expires, "updated_at": at}}
	if hash == nil {
		update = bson.M{"$set": bson.M{"updated_at": at}, "$unset": noReset}
	}
	return s.changeUser(ctx, bson.M{"_id": uid}, update, users.ErrNotFound)
}

// SetClaims implements users.Store.
func (s *Store) SetClaims(ctx context.Context, uid string, roles []string, claims string, at time.Time) (users.User, error) {
	return s.changeUser(ctx, bson.M{"_id": uid},
		bson.M{"$set": bson.M{"roles": roles, "claims": claims, "updated_at": at}}, users.ErrNotFound)
}

// UpdateUser implements users.Store.
func (s *Store) UpdateUser(ctx context.Context, uid string, p users.ProfileChange, at time.Time) (users.User, error) {
	set, unset := bson.M{"updated_at": at}, bson.M{}
	wanted := users.User{}
	if p.Email != nil {
		set["email"], set["email_key"] = p.Email.Text, p.Email.Key
		wanted.EmailKey = p.Email.Key
	}
	switch {
	case p.Username == nil:
	case p.Username.Key == "":
		unset["username"], unset["username_key"] = "", ""
	default:
		set["username"], set["username_key"] = p.Username.Text, p.Username.Key
		wanted.UsernameKey = p.Username.Key
	}
	if p.FirstName != nil {
		set["first_name"] = *p.FirstName
	}
	if p.LastName != nil {
		set["last_name"] = *p.LastName
	}
	update := bson.M{"$set": set}
	if len(unset) > 0 {
		update["$unset"] = unset
	}
	u, err := s.changeUser(ctx, bson.M{"_id": uid}, update, users.ErrNotFound)
	// Not every server says of a change that a key is a duplicate's.
	var refused mongo.ServerError
	if errors.As(err, &refused) {
		if taken := s.lookForNames(ctx, wanted, uid); taken != nil {
			return users.User{}, taken
		}
	}
	return u, err
}

// DeleteUser implements users.Store.
func (s *Store) DeleteUser(ctx context.Context, uid string) error {
	result, err := s.users.DeleteOne(ctx, bson.M{"_id": uid})
	if err != nil {
		return failed("deleting an account", err)
	}
	if result.DeletedCount == 0 {
		return users.ErrNotFound
	}
	return nil
}

// changeUser applies update to the account that matches filter and returns it
// as it then stands; missing is the error if none matches.
func (s *Store) changeUser(ctx context.Context, filter, update bson.M, missing error) (users.User, error) {
	return one[userRecord](s.users.FindOneAndUpdate(ctx, filter, update, returnNew()), "changing an account", missing)
}

// RehashPassword implements users.Store.
func (s *Store) RehashPassword(ctx context.Context, uid, from, to string) error {
	_, err := s.users.UpdateOne(ctx,
		bson.M{"_id": uid, "password_hash": from},
		bson.M{"$set": bson.M{"password_hash": to}})
	return failed("replacing a password hash", err)
}

// SetDisabled implements users.Store.
func (s *Store) SetDisabled(ctx context.Context, uid string, disabled bool, at time.Time) (users.User, error) {
	if disabled {
		return s.disable(ctx, uid, at)
	}
	return s.changeUser(ctx, bson.M{"_id": uid},
		bson.M{"$set": bson.M{"disabled": false, "updated_at": at}}, users.ErrNotFound)
}

// disable is one write if the account is enabled and another if it is disabled,
// for only the first grows Epoch. An account that somebody enables just
// between the two attempts gets another round.
func (s *Store) disable(ctx context.Context, uid string, at time.Time) (users.User, error) {
	set := bson.M{"disabled": true, "unsettled": true, "updated_at": at}
	for {
		u, err := s.changeUser(ctx, bson.M{"_id": uid, "disabled": false},
			bson.M{"$set": set, "$inc": bson.M{"epoch": int64(1)}}, users.ErrNotFound)
		if !errors.Is(err, users.ErrNotFound) {
			return u, err
		}
		u, err = s.changeUser(ctx, bson.M{"_id": uid, "disabled": true},
			bson.M{"$set": set}, users.ErrNotFound)
		if !errors.Is(err, users.ErrNotFound) {
			return u, err
		}
		known, err := exists(ctx, s.users, bson.M{"_id": uid})
		if err != nil {
			return users.User{}, failed("looking for an account", err)
		}
		if !known {
			return users.User{}, users.ErrNotFound
		}
	}
}

// Settle implements users.Store.
func (s *Store) Settle(ctx context.Context, uid string, epoch int64) error {
	_, err := s.users.UpdateOne(ctx,
		bson.M{"_id": uid, "epoch": epoch},
		bson.M{"$unset": bson.M{"unsettled": ""}})
	return failed("settling an account", err)
}

// Unsettled implements users.Store.
func (s *Store) Unsettled(ctx context.Context, limit int) ([]users.User, error) {
	if limit <= 0 {
		return nil, nil
	}
	found, err := list[userRecord](ctx, s.users, bson.M{"unsettled": true},
		options.Find().SetLimit(int64(limit)))
	return found, failed("listing unsettled accounts", err)
}
