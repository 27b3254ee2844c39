package users

import (
	"context"
	"encoding/json"
	"fmt"
	"iter"

	"github.com/keyturn/keyturn/internal/audit"
	"github.com/keyturn/keyturn/internal/factors"
	"github.com/keyturn/keyturn/internal/listing"
)

// Export yields every account with its password hash, in the form that Import
// takes. This includes roles, claims, passkeys, the secrets of authenticator apps and that a factor is required, but not
// recovery codes, one-time tokens and sessions.
// The event, which names the format, is written first; without it Export yields
// no account (A3). After an error it stops: decision.ErrNotRecorded, or from the
// store.
func (s *Service) Export(ctx context.Context, format string) iter.Seq2[ImportUser, error] {
	return func(yield func(ImportUser, error) bool) {
		if err := s.conclude(ctx, audit.Event{Action: audit.UsersExported, Detail: "format: " + format}, nil); err != nil {
			yield(ImportUser{}, err)
			return
		}
		for u, err := range s.all(ctx) {
			var n ImportUser
			if err == nil {
				n, err = s.exported(u)
			}
			if !yield(n, err) {
				return
			}
		}
	}
}

// all yields every account. After an error of the store it stops.
func (s *Service) all(ctx context.Context) iter.Seq2[User, error] {
	return listing.All(ctx, s.Store.ListUsers, func(u User) string { return u.UID })
}

func (s *Service) exported(u User) (ImportUser, error) {
	n := ImportUser{
		UID: u.UID, Email: u.Email, EmailVerified: u.EmailVerified(), Username: u.Username, FirstName: u.FirstName, LastName: u.LastName,
		PasswordHash: u.PasswordHash, Disabled: u.Disabled, Roles: u.Roles, Claims: json.RawMessage(u.Claims),
		SecondFactorRequired: u.Factors.Required, CreatedAt: u.CreatedAt, PasswordChangedAt: u.PasswordChangedAt,
	}
	for _, f := range u.Factors.List {
		if f.Kind == factors.Passkey {
			n.Passkeys = append(n.Passkeys, ImportPasskey{f.Name, f.Credential})
			continue
		}
		if s.Sealer == nil {
			return n, fmt.Errorf("account %s has a second factor, whose secret needs the master key: set master_key_file", u.UID)
		}
		secret, err := s.Sealer.Open(f.Sealed, []byte(f.ID))
		if err != nil {
			return n, fmt.Errorf("open the second factor %s of account %s: %w", f.ID, u.UID, err)
		}
		n.TOTP = append(n.TOTP, ImportTOTP{factors.Text(secret), f.Name, f.Params})
	}
	return n, nil
}
