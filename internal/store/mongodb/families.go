package mongodb

import (
	"context"
	"time"

	"go.mongodb.org/mongo-driver/v2/bson"
	"go.mongodb.org/mongo-driver/v2/mongo"
	"go.mongodb.org/mongo-driver/v2/mongo/options"

	"github.com/keyturn/keyturn/internal/decision"
	"github.com/keyturn/keyturn/oauth"
)

type familyRecord struct {
	ID             string    `bson:"_id"`
	ClientID       string    `bson:"client_id"`
	UserID         string    `bson:"user_id"`
	Scope          []string  `bson:"scope"`
	Audience       []string  `bson:"audience"`
	Email          string    `bson:"email,omitempty"`
	Claims         string    `bson:"claims,omitempty"`
	JKT            string    `bson:"jkt,omitempty"`
	LoginID        string    `bson:"login_id,omitempty"`
	TellEnd        bool      `bson:"tell_end,omitempty"`
	Factor         string    `bson:"factor,omitempty"`
	Authenticated  bool      `bson:"authenticated,omitempty"`
	Salt           []byte    `bson:"salt"`
	MasterID       string    `bson:"master_id"`
	Generation     int64     `bson:"generation"`
	RotatedAt      time.Time `bson:"rotated_at"`
	AuthTime       time.Time `bson:"auth_time"`
	CreatedAt      time.Time `bson:"created_at"`
	IdleExpiresAt  time.Time `bson:"idle_expires_at"`
	ExpiresAt      time.Time `bson:"expires_at"`
	PurgeAt        time.Time `bson:"purge_at"`
	FirstIP        string    `bson:"first_ip"`
	FirstUserAgent string    `bson:"first_user_agent"`
	LastIP         string    `bson:"last_ip"`
	LastUserAgent  string    `bson:"last_user_agent"`
	RevokedAt      time.Time `bson:"revoked_at,omitempty"` // there once the family has ended
	RevokeReason   string    `bson:"revoke_reason,omitempty"`
	decision.Held  `bson:",inline"`
}

// domain leaves out what a family holds, which few ask for: see HeldFamily.
func (r familyRecord) domain() oauth.Family {
	r.Held = decision.Held{}
	return oauth.Family(r)
}

// notEnded matches revoked_at in the families that have not been revoked.
var notEnded = bson.M{"$exists": false}

// CreateFamily implements oauth.Store.
func (s *Store) CreateFamily(ctx context.Context, f oauth.Family) error {
	return create(ctx, s.families, familyRecord(f), oauth.ErrFamilyExists)
}

// FamilyByID implements oauth.Store.
func (s *Store) FamilyByID(ctx context.Context, id string) (oauth.Family, error) {
	return familyIn(ctx, s.latest.families, id)
}

func familyIn(ctx context.Context, families *mongo.Collection, id string) (oauth.Family, error) {
	return one[familyRecord](families.FindOne(ctx, bson.M{"_id": id, "unborn": absent}), "reading a session", oauth.ErrNoFamily)
}

// UntoldFamilies implements oauth.Store.
func (s *Store) UntoldFamilies(ctx context.Context, limit int) ([]oauth.Family, error) {
	if limit <= 0 {
		return nil, nil
	}
	ended := bson.M{"tell_end": true, "revoked_at": bson.M{"$gt": time.Time{}}, "unborn": absent}
	return list[familyRecord](ctx, s.families, ended, options.Find().SetLimit(int64(limit)))
}

// ToldFamily implements oauth.Store.
func (s *Store) ToldFamily(ctx context.Context, id string) (bool, error) {
	told, err := found(s.families.UpdateOne(ctx, bson.M{"_id": id, "tell_end": true}, bson.M{"$unset": bson.M{"tell_end": ""}}))
	return told, failed("changing a session", err)
}

// FamiliesOfUser implements oauth.Store.
func (s *Store) FamiliesOfUser(ctx context.Context, uid string, now time.Time, limit int) ([]oauth.Family, error) {
	if limit <= 0 {
		return nil, nil
	}
	return list[familyRecord](ctx, s.families,
		bson.M{
			"user_id":         uid,
			"unborn":          absent,
			"revoked_at":      notEnded,
			"idle_expires_at": bson.M{"$gt": now},
			"expires_at":      bson.M{"$gt": now},
		},
		options.Find().SetSort(bson.D{{Key: "created_at", Value: -1}, {Key: "_id", Value: -1}}).SetLimit(int64(limit)))
}

// AllFamilies implements store.Store.
func (s *Store) AllFamilies(ctx context.Context, after string, limit int) ([]oauth.Family, error) {
	return page[familyRecord](ctx, s.latest.families, after, limit)
}
