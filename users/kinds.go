package users

import (
	"context"
	"slices"
	"sync"
	"time"
)

const (
	// announceEvery is how long a process counts on having announced a kind.
	announceEvery = 10 * time.Minute
	// kindGrace is how long after its last announcement a kind may be without
	// an account before it is forgotten. Between an announcement and the
	// account that it was made for lie announceEvery, one write, and what the
	// clocks of two machines differ by.
	kindGrace = time.Hour
)

// announced is what this process has announced, by the family of hashes.
type announced struct {
	mu sync.Mutex
	by map[string]announcement
}

type announcement struct {
	cost uint64
	at   time.Time
}

// covers reports whether nothing has to be announced for a hash of a cost at now:
// refusals are levelled to the costliest of its family. Some programs choose
// each hash's number of rounds at random (passlib's vary_rounds), and every
// login reads all kinds that were announced.
func (a announcement) covers(cost uint64, now time.Time) bool {
	return a.cost >= cost && now.Sub(a.at).Abs() < announceEvery
}

// announce has the store know the kind of a hash before an account has it. A
// server that reads the account reads the kinds after it, so that it knows what
// to level its refusals to (U1), whoever brought the kind, and when. It is
// called for every hash that is about to be stored; the error is the store's.
func (s *Service) announce(ctx context.Context, encoded string) error {
	hash, err := ParseHash(encoded)
	if err != nil {
		return err
	}
	kind, now := hash.kind(), s.now()
	if s.lastAnnounced(kind.family).covers(kind.cost, now) {
		return nil
	}
	if err := s.Store.AnnounceHashKind(ctx, hash.blank(), now); err != nil {
		return err
	}
	s.announced.mu.Lock()
	defer s.announced.mu.Unlock()
	if !s.announced.by[kind.family].covers(kind.cost, now) {
		s.announced.by[kind.family] = announcement{kind.cost, now}
	}
	return nil
}

func (s *Service) lastAnnounced(family string) announcement {
	s.announced.mu.Lock()
	defer s.announced.mu.Unlock()
	return s.announced.by[family]
}

// SurveyHashes reads all accounts and makes the store's list of the kinds of
// hashes what it should be: of each family the costliest that an account has is
// added, if an earlier version made it, and all others go, so that refusals no
// longer cost what they did. It is made to run beside requests, after a start and
// every day. The error is the store's or ctx's, and nothing was forgotten then.
func (s *Service) SurveyHashes(ctx context.Context) error {
	began := s.now()
	known, err := s.Store.HashKinds(ctx)
	if err != nil {
		return err
	}
	costliest := map[string]Hash{}
	for after := ""; ; {
		page, err := s.Store.ListUsers(ctx, after, exportPage)
		if err != nil {
			return err
		}
		for _, u := range page {
			after = u.UID
			hash, err := ParseHash(u.PasswordHash)
			if err != nil {
				continue
			}
			kind := hash.kind()
			if found, ok := costliest[kind.family]; !ok || found.kind().cost < kind.cost {
				costliest[kind.family] = hash
			}
		}
		if len(page) < exportPage {
			break
		}
	}
	needed := map[string]bool{}
	for _, hash := range costliest {
		needed[hash.blank()] = true
		if slices.Contains(known, hash.blank()) {
			continue
		}
		if err := s.Store.AnnounceHashKind(ctx, hash.blank(), began); err != nil {
			return err
		}
	}
	for _, kind := range known {
		if needed[kind] {
			continue
		}
		if err := s.Store.ForgetHashKind(ctx, kind, began.Add(-kindGrace)); err != nil {
			return err
		}
	}
	return ctx.Err()
}
