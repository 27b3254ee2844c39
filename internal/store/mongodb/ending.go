package mongodb

import (
	"context"
	"fmt"
	"sync"
	"sync/atomic"
	"time"

	"go.mongodb.org/mongo-driver/v2/bson"
	"go.mongodb.org/mongo-driver/v2/mongo/options"

	"github.com/keyturn/keyturn/oauth"
)

// A change of many sessions changes each in a write of its own, found by _id. One
// update of many would be shorter, but a sharded cluster does not block the
// migration of chunks for it: it may silently miss a document that moves
// meanwhile. See docs/decisions/mongodb.md.

const (
	// sessionPage is how many sessions are looked up at once: no more than a
	// server returns in its first batch, so that the lookup is one step.
	sessionPage = 100
	// writersAtOnce is how many sessions are changed concurrently.
	writersAtOnce = 16
)

// RevokeFamily implements oauth.Store.
func (s *Store) RevokeFamily(ctx context.Context, id string, at time.Time, reason string) (bool, error) {
	ended, err := s.changeAlive(ctx, id, revocation(at, reason))
	return ended, failed("ending a session", err)
}

// RevokeFamiliesOfUser implements oauth.Store.
func (s *Store) RevokeFamiliesOfUser(
	ctx context.Context, uid, except string, at time.Time, reason string,
) (int, error) {
	return s.revokeAll(ctx, bson.M{"user_id": uid, "_id": bson.M{"$ne": except}}, at, reason)
}

// RevokeFamiliesOfClient implements oauth.Store.
func (s *Store) RevokeFamiliesOfClient(
	ctx context.Context, clientID string, at time.Time, reason string,
) (int, error) {
	return s.revokeAll(ctx, bson.M{"client_id": clientID}, at, reason)
}

// RevokeFamiliesAmong implements oauth.Store.
func (s *Store) RevokeFamiliesAmong(ctx context.Context, a oauth.Among, at time.Time, reason string) (int, error) {
	of := bson.M{"user_id": a.UserID}
	if a.LoginID != "" {
		of["login_id"] = a.LoginID
	}
	if a.ClientID != "" {
		of["client_id"] = a.ClientID
	}
	if a.Sparing != "" {
		of["scope"] = bson.M{"$ne": a.Sparing}
	}
	return s.revokeAll(ctx, of, at, reason)
}

// revokeAll ends the families that match of, page by page, until a lookup that
// sees every write acknowledged before finds no live one.
func (s *Store) revokeAll(ctx context.Context, of bson.M, at time.Time, reason string) (int, error) {
	of["revoked_at"] = notEnded
	total, again, before := 0, 0, ""
	for {
		alive, err := s.look(ctx, of, options.Find())
		if err != nil || len(alive) == 0 {
			return total, failed("looking for the sessions to end", err)
		}
		if alive[0].ID != before {
			before, again = alive[0].ID, 0
		}
		if again++; again > maxRaces {
			return total, fmt.Errorf("mongodb: session %s lives after %d writes that ended it", before, maxRaces)
		}
		ended, err := each(alive, func(f place) (bool, error) { return s.changeAlive(ctx, f.ID, revocation(at, reason)) })
		if total += ended; err != nil {
			return total, failed("ending sessions", err)
		}
	}
}

func revocation(at time.Time, reason string) bson.M {
	return bson.M{"$set": bson.M{"revoked_at": at, "revoke_reason": reason}}
}

// SetFamilyClaims implements oauth.Store.
func (s *Store) SetFamilyClaims(ctx context.Context, uid, claims string) (int, error) {
	n, err := s.setAll(ctx, bson.M{"user_id": uid, "revoked_at": notEnded}, bson.M{"claims": claims})
	return n, failed("changing the claims of sessions", err)
}

// SetFamilyEmail implements oauth.Store.
func (s *Store) SetFamilyEmail(ctx context.Context, uid, email string) (int, error) {
	n, err := s.setAll(ctx, bson.M{"user_id": uid, "revoked_at": notEnded, "email": bson.M{"$gt": ""}}, bson.M{"email": email})
	return n, failed("changing the address of sessions", err)
}

// setAll sets fields in the families that match of, newest first. It goes through
// them once, and does not repeat until none is left to change, because two
// concurrent calls with different values would undo each other's work for ever.
func (s *Store) setAll(ctx context.Context, of, fields bson.M) (int, error) {
	total := 0
	newestFirst := options.Find().SetSort(bson.D{{Key: "created_at", Value: -1}, {Key: "_id", Value: -1}})
	for {
		alive, err := s.look(ctx, of, newestFirst)
		if err != nil || len(alive) == 0 {
			return total, err
		}
		changed, err := each(alive, func(f place) (bool, error) { return s.changeAlive(ctx, f.ID, bson.M{"$set": fields}) })
		if total += changed; err != nil || len(alive) < sessionPage {
			return total, err
		}
		last := alive[len(alive)-1]
		of["$or"] = bson.A{
			bson.M{"created_at": bson.M{"$lt": last.CreatedAt}},
			bson.M{"created_at": last.CreatedAt, "_id": bson.M{"$lt": last.ID}},
		}
	}
}

// place is the position of a family in the order of its user's families.
type place struct {
	ID        string    `bson:"_id"`
	CreatedAt time.Time `bson:"created_at"`
}

// look returns at most sessionPage families that match filter. The fields in the
// filter never change while a family is live, so that it misses none while others
// are refreshed.
func (s *Store) look(ctx context.Context, filter bson.M, o *options.FindOptionsBuilder) ([]place, error) {
	cursor, err := s.latest.families.Find(ctx, filter, o.SetLimit(sessionPage).SetProjection(bson.M{"_id": 1, "created_at": 1}))
	if err != nil {
		return nil, err
	}
	var places []place
	err = cursor.All(ctx, &places)
	return places, err
}

// changeAlive applies update to one family unless it has ended, and reports
// whether it did. A write that matched nothing proves nothing, because a primary
// that was deposed without noticing does not know the latest families. So a
// linearizable read, which such a primary cannot answer, decides.
func (s *Store) changeAlive(ctx context.Context, id string, update bson.M) (bool, error) {
	for range maxRaces {
		changed, err := found(s.families.UpdateOne(ctx, bson.M{"_id": id, "revoked_at": notEnded}, update))
		if changed || err != nil {
			return changed, err
		}
		alive, err := exists(ctx, s.latest.families, bson.M{"_id": id, "revoked_at": notEnded})
		if !alive || err != nil {
			return false, err
		}
	}
	return false, fmt.Errorf("session %s lives, but none of %d writes found it", id, maxRaces)
}

// each calls do for every family, for several at a time, and returns how many
// calls returned true. After an error it begins no further call.
func each(families []place, do func(place) (bool, error)) (int, error) {
	var done atomic.Int64
	var failure atomic.Pointer[error]
	var all sync.WaitGroup
	gate := make(chan struct{}, writersAtOnce)
	for _, f := range families {
		gate <- struct{}{}
		if failure.Load() != nil {
			break
		}
		all.Go(func() {
			defer func() { <-gate }()
			yes, err := do(f)
			if err != nil {
				failure.Store(&err)
			}
			if yes {
				done.Add(1)
			}
		})
	}
	all.Wait()
	if err := failure.Load(); err != nil {
		return int(done.Load()), *err
	}
	return int(done.Load()), nil
}
