package mongodb

import (
	"context"
	"errors"
	"fmt"
	"sync"

	"go.mongodb.org/mongo-driver/v2/bson"

	"github.com/keyturn/keyturn/internal/clients"
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
// A primary that was deposed without noticing may answer the first look at the
// family with what has been: the write that follows would not find that. Only
// where none follows is the family looked at again, linearizably. No write proves
// anything of the client, so it is read linearizably, at the same time.
func (s *Store) RotateFamily(ctx context.Context, familyID, clientID string, decide oauth.Decide) (oauth.Family, error) {
	var by clients.Client
	var clientErr error
	var client sync.WaitGroup
	client.Go(func() { by, clientErr = s.ClientByID(ctx, clientID) })
	families, latest, spent := s.families, false, false
	for range maxRaces {
		f, err := familyIn(ctx, families, familyID)
		client.Wait()
		switch {
		case clientErr != nil && !errors.Is(clientErr, clients.ErrNotFound):
			return oauth.Family{}, clientErr
		case err != nil && !errors.Is(err, oauth.ErrNoFamily):
			return oauth.Family{}, err
		}
		r, refused := decide(f, by)
		stays := r == nil || r.Stays
		switch idle := refused != nil || stays || f.ID == ""; {
		case idle && !latest:
			families, latest = s.latest.families, true
			continue
		case !stays && refused != nil:
			return f, refused
		case f.ID == "" && r != nil:
			return f, oauth.ErrNoFamily
		}
		// Once is enough: whoever decides again decides on the same request.
		if r != nil && r.Spends.JTI != "" && !spent {
			if err := s.DenyToken(ctx, r.Spends); err != nil {
				return oauth.Family{}, err
			}
			spent = true
		}
		if stays {
			return f, refused
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

// rotate makes r of f and reports whether it still found f as it is given.
func (s *Store) rotate(ctx context.Context, f oauth.Family, r oauth.Rotation) (bool, error) {
	changes := bson.M{
		"generation":      r.Presented + 1,
		"rotated_at":      r.At,
		"master_id":       r.MasterID,
		"idle_expires_at": r.IdleExpiresAt,
		"purge_at":        r.PurgeAt,
		"last_ip":         r.IP,
		"last_user_agent": r.UserAgent,
	}
	if !r.ExpiresAt.IsZero() {
		changes["expires_at"] = r.ExpiresAt
	}
	result, err := s.families.UpdateOne(ctx,
		bson.M{"_id": f.ID, "generation": f.Generation, "rotated_at": f.RotatedAt, "revoked_at": notEnded},
		bson.M{"$set": changes})
	if err != nil {
		return false, failed("rotating a session", err)
	}
	return result.MatchedCount > 0, nil
}
