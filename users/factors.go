package users

import (
	"context"
	"errors"
	"fmt"

	"github.com/keyturn/keyturn/internal/audit"
	"github.com/keyturn/keyturn/internal/factors"
	"github.com/keyturn/keyturn/internal/refusal"
	"github.com/keyturn/keyturn/internal/throttle"
)

// SealFactors names the use of a sealer of Masters that keeps the secrets of second
// factors.
const SealFactors = "keyturn/factor/v1"

var (
	// ErrNoFactor means that the account has no such second factor.
	ErrNoFactor error = refusal.New(refusal.NotFound, audit.ReasonUnknownFactor, "There is no such second factor.")

	errWrongCode = refusal.New(refusal.WrongCode, audit.ReasonWrongCode, "")
	errUsedCode  = refusal.New(refusal.WrongCode, audit.ReasonUsedCode, "")
)

// describe names a factor for the audit log.
func describe(f factors.Factor) string { return string(f.Kind) + " " + f.ID }

// RemoveFactor removes a second factor of the account uid, for its user or an
// operator. The error is ErrNotFound, ErrNoFactor, ErrConflict,
// decision.ErrNotRecorded or from the store.
func (s *Service) RemoveFactor(ctx context.Context, uid, id string) error {
	_, _, err := s.change(ctx, audit.Event{Action: audit.FactorRemoved}, uid, false, func(u *User, e *audit.Event) error {
		at := u.Factors.Find(id)
		if at < 0 {
			return ErrNoFactor
		}
		e.Detail = describe(u.Factors.List[at])
		u.Factors, _ = u.Factors.Remove(id)
		return nil
	})
	return err
}

// RemoveFactors removes every second factor of the account uid, for an operator, also one
// whose enrolment is under way, and returns how many it removed. The error is as
// RemoveFactor's.
func (s *Service) RemoveFactors(ctx context.Context, uid string) (removed int, err error) {
	read := func(ctx context.Context) (User, error) { return s.byID(ctx, uid) }
	for range 2 * factors.Most {
		u, err := s.maker().Settled(ctx, read)
		switch {
		case err != nil:
			return removed, s.conclude(ctx, audit.Event{Action: audit.FactorRemoved, UserID: uid, UserEmail: u.Email}, err)
		case len(u.Factors.List) == 0:
			return removed, nil
		}
		if err := s.RemoveFactor(ctx, uid, u.Factors.List[0].ID); err != nil {
			return removed, err
		}
		removed++
	}
	return removed, ErrConflict
}

// RenewRecoveryCodes replaces the recovery codes of the account uid. The new ones are
// returned and kept nowhere. The error is ErrNotFound, ErrNoFactor (there is nothing
// that they could stand in for), ErrConflict, decision.ErrNotRecorded or from the store.
func (s *Service) RenewRecoveryCodes(ctx context.Context, uid string) ([]string, error) {
	codes, hashes := factors.NewRecoveryCodes()
	_, _, err := s.change(ctx, audit.Event{Action: audit.RecoveryRenewed}, uid, false, func(u *User, _ *audit.Event) error {
		if !u.Factors.Due() {
			return ErrNoFactor
		}
		u.Factors = u.Factors.Clone()
		u.Factors.Recovery = hashes
		return nil
	})
	if err != nil {
		return nil, err
	}
	return codes, nil
}

// EnrolTOTP adds an authenticator app that has the secret to u, as factor id, once a code
// of it was seen; with the first factor it returns recovery codes, which are kept
// nowhere. It writes the event of a success; the caller writes that of an error, which is
// as UseFactor's.
func (s *Service) EnrolTOTP(ctx context.Context, u User, id string, secret []byte, name, code string) (recovery []string, err error) {
	f := factors.Factor{ID: id, Kind: factors.TOTP, CreatedAt: s.now(), LastUsedAt: s.now()}
	if f.Name, err = checkName("name", name); err != nil {
		return nil, err
	}
	var verdict factors.Verdict
	if verdict, f.Step = f.Check(secret, factors.ParseCode(code), s.now()); verdict != factors.Right {
		return nil, errWrongCode
	}
	if f.Sealed, err = s.Sealer.Seal(secret, []byte(id)); err != nil {
		return nil, err
	}
	return s.enrol(ctx, u, f)
}

