package users

import (
	"context"
	"errors"

	"github.com/keyturn/keyturn/internal/audit"
	"github.com/keyturn/keyturn/internal/factors"
	"github.com/keyturn/keyturn/internal/refusal"
)

// wrongPasskey refuses a passkey. The caller is told the same whatever the reason (U1).
func wrongPasskey(reason audit.Reason) error {
	return refusal.New(refusal.WrongCode, reason, "The passkey is not accepted.")
}

// refusedPasskey is the refusal for an error of package factors.
func refusedPasskey(err error) error {
	if errors.Is(err, factors.ErrForeignOrigin) {
		return wrongPasskey(audit.ReasonForeignOrigin)
	}
	return wrongPasskey(audit.ReasonWrongPasskey)
}

// EnrolPasskey adds a passkey that a browser made to u, as factor id. It is otherwise
// as EnrolTOTP, and returns the passkey too.
func (s *Service) EnrolPasskey(ctx context.Context, u User, id, name string, c factors.Ceremony, response []byte) (f factors.Factor, recovery []string, err error) {
	f = factors.Factor{ID: id, Kind: factors.Passkey, CreatedAt: s.now(), LastUsedAt: s.now()}
	if f.Name, err = checkName("name", name); err != nil {
		return f, nil, err
	}
	if f.Credential, err = c.Made(response); err != nil {
		return f, nil, refusedPasskey(err)
	}
	recovery, err = s.enrol(ctx, u, f)
	return f, recovery, err
}

// UsePasskey judges what a passkey of u signed for a log-in, and returns the passkey. The
// zero User has none; that it is refused costs the same (U1). Nobody guesses a
// signature, so that attempts count for the network alone (U4). UsePasskey writes the
// event of a success; the caller writes that of an error, which is as UseFactor's.
func (s *Service) UsePasskey(ctx context.Context, u User, c factors.Ceremony, a factors.Assertion) (factors.Factor, error) {
	attempt, err := s.Throttle.Begin(ctx, "")
	if err != nil {
		return factors.Factor{}, err
	}
	f, err := c.Judge(a, u.Factors)
	switch of := a.UserID(); {
	case u.UID == "":
		err = wrongPasskey(audit.ReasonUnknownUser)
	case err != nil:
		err = refusedPasskey(err)
	case of != u.UID && (of != "" || c.Alone):
		err = wrongPasskey(audit.ReasonWrongPasskey)
	case u.Disabled:
		err = wrongPasskey(audit.ReasonDisabledUser)
	case c.Alone && u.Mailed.Barred: // whoever knew the password may have added it
		err = wrongPasskey(audit.ReasonWrongPasskey)
	default:
		err = s.reviseAs(ctx, audit.FactorUsed, u, func(now *User, e *audit.Event) error {
			at, fresh := now.Factors.Find(f.ID), false
			if at < 0 {
				return wrongPasskey(audit.ReasonWrongPasskey)
			}
			now.Factors = now.Factors.Clone()
			if f, fresh = now.Factors.List[at].Signed(a); !fresh {
				return wrongPasskey(audit.ReasonClonedPasskey)
			}
			f.LastUsedAt = s.now()
			now.Factors.List[at], e.Detail = f, describe(f)
			return nil
		})
	}
	switch {
	case err == nil:
		attempt.Succeed(ctx)
	case !refusal.Is(err, refusal.WrongCode):
		attempt.Withdraw(ctx)
	}
	return f, err
}
