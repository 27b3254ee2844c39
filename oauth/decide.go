package oauth

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"time"

	"github.com/keyturn/keyturn/internal/audit"
	"github.com/keyturn/keyturn/internal/decision"
)

// sessions adapts the families to package decision. A decision changes only whether a
// family is unborn and whether it has ended; refreshes advance the family meanwhile.
type sessions struct {
	store Store
	now   func() time.Time
	// notify writes the letters that decisions owe. It may be nil, as in
	// decision.Records.
	notify func(ctx context.Context, id string, notice json.RawMessage) error
}

// maker returns the Maker for decisions on families. Nobody has a token of an unborn
// family.
func (s sessions) maker(rec audit.Recorder) *decision.Maker[Family] {
	return &decision.Maker[Family]{Audit: rec, Now: s.now, Records: decision.Records[Family]{
		Held:     func(f *Family) *decision.Held { return &f.Held },
		Create:   s.store.CreateFamily,
		Read:     func(ctx context.Context, f Family) (Family, error) { return s.store.HeldFamily(ctx, f.ID) },
		Replace:  s.store.HoldFamily,
		Remove:   s.store.RemoveFamily,
		Pending:  s.store.PendingFamilies,
		Refused:  refusedOfFamily,
		Conflict: ErrFamilyChanged,
		// A code that was not spent may begin its session anew, with another salt.
		Same: func(now, after Family) bool {
			return now.Unborn == after.Unborn && bytes.Equal(now.Salt, after.Salt)
		},
		Retreats: true,
		Follow:   s.follow,
		Follows:  func(a audit.Action) bool { return a == audit.UserLoggedOut },
		Notify:   s.notify,
	}}
}

// follow ends what was begun through a browser's log-in once its user has logged out.
func (s sessions) follow(ctx context.Context, f Family, e *audit.Event) error {
	if e.Action != audit.UserLoggedOut {
		return nil
	}
	n, err := s.store.RevokeFamiliesAmong(ctx, Among{UserID: f.UserID, LoginID: f.root(), Sparing: ScopeOffline}, s.now(), audit.ReasonLogout.String())
	e.Count += n
	return err
}

func refusedOfFamily(err error) (audit.Reason, bool) {
	switch {
	case errors.Is(err, ErrNoFamily):
		return audit.ReasonUnknownSession, true
	case errors.Is(err, ErrFamilyChanged):
		return audit.ReasonConflict, true
	}
	return audit.Reason{}, false
}

// maxTries bounds how often the end of a family is tried that others keep changing.
const maxTries = 5

// end ends a family with its event, and reports whether the family was live. If it
// was not, end writes nothing to the store or the log. The returned event has an ID
// if it was written. The end owes the notice, if there is one. The error is ErrNoFamily,
// from the store, or decision.Concluded.
func (s sessions) end(ctx context.Context, rec audit.Recorder, f Family, reason string, e audit.Event, notice json.RawMessage) (audit.Event, bool, error) {
	for range maxTries {
		if f.Unborn {
			return e, false, ErrNoFamily
		}
		if !f.RevokedAt.IsZero() {
			return e, false, nil
		}
		after := f
		after.RevokedAt, after.RevokeReason = s.now(), reason
		told, err := s.maker(rec).Decide(ctx, decision.Change[Family]{Event: e, Before: &f, After: after, Notice: notice})
		if err == nil || decision.Concluded(err) {
			return told, true, err
		}
		if !errors.Is(err, ErrFamilyChanged) && !errors.Is(err, decision.ErrUnderWay) {
			return e, false, err
		}
		if f, err = s.store.HeldFamily(ctx, f.ID); err != nil {
			return e, false, err
		}
	}
	return e, false, fmt.Errorf("%w: session %s", ErrFamilyChanged, f.ID)
}

func (s *Service) sessions() sessions { return sessions{s.store, s.now, s.users.Notify} }
