package oauth

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/keyturn/keyturn/internal/audit"
	"github.com/keyturn/keyturn/internal/decision"
)

// registrations are the records of clients, to package decision.
type registrations struct{ *Clients }

// Held implements decision.Records.
func (registrations) Held(c *Client) *decision.Held { return &c.Held }

// Create implements decision.Records.
func (r registrations) Create(ctx context.Context, c Client) error {
	return r.Store.CreateClient(ctx, c)
}

// Read implements decision.Records.
func (r registrations) Read(ctx context.Context, c Client) (Client, error) {
	return r.Store.HeldClient(ctx, c.ID)
}

// Replace implements decision.Records.
func (r registrations) Replace(ctx context.Context, seen, next Client) error {
	return r.Store.ReplaceClient(ctx, seen, next)
}

// Remove implements decision.Records.
func (r registrations) Remove(ctx context.Context, seen Client) error {
	return r.Store.RemoveClient(ctx, seen)
}

// Pending implements decision.Records.
func (r registrations) Pending(ctx context.Context, limit int) ([]Client, error) {
	return r.Store.PendingClients(ctx, limit)
}

// Refused implements decision.Records.
func (registrations) Refused(err error) (audit.Reason, bool) {
	for _, e := range []error{ErrNoClient, ErrClientExists, ErrClientChanged} {
		if errors.Is(err, e) {
			return changeReason(e), true
		}
	}
	return audit.Reason{}, false
}

// Same implements decision.Records.
func (registrations) Same(now, after Client) bool { return now.UpdatedAt.Equal(after.UpdatedAt) }

// Shell implements decision.Records: nobody can use a disabled client.
func (registrations) Shell(c Client) Client {
	c.Disabled = true
	return c
}

// endings say why the sessions of a client end that a decision is about.
var endings = map[audit.Action]audit.Reason{
	audit.ClientDisabled: audit.ReasonClientDisabled,
	audit.SessionsEnded:  audit.ReasonLoggedOutByOperator,
}

// Follows implements decision.Records.
func (registrations) Follows(a audit.Action) bool { return endings[a] != audit.Reason{} }

// Follow implements decision.Records: sessions end.
func (r registrations) Follow(ctx context.Context, c Client, e *audit.Event) (err error) {
	e.Count, err = r.Store.RevokeFamiliesOfClient(ctx, c.ID, r.Now(), endings[e.Action].String())
	return err
}

// sessions are the records of families, to package decision. A decision changes
// nothing of a family but whether it is born and whether it has ended: refreshes
// move it on meanwhile.
type sessions struct {
	store Store
	now   func() time.Time
}

// Held implements decision.Records.
func (sessions) Held(f *Family) *decision.Held { return &f.Held }

// Create implements decision.Records.
func (s sessions) Create(ctx context.Context, f Family) error { return s.store.CreateFamily(ctx, f) }

// Read implements decision.Records.
func (s sessions) Read(ctx context.Context, f Family) (Family, error) {
	return s.store.HeldFamily(ctx, f.ID)
}

// Replace implements decision.Records.
func (s sessions) Replace(ctx context.Context, seen, next Family) error {
	return s.store.HoldFamily(ctx, seen, next)
}

// Remove implements decision.Records.
func (s sessions) Remove(ctx context.Context, seen Family) error {
	return s.store.RemoveFamily(ctx, seen)
}

// Pending implements decision.Records.
func (s sessions) Pending(ctx context.Context, limit int) ([]Family, error) {
	return s.store.PendingFamilies(ctx, limit)
}

// Refused implements decision.Records.
func (sessions) Refused(err error) (audit.Reason, bool) {
	switch {
	case errors.Is(err, ErrNoFamily):
		return audit.ReasonUnknownSession, true
	case errors.Is(err, ErrFamilyChanged):
		return audit.ReasonConflict, true
	}
	return audit.Reason{}, false
}

// Same implements decision.Records.
func (sessions) Same(now, after Family) bool { return now.Unborn == after.Unborn }

// Shell implements decision.Records: nobody has a token of the family yet.
func (sessions) Shell(f Family) Family { return f }

// Follows implements decision.Records.
func (sessions) Follows(audit.Action) bool { return false }

// Follow implements decision.Records.
func (sessions) Follow(context.Context, Family, *audit.Event) error { return nil }

// maker carries out decisions on families.
func (s sessions) maker(rec audit.Recorder) *decision.Maker[Family] {
	return &decision.Maker[Family]{Records: s, Audit: rec, Now: s.now}
}

// maxTries bounds how often a change is tried on a record that others keep
// changing.
const maxTries = 5

// end ends a family with its event, and reports whether it lived: if not, nothing
// is written, neither to the store nor to the log. The event returned has an ID
// if it is written. The error is ErrNoFamily, the store's, or decision.Concluded.
func (s sessions) end(ctx context.Context, rec audit.Recorder, f Family, reason string, e audit.Event) (audit.Event, bool, error) {
	for range maxTries {
		if f.Unborn {
			return e, false, ErrNoFamily
		}
		if !f.RevokedAt.IsZero() {
			return e, false, nil
		}
		after := f
		after.RevokedAt, after.RevokeReason = s.now(), reason
		told, err := s.maker(rec).Decide(ctx, decision.Change[Family]{Event: e, Before: &f, After: after})
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

func (s *Service) sessions() sessions { return sessions{s.store, s.now} }
