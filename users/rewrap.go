package users

import (
	"context"
	"errors"
	"fmt"
	"slices"

	"github.com/keyturn/keyturn/internal/audit"
	"github.com/keyturn/keyturn/internal/decision"
	"github.com/keyturn/keyturn/internal/factors"
	"github.com/keyturn/keyturn/internal/refusal"
)

// RewrapFactors seals every secret of a second factor that is under an older master
// secret anew under the primary one, and returns of how many accounts. It can be
// interrupted and repeated at any time, while servers run. It leaves what cannot be
// opened as it is, and names the accounts in the error.
func (s *Service) RewrapFactors(ctx context.Context) (n int, err error) {
	var errs []error
	for u, err := range s.all(ctx) {
		if err != nil {
			return n, errors.Join(append(errs, err)...)
		}
		if !slices.ContainsFunc(u.Factors.List, s.outdated) {
			continue
		}
		switch err := s.rewrap(ctx, u.UID); {
		case err == nil:
			n++
		case !errors.Is(err, ErrNotFound): // it was deleted meanwhile
			errs = append(errs, fmt.Errorf("second factors of %s: %w", u.UID, err))
		}
	}
	return n, errors.Join(errs...)
}

// outdated reports whether a factor's secret is under an older master secret. A passkey
// has none.
func (s *Service) outdated(f factors.Factor) bool {
	return f.Kind == factors.TOTP && s.Sealer.Outdated(f.Sealed)
}

func (s *Service) rewrap(ctx context.Context, uid string) error {
	event := audit.Event{Action: audit.KeyRewrapped, Detail: "second factors"}
	_, event, err := s.revise(ctx, event, uid, false, func(u *User, _ *audit.Event) error { return s.reseal(u) })
	switch {
	case err == nil || errors.Is(err, ErrNotFound) || decision.Concluded(err):
		return err
	case refusal.Of(err).Reason != audit.ReasonCannotOpen:
		err = refusal.Undecided(audit.ReasonStoreError, err)
	}
	return s.conclude(ctx, event, err)
}

func (s *Service) reseal(u *User) error {
	u.Factors = u.Factors.Clone()
	for i, f := range u.Factors.List {
		if !s.outdated(f) {
			continue
		}
		secret, err := s.Sealer.Open(f.Sealed, []byte(f.ID))
		if err == nil {
			u.Factors.List[i].Sealed, err = s.Sealer.Seal(secret, []byte(f.ID))
			clear(secret)
		}
		if err != nil {
			return refusal.Undecided(audit.ReasonCannotOpen, err)
		}
	}
	return nil
}