// enrol adds to u a factor that has proved itself.
func (s *Service) enrol(ctx context.Context, u User, f factors.Factor) (recovery []string, err error) {
	codes, hashes := factors.NewRecoveryCodes()
	err = s.reviseAs(ctx, audit.FactorEnrolled, u, func(now *User, e *audit.Event) (err error) {
		first := !now.Factors.Due()
		if first != !u.Factors.Due() || now.Factors.Has(f) {
			return refusal.New(refusal.BadChallenge, audit.ReasonAccountChanged, "")
		}
		e.Detail = describe(f)
		var ok bool
		if now.Factors, ok = now.Factors.Add(f); !ok {
			return errTooMany
		}
		if recovery = nil; first {
			recovery, now.Factors.Recovery = codes, hashes
		}
		return nil
	})
	return recovery, err
}

var errTooMany = refuse("name", "an account has at most %d second factors: remove one first", factors.Most)

// reviseAs changes the account u, as which a log-in began, and records no refusal.
func (s *Service) reviseAs(ctx context.Context, action audit.Action, u User, alter func(now *User, e *audit.Event) error) error {
	event := audit.Event{Action: action, Outcome: audit.Success, UserID: u.UID, UserEmail: u.Email}
	_, _, err := s.revise(ctx, event, u.UID, false, func(now *User, e *audit.Event) error {
		if now.Epoch != u.Epoch || now.Disabled {
			return wrong(audit.ReasonAccountChanged, u.UID)
		}
		return alter(now, e)
	})
	return err
}

// UseFactor spends a code of a second factor of u, or a recovery code, for a log-in
// that knew the password. A code counts once on all replicas together, since one
// conditional write of the account spends it. Guesses are slowed on a count of the
// account and its password (U4), so that who sets another password has it anew; a
// recovery code, which nobody guesses, is never slowed. UseFactor writes the event of a
// success; the caller writes that of an error: a refusal (WrongCode, Throttled,
// BadCredentials), ErrConflict, or one that is decision.Concluded or from the store.
func (s *Service) UseFactor(ctx context.Context, u User, code string) (err error) {
	c := factors.ParseCode(code)
	var attempt *throttle.Attempt
	if !c.IsRecovery() {
		if attempt, err = s.Throttle.BeginCode(ctx, fmt.Sprintf("%s %d", u.UID, u.Epoch)); err != nil {
			return err
		}
	}
	err = s.reviseAs(ctx, audit.FactorUsed, u, func(now *User, e *audit.Event) error { return s.spend(now, c, e) })
	switch {
	case err == nil:
		attempt.Succeed(ctx)
	case !refusal.Is(err, refusal.WrongCode):
		attempt.Withdraw(ctx)
	}
	return err
}

// spend spends a code of any factor of u.
func (s *Service) spend(u *User, c factors.Code, e *audit.Event) error {
	if rest, ok := u.Factors.SpendRecovery(c); ok {
		u.Factors = rest
		e.Detail = fmt.Sprintf("recovery code; %d left", len(rest.Recovery))
		return nil
	}
	refused := error(errWrongCode)
	for at, f := range u.Factors.List {
		if f.Kind != factors.TOTP {
			continue
		}
		err := s.spendTOTP(u, at, c)
		switch {
		case err == nil:
			e.Detail = describe(f)
			return nil
		case errors.Is(err, errUsedCode):
			refused = err
		case !errors.Is(err, errWrongCode):
			return err
		}
	}
	return refused
}

// spendTOTP spends a code of one factor of u.
func (s *Service) spendTOTP(u *User, at int, c factors.Code) error {
	f := u.Factors.List[at]
	secret, err := s.Sealer.Open(f.Sealed, []byte(f.ID))
	if err != nil {
		return fmt.Errorf("open the second factor %s: %w", f.ID, err)
	}
	defer clear(secret)
	now := s.now()
	switch verdict, step := f.Check(secret, c, now); verdict {
	case factors.Right:
		f.Step, f.LastUsedAt = step, now
	case factors.Used:
		return errUsedCode
	default:
		return errWrongCode
	}
	u.Factors = u.Factors.Clone()
	u.Factors.List[at] = f
	return nil
}

// RequireFactor has the account uid log in with a second factor alone, whatever the
// settings say, or takes that back. The error is ErrNotFound, ErrConflict,
// decision.ErrNotRecorded or from the store.
func (s *Service) RequireFactor(ctx context.Context, uid string, required bool) error {
	_, _, err := s.change(ctx, audit.Event{Action: audit.UserChanged}, uid, false, func(u *User, e *audit.Event) error {
		u.Factors = u.Factors.Clone()
		u.Factors.Required = required
		e.Detail = fmt.Sprintf("second factor required: %t", required)
		return nil
	})
	return err
}
