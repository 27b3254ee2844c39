package mongodb

import (
	"context"
	"time"

	"go.mongodb.org/mongo-driver/v2/bson"

	"github.com/keyturn/keyturn/oauth"
)

// RotateFamily implements oauth.Store: one findAndModify whose filter is the
// whole condition (F1).
func (s *Store) RotateFamily(ctx context.Context, r oauth.Rotation) (oauth.Family, error) {
	result := s.families.FindOneAndUpdate(ctx,
		bson.M{
			"_id":             r.FamilyID,
			"client_id":       r.ClientID,
			"generation":      bson.M{"$lte": r.Presented},
			"revoked_at":      notEnded,
			"idle_expires_at": bson.M{"$gt": r.At},
			"expires_at":      bson.M{"$gt": r.At},
		},
		bson.M{"$set": bson.M{
			"generation":      r.Presented + 1,
			"rotated_at":      r.At,
			"master_id":       r.MasterID,
			"idle_expires_at": r.IdleExpiresAt,
			"purge_at":        r.PurgeAt,
			"last_ip":         r.IP,
			"last_user_agent": r.UserAgent,
		}},
		returnNew())
	return one[familyRecord](result, "rotating a session", oauth.ErrNotRotated)
}

// RevokeFamily implements oauth.Store.
func (s *Store) RevokeFamily(ctx context.Context, id string, at time.Time, reason string) (bool, error) {
	result, err := s.families.UpdateOne(ctx,
		bson.M{"_id": id, "revoked_at": notEnded}, revocation(at, reason))
	if err != nil {
		return false, failed("ending a session", err)
	}
	return result.MatchedCount > 0, nil
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

// revokeAll ends the families that match filter, each in a write of its own.
// The fields that it searches by never change, so that none slips past the
// search while others are rotated.
func (s *Store) revokeAll(ctx context.Context, filter bson.M, at time.Time, reason string) (int, error) {
	filter["revoked_at"] = notEnded
	result, err := s.families.UpdateMany(ctx, filter, revocation(at, reason))
	if err != nil {
		return 0, failed("ending sessions", err)
	}
	return int(result.ModifiedCount), nil
}

func revocation(at time.Time, reason string) bson.M {
	return bson.M{"$set": bson.M{"revoked_at": at, "revoke_reason": reason}}
}
