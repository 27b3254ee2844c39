package oauth

import (
	"context"
	"errors"
	"sync"
	"time"
)

const (
	// maxUnanswered bounds how many unanswered rotations are remembered; for those
	// beyond it there is the retry window.
	maxUnanswered = 10_000
	// settleFor is how long the store may take over one of them.
	settleFor = 2 * time.Second
)

// attempt is one refresh on its way through the store, which may go on with it
// when its caller has given up.
type attempt struct {
	mu sync.Mutex
	// What was decided last: on which family, and what it was to become; the
	// zero Family if nothing was to be written.
	before, after Family
	abandoned     bool
}

// unanswered are the rotations of which nobody knows whether they were done: the
// store was asked and did not answer, so their callers were told to try again.
// A client that does so when the outage is over, long after the retry window,
// must not be taken for a thief: the token that it holds is the last that it was
// given. Safe for concurrent use.
type unanswered struct {
	mu   sync.Mutex
	open map[familyState]Family // as it stood before
}

// familyState is a family as a rotation left it, or would have left it.
type familyState struct {
	familyID   string
	generation int64
	rotatedAt  int64
}

func stateOf(f Family) familyState { return familyState{f.ID, f.Generation, f.RotatedAt.UnixMilli()} }

// decided takes note of what is about to be written, or nothing if after is the
// zero Family.
func (u *unanswered) decided(a *attempt, before, after Family) {
	a.mu.Lock()
	defer a.mu.Unlock()
	if a.before, a.after = before, after; a.abandoned {
		u.add(before, after)
	}
}

// abandon is called when the store failed.
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

// before returns how the family stood before the rotation that brought it here,
// if nobody was answered to that; else f.
func (u *unanswered) before(f Family) (Family, bool) {
	u.mu.Lock()
	defer u.mu.Unlock()
	before, ok := u.open[stateOf(f)]
	if !ok {
		return f, false
	}
	return before, true
}

// any returns one of them, and drops what has expired.
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

// Settle takes back the refreshes that the store did not answer to, so that
// every replica takes the tokens that their clients still hold, and returns how
// many it looked at. Such a write may even come after this, as one does that a
// network has held up: it will not find the family as it expects it. It ends
// with the store's first error; run it every second or so.
func (f *Families) Settle(ctx context.Context) (int, error) {
	for n := 0; ; n++ {
		after, before, ok := f.unanswered.any(f.now())
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

// restore puts a family back to what it was before, as if it had been rotated at
// the time given, if it lives and stands says that it may be. Its live generation is
// that of the token presented: one newer than the family was has its owner, and older
// ones must not come to life again.
func (f *Families) restore(ctx context.Context, before Family, presented int64, at time.Time, stands func(now Family) bool) error {
	_, err := f.store.RotateFamily(ctx, before.ID, before.ClientID, func(now Family, _ Client) (*Rotation, error) {
		if !now.RevokedAt.IsZero() || !stands(now) {
			return nil, nil
		}
		return &Rotation{
			Presented: presented - 1, MasterID: before.MasterID, At: at,
			IdleExpiresAt: before.IdleExpiresAt, PurgeAt: before.PurgeAt, IP: before.LastIP, UserAgent: before.LastUserAgent,
		}, nil
	})
	if errors.Is(err, ErrNoFamily) {
		return nil
	}
	return err
}
