package mongodb

import (
	"context"
	"errors"
	"time"

	"go.mongodb.org/mongo-driver/v2/bson"
	"go.mongodb.org/mongo-driver/v2/mongo"
	"go.mongodb.org/mongo-driver/v2/mongo/options"

	"github.com/keyturn/keyturn/internal/decision"
	"github.com/keyturn/keyturn/oauth"
)

// absent matches a missing field. Most documents have no unborn and slot_id.
var absent = bson.M{"$exists": false}

// as matches a record that is unchanged since it was seen. Documents that only older
// versions have written have no version.
func as(id string, version int64, updated time.Time) bson.M {
	filter := bson.M{"_id": id, "version": version, "updated_at": updated}
	if version == 0 {
		filter["version"] = absent
	}
	return filter
}

// replaced changes the document of the record seen, which as matches, to that of
// next, and reports whether it matched. It does not touch fields that no record of
// this version has, because a newer version, whose replicas run beside this one
// during an upgrade, may have written them.
func replaced(ctx context.Context, c *mongo.Collection, as bson.M, seen, next any) (bool, error) {
	was, errSeen := fieldsOf(seen)
	set, errNext := fieldsOf(next)
	if err := errors.Join(errSeen, errNext); err != nil {
		return false, err
	}
	update, gone := bson.M{"$set": set}, bson.M{}
	for field := range was {
		if _, stays := set[field]; !stays {
			gone[field] = ""
		}
	}
	if len(gone) > 0 {
		update["$unset"] = gone
	}
	return found(c.UpdateOne(ctx, as, update))
}

// fieldsOf returns the fields of a record's document except _id.
func fieldsOf(record any) (fields bson.M, err error) {
	document, err := bson.Marshal(record)
	if err == nil {
		err = bson.Unmarshal(document, &fields)
	}
	delete(fields, "_id")
	return fields, err
}

func removed(result *mongo.DeleteResult, err error) (bool, error) {
	return err == nil && result.DeletedCount > 0, err
}

// pending returns at most limit records whose slot is not empty.
func pending[R record[D], D any](ctx context.Context, c *mongo.Collection, limit int) ([]D, error) {
	if limit <= 0 {
		return nil, nil
	}
	return list[R](ctx, c, bson.M{"slot_id": bson.M{"$gt": ""}}, options.Find().SetLimit(int64(limit)))
}

// HeldFamily implements oauth.Store.
func (s *Store) HeldFamily(ctx context.Context, id string) (oauth.Family, error) {
	return one[heldFamilyRecord](s.latest.families.FindOne(ctx, bson.M{"_id": id}), "reading a session", oauth.ErrNoFamily)
}

// heldFamilyRecord is a family record with its state of decisions.
type heldFamilyRecord familyRecord

func (r heldFamilyRecord) domain() oauth.Family { return oauth.Family(r) }

// HoldFamily implements oauth.Store.
func (s *Store) HoldFamily(ctx context.Context, seen, next oauth.Family) error {
	filter, set, unset := held(seen.ID, seen.Held), bson.M{}, bson.M{}
	if next.SlotID == "" {
		unset["slot_id"] = ""
	} else {
		set["slot_id"] = next.SlotID
	}
	if len(next.Slot) == 0 {
		unset["slot"] = ""
	} else {
		set["slot"] = next.Slot
	}
	if next.Unborn {
		set["unborn"] = true
	} else {
		unset["unborn"] = ""
	}
	if seen.RevokedAt.IsZero() && !next.RevokedAt.IsZero() {
		filter["revoked_at"] = notEnded
		set["revoked_at"], set["revoke_reason"] = next.RevokedAt, next.RevokeReason
	}
	update := bson.M{}
	if len(set) > 0 {
		update["$set"] = set
	}
	if len(unset) > 0 {
		update["$unset"] = unset
	}
	changed, err := found(s.families.UpdateOne(ctx, filter, update))
	return s.familyHeld(ctx, seen.ID, changed, err)
}

// RemoveFamily implements oauth.Store.
func (s *Store) RemoveFamily(ctx context.Context, seen oauth.Family) error {
	filter := held(seen.ID, seen.Held)
	filter["unborn"] = true
	found, err := removed(s.families.DeleteOne(ctx, filter))
	return s.familyHeld(ctx, seen.ID, found, err)
}

// held matches a family, or a denied token, whose slot is unchanged since it was
// seen.
func held(id string, seen decision.Held) bson.M {
	filter := bson.M{"_id": id, "slot_id": seen.SlotID}
	if seen.SlotID == "" {
		filter["slot_id"] = absent
	}
	return filter
}

// familyHeld returns the result of changing a family.
func (s *Store) familyHeld(ctx context.Context, id string, found bool, err error) error {
	if err != nil || found {
		return failed("changing a session", err)
	}
	if _, err := s.HeldFamily(ctx, id); err != nil {
		return err
	}
	return oauth.ErrFamilyChanged
}

// PendingFamilies implements oauth.Store.
func (s *Store) PendingFamilies(ctx context.Context, limit int) ([]oauth.Family, error) {
	return pending[heldFamilyRecord](ctx, s.families, limit)
}
