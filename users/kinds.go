package users

import (
	"context"
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

// announced is when this process announced which kinds of hashes.
type announced struct {
	mu sync.Mutex
	at map[string]time.Time
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
	kind, now := hash.blank(), s.now()
	s.announced.mu.Lock()
	at, ok := s.announced.at[kind]
	s.announced.mu.Unlock()
	if ok && now.Sub(at).Abs() < announceEvery {
		return nil
	}
	if err := s.Store.AnnounceHashKind(ctx, kind, now); err != nil {
		return err
	}
	s.announced.mu.Lock()
	defer s.announced.mu.Unlock()
	s.announced.at[kind] = now
	return nil
}

// SurveyHashes reads all accounts and makes the store's list of the kinds of
// hashes what it should be: kinds of accounts that an earlier version made are
// added, and those go that no account has any more, so that refusals no longer
// cost what they did. It is made to run beside requests, after a start and every
// day. The error is the store's or ctx's, and nothing was forgotten then.
func (s *Service) SurveyHashes(ctx context.Context) error {
	began := s.now()
	known, err := s.Store.HashKinds(ctx)
	if err != nil {
		return err
	}
	gone := map[string]bool{}
	for _, kind := range known {
		gone[kind] = true
	}
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
			kind := hash.blank()
			if _, listed := gone[kind]; !listed {
				if err := s.Store.AnnounceHashKind(ctx, kind, began); err != nil {
					return err
				}
			}
			gone[kind] = false
		}
		if len(page) < exportPage {
			break
		}
	}
	for kind, none := range gone {
		if !none {
			continue
		}
		if err := s.Store.ForgetHashKind(ctx, kind, began.Add(-kindGrace)); err != nil {
			return err
		}
	}
	return ctx.Err()
}
