package mongodb

import (
	"context"
	"errors"
	"fmt"
	"sync"

	"go.mongodb.org/mongo-driver/v2/bson"

	"github.com/keyturn/keyturn/oauth"
)

// maxRaces bounds how often a refresh that lost a race looks again. Whoever
// loses finds what the winner made of the family at the next look.
const maxRaces = 8

// RotateFamily implements oauth.Store: one conditional write, which finds the
// family only as decide was shown it. Whatever changes a family moves its
// generation, puts it back at another time, or ends it, so those three are the
// condition.
//
// The first look is one that a primary which was deposed without noticing may
// answer with what has been: the write that follows would not find that. Only
// where none follows are the family and the client looked at again, linearizably.
// A client is ended in its families, so what the write proves of the family is
// enough: whoever was disabled has none to refresh.
func (s *Store) RotateFamily(ctx context.Context, familyID, clientID string, decide oauth.Decide) (oauth.Family, error) {
	latest := false
	for range maxRaces {
		f, by, err := s.familyAndClient(ctx, latest, familyID, clientID)
		if err != nil {
			return oauth.Family{}, err
		}
		r, err := decide(f, by)
		idle := err != nil || r == nil || f.ID == ""
		switch {
		case idle && !latest:
			latest = true
			continue
		case err != nil || r == nil:
			return f, err
		case idle:
			return f, oauth.ErrNoFamily
		}
		rotated, err := s.rotate(ctx, f, *r)
		if err != nil {
			return oauth.Family{}, err
		}
		if rotated {
			return r.Apply(f), nil
		}
	}
	return oauth.Family{}, fmt.Errorf("mongodb: session %s changed under every one of %d attempts to rotate it", familyID, maxRaces)
}

// familyAndClient reads both at once, each as its zero value where there is
// none.
func (s *Store) familyAndClient(
	ctx context.Context, latest bool, familyID, clientID string,
) (f oauth.Family, by oauth.Client, err error) {
	families, client := s.families, s.clientLooks.get
	if latest {
		families, client = s.latest.families, s.ClientByID
	}
	var clientErr error
	var both sync.WaitGroup
	both.Go(func() { by, clientErr = client(ctx, clientID) })
	f, err = familyIn(ctx, families, familyID)
	both.Wait()
	if errors.Is(err, oauth.ErrNoFamily) {
		err = nil
	}
	if errors.Is(clientErr, oauth.ErrNoClient) {
		clientErr = nil
	}
	return f, by, errors.Join(err, clientErr)
}

// rotate makes r of f and reports whether it still found f as it is given.
func (s *Store) rotate(ctx context.Context, f oauth.Family, r oauth.Rotation) (bool, error) {
	result, err := s.families.UpdateOne(ctx,
		bson.M{"_id": f.ID, "generation": f.Generation, "rotated_at": f.RotatedAt, "revoked_at": notEnded},
		bson.M{"$set": bson.M{
			"generation":      r.Presented + 1,
			"rotated_at":      r.At,
			"master_id":       r.MasterID,
			"idle_expires_at": r.IdleExpiresAt,
			"purge_at":        r.PurgeAt,
			"last_ip":         r.IP,
			"last_user_agent": r.UserAgent,
		}})
	if err != nil {
		return false, failed("rotating a session", err)
	}
	return result.MatchedCount > 0, nil
}
