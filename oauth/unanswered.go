package oauth

import (
	"context"
	"errors"
	"sync"
	"time"

	"github.com/keyturn/keyturn/internal/clients"
)

const (
	// maxUnanswered bounds how many unanswered rotations are remembered; beyond it
	// the retry window has to do.
	maxUnanswered = 10_000
	// settleFor bounds the time of the store for one of them.
	settleFor = 2 * time.Second
)

// attempt is one refresh in the store, which may go on with it after its caller has
// given up.
type attempt struct {
	mu sync.Mutex
	// before and after are the last decision: the family and what it was to become.
	// after is the zero Family if nothing was to be written.
	before, after Family
	abandoned     bool
}

// unanswered are the rotations whose result is unknown: the store did not answer, so
// their callers were told to try again. A client that does so after the outage, long
// after the retry window, must not be taken for a thief, because its token is the
// last that it was given. It is safe for concurrent use.
type unanswered struct {
	mu   sync.Mutex
	open map[familyState]Family // the family before the rotation
}

// familyState identifies the state of a family after a rotation.
type familyState struct {
	familyID   string
	generation int64
	rotatedAt  int64
}

func stateOf(f Family) familyState { return familyState{f.ID, f.Generation, f.RotatedAt.UnixMilli()} }

// decided records what is about to be written, or nothing if after is the zero
// Family.
func (u *unanswered) decided(a *attempt, before, after Family) {
	a.mu.Lock()
	defer a.mu.Unlock()
	if a.before, a.after = before, after; a.abandoned {
		u.add(before, after)
	}
}

// abandon records the attempt as unanswered, after the store failed.
func (u *unanswered) abandon(a *attempt) {
	a.mu.Lock()
	defer a.mu.Unlock()
	a.abandoned = true
	u.add(a.before, a.after)
}

func (u *unanswered) add(before, after Family) {
	if after.ID == "" {
		return
	}
	u.mu.Lock()
	defer u.mu.Unlock()
	if u.open == nil {
		u.open = map[familyState]Family{}
	}
	if len(u.open) < maxUnanswered {
		u.open[stateOf(after)] = before
	}
}

// before returns the family before the rotation that led to f, if that rotation is
// unanswered; otherwise it returns f.
func (u *unanswered) before(f Family) (Family, bool) {
	u.mu.Lock()
	defer u.mu.Unlock()
	before, ok := u.open[stateOf(f)]
	if !ok {
		return f, false
	}
	return before, true
}

// any returns one unanswered rotation, and drops expired ones.
func (u *unanswered) any(now time.Time) (after familyState, before Family, ok bool) {
	u.mu.Lock()
	defer u.mu.Unlock()
	for after, before := range u.open {
		if now.Before(before.ExpiresAt) {
			return after, before, true
		}
		delete(u.open, after)
	}
	return familyState{}, Family{}, false
}

func (u *unanswered) settled(after familyState) {
	u.mu.Lock()
	defer u.mu.Unlock()
	delete(u.open, after)
}

// Settle takes back the refreshes that the store did not answer, so that every
// replica accepts the tokens that their clients still have. It returns how many it
// processed. A write that arrives later, because the network delayed it, does not
// find the family in the state that it expects. Settle stops at the store's first
// error. Call it about every second.
func (f *Families) Settle(ctx context.Context) (int, error) {
	for n := 0; ; n++ {
		after, before, ok := f.unanswered.any(f.confirmed())
		if !ok {
			return n, nil
		}
		step, cancel := context.WithTimeout(ctx, settleFor)
		err := f.restore(step, before, after.generation-1, before.RotatedAt.Add(time.Millisecond), func(now Family) bool {
			return stateOf(now) == after || stateOf(now) == stateOf(before)
		})
		cancel()
		if err != nil {
			return n, err
		}
		f.unanswered.settled(after)
	}
}

// restore sets a family back to before, as if it had been rotated at the given time,
// if it is live and stands agrees. The new live generation is that of the presented
// token: a client may have a token one generation newer than the family was, and
// older ones must not become valid again.
func (f *Families) restore(ctx context.Context, before Family, presented int64, at time.Time, stands func(now Family) bool) error {
	_, err := f.store.RotateFamily(ctx, before.ID, before.ClientID, func(now Family, _ clients.Client) (*Rotation, error) {
		if !now.RevokedAt.IsZero() || !stands(now) {
			return nil, nil
		}
		return &Rotation{
			Presented: presented - 1, MasterID: before.MasterID, At: at,
			IdleExpiresAt: before.IdleExpiresAt, PurgeAt: before.PurgeAt, ExpiresAt: before.ExpiresAt, IP: before.LastIP, UserAgent: before.LastUserAgent,
		}, nil
	})
	if errors.Is(err, ErrNoFamily) {
		return nil
	}
	return err
}
