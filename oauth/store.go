package oauth

import (
	"context"
	"errors"
	"time"

	"github.com/keyturn/keyturn/internal/audit"
	"github.com/keyturn/keyturn/internal/clients"
	"github.com/keyturn/keyturn/internal/refusal"
)

// What a Store answers. Test with errors.Is.
var (
	// ErrTokenDenied means that the token is on the denylist already.
	ErrTokenDenied error = refusal.New(refusal.Taken, audit.ReasonRevokedToken, "token denied before")
	// ErrDeniedChanged means that the denylist does not have the token, or no
	// longer as it was seen.
	ErrDeniedChanged error = refusal.New(refusal.Conflict, audit.ReasonConflict, "denylist changed meanwhile")
	// ErrFamilyChanged means that the family is no longer as it was seen.
	ErrFamilyChanged error = refusal.New(refusal.Conflict, audit.ReasonConflict, "The session was changed meanwhile; try again.")
	// ErrFamilyExists means that a family has the id.
	ErrFamilyExists = errors.New("session exists")
	// ErrNoFamily means that no such family exists.
	ErrNoFamily = errors.New("no such session")
)

// Among selects families of one user: those begun through the browser's log-in
// LoginID and those of the client ClientID, of both where both are set, without those
// that have Sparing in their scope.
type Among struct{ UserID, LoginID, ClientID, Sparing string }

// Store keeps clients, refresh-token families and the denylist of tokens that
// no longer count: access tokens that were revoked, client assertions that were
// used. Every method is one atomic operation, durable when it returns nil
// (F5), safe for concurrent use by many processes. Times are kept to the
// millisecond. To every method that does not say so an unborn record (see
// decision.Held) is none, though it holds its id.
type Store interface {
	clients.Store

	// CreateFamily adds f, an unborn one too, or returns ErrFamilyExists: of many
	// calls with one ID, on whatever replicas, one succeeds.
	CreateFamily(ctx context.Context, f Family) error
	// HeldFamily returns one family with its Held, an unborn one too, or
	// ErrNoFamily. It sees every write acknowledged before it began.
	HeldFamily(ctx context.Context, id string) (Family, error)
	// HoldFamily gives the family the Held of next, if its SlotID is still
	// seen's; where next has a RevokedAt and seen has none it ends the family
	// as well, and asks that it has not ended. ErrFamilyChanged if it is not so,
	// ErrNoFamily if there is no such family. All else is left as it is.
	HoldFamily(ctx context.Context, seen, next Family) error
	// RemoveFamily removes the unborn family seen if its SlotID is still
	// seen's; its errors are the same.
	RemoveFamily(ctx context.Context, seen Family) error
	// PendingFamilies returns at most limit families, unborn ones too, whose
	// slot is not empty.
	PendingFamilies(ctx context.Context, limit int) ([]Family, error)
	// FamilyByID returns one family, ended or expired ones included, or
	// ErrNoFamily. It sees every write acknowledged before it began.
	FamilyByID(ctx context.Context, id string) (Family, error)
	// RotateFamily is the one write of a refresh (F1). It shows decide the
	// family and the client and makes the rotation that decide returns, as one
	// atomic step: nothing happens to the family between what decide was shown
	// and what is written, be it another refresh or a revocation (F6). Without
	// a rotation it writes nothing. It returns the family as it then stands,
	// or decide's error as it is; ErrNoFamily if there is none to rotate. What
	// it shows includes every write acknowledged before it began. A rotation
	// that spends a token is made only if that is not on the denylist: else
	// ErrTokenDenied, in the place of decide's error as well. It may be spent
	// though the rotation fails, and is spent once however often decide is asked.
	RotateFamily(ctx context.Context, familyID, clientID string, decide Decide) (Family, error)
	// RevokeFamily ends the family: from its return on, no RotateFamily
	// succeeds (F6). It reports whether this call ended it; an ended family
	// keeps its first reason, and an unknown one is (false, nil).
	RevokeFamily(ctx context.Context, id string, at time.Time, reason string) (bool, error)
	// RevokeFamiliesOfUser ends every family of the user, unborn ones too, that
	// is not ended and was there when the call began, but the one named except, and
	// returns how many it ended.
	RevokeFamiliesOfUser(ctx context.Context, uid, except string, at time.Time, reason string) (int, error)
	// RevokeFamiliesAmong does the same for those that are among.
	RevokeFamiliesAmong(ctx context.Context, among Among, at time.Time, reason string) (int, error)
	// SetFamilyClaims replaces Claims in every family of the user that is not
	// ended and was there when the call began, and returns how many.
	SetFamilyClaims(ctx context.Context, uid, claims string) (int, error)
	// SetFamilyEmail replaces Email in every such family that has one, and
	// returns how many.
	SetFamilyEmail(ctx context.Context, uid, email string) (int, error)
	// UntoldFamilies returns at most limit families that have ended and have TellEnd.
	UntoldFamilies(ctx context.Context, limit int) ([]Family, error)
	// ToldFamily takes TellEnd from a family, and reports whether it had it.
	ToldFamily(ctx context.Context, id string) (bool, error)
	// FamiliesOfUser returns the user's families that are neither ended nor
	// expired at now, newest first, at most limit.
	FamiliesOfUser(ctx context.Context, uid string, now time.Time, limit int) ([]Family, error)

	// DenyToken puts d on the denylist, or returns ErrTokenDenied if its JTI is
	// there: of many calls, on whatever replicas, one succeeds.
	DenyToken(ctx context.Context, d DeniedToken) error
	// TokenDenied reports whether the jti is on the denylist.
	TokenDenied(ctx context.Context, jti string) (bool, error)
	// HeldDenied returns one token of the denylist with its slot, or
	// ErrDeniedChanged. It sees every write acknowledged before it began.
	HeldDenied(ctx context.Context, jti string) (DeniedToken, error)
	// HoldDenied gives the token the slot of next, if its SlotID is still
	// seen's; ErrDeniedChanged if not.
	HoldDenied(ctx context.Context, seen, next DeniedToken) error
	// PendingDenied returns at most limit tokens of the denylist whose slot is
	// not empty.
	PendingDenied(ctx context.Context, limit int) ([]DeniedToken, error)
}
