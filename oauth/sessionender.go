package oauth

import (
	"context"
	"encoding/json"
	"errors"
	"slices"
	"time"

	"github.com/keyturn/keyturn/internal/audit"
	"github.com/keyturn/keyturn/users"
)

// SessionEnder implements users.Sessions over the families of an account.
type SessionEnder struct {
	Store Store
	Audit audit.Recorder
	Now   func() time.Time
	// Notify writes the letters that decisions owe (see users.Service); if nil, another
	// process does.
	Notify func(ctx context.Context, id string, notice json.RawMessage) error
}

func (e SessionEnder) sessions() sessions { return sessions{e.Store, e.Now, e.Notify} }

// SettleDecisions completes logins, ends of sessions and revocations of access
// tokens that a process left unfinished because it died, or could not reach the
// store or the audit log. Call it about every second on every replica.
func (e SessionEnder) SettleDecisions(ctx context.Context) (int, error) {
	n, err := e.sessions().maker(e.Audit).Settle(ctx)
	more, errDenied := denials(e.Store, e.Audit, e.Now).Settle(ctx)
	return n + more, errors.Join(err, errDenied)
}

// SetClaimsOf sets the claims of every live session of the user from its next
// refresh on, and returns how many it changed.
func (e SessionEnder) SetClaimsOf(ctx context.Context, uid, claims string) (int, error) {
	return e.Store.SetFamilyClaims(ctx, uid, claims)
}

// SetEmailOf sets the address of every live session of the user with the scope
// email from its next refresh on, and returns how many it changed.
func (e SessionEnder) SetEmailOf(ctx context.Context, uid, email string) (int, error) {
	return e.Store.SetFamilyEmail(ctx, uid, email)
}

// EndSessionsOf ends every live session of the user but except and returns how
// many it ended.
func (e SessionEnder) EndSessionsOf(ctx context.Context, uid, except, reason string) (int, error) {
	return e.Store.RevokeFamiliesOfUser(ctx, uid, except, e.Now(), reason)
}

// EndSessionsWith ends every live session that the user has with the client and returns
// how many it ended.
func (e SessionEnder) EndSessionsWith(ctx context.Context, uid, clientID, reason string) (int, error) {
	return e.Store.RevokeFamiliesAmong(ctx, Among{UserID: uid, ClientID: clientID}, e.Now(), reason)
}

// SessionOf reports whether the session id is live. It returns users.ErrNoSession
// if the session is not one of the user's.
func (e SessionEnder) SessionOf(ctx context.Context, uid, id string) (bool, error) {
	f, err := e.Store.FamilyByID(ctx, id)
	if errors.Is(err, ErrNoFamily) || err == nil && f.UserID != uid {
		return false, users.ErrNoSession
	}
	now := e.Now()
	return err == nil && f.RevokedAt.IsZero() && now.Before(f.ExpiresAt) && now.Before(f.IdleExpiresAt), err
}

// EndSession ends the session that the event names with that event, and reports
// whether it was live. The session must be one of the event's user, or the error
// is users.ErrNoSession.
func (e SessionEnder) EndSession(ctx context.Context, event audit.Event) (bool, error) {
	f, err := e.Store.HeldFamily(ctx, event.SessionID)
	if errors.Is(err, ErrNoFamily) || err == nil && (f.UserID != event.UserID || f.Unborn) {
		return false, users.ErrNoSession
	}
	if err != nil {
		return false, err
	}
	live := event
	live.Count = 1
	_, ended, err := e.sessions().end(ctx, e.Audit, f, event.Reason.String(), live, nil)
	if err != nil || ended {
		return ended, err
	}
	ctx, cancel := audit.Outlast(ctx)
	defer cancel()
	return false, e.Audit.Record(ctx, event)
}

// OwesNotice reports whether the notice of a decision on the session id may still be
// written by who carries that out.
func (e SessionEnder) OwesNotice(ctx context.Context, id, decision string) (bool, error) {
	f, err := e.Store.HeldFamily(ctx, id)
	if errors.Is(err, ErrNoFamily) {
		return false, nil
	}
	return f.OwesNotice(decision), err
}

// countLimit bounds how many sessions are counted.
const countLimit = 1000

// CountSessionsOf returns the number of the user's live sessions but except, up to
// a thousand.
func (e SessionEnder) CountSessionsOf(ctx context.Context, uid, except string) (int, error) {
	live, err := e.Store.FamiliesOfUser(ctx, uid, e.Now(), countLimit)
	n := len(live)
	if slices.ContainsFunc(live, func(f Family) bool { return f.ID == except }) {
		n--
	}
	return n, err
}
