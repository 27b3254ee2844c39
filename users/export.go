package users

import (
	"context"
	"encoding/json"
	"iter"

	"github.com/keyturn/keyturn/internal/audit"
	"github.com/keyturn/keyturn/internal/listing"
)

// Export yields every account with its password hash, in the form that Import
// takes. This includes roles and claims, but not one-time tokens and sessions.
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
			if !yield(exported(u), err) {
				return
			}
		}
	}
}

// all yields every account. After an error of the store it stops.
func (s *Service) all(ctx context.Context) iter.Seq2[User, error] {
	return listing.All(ctx, s.Store.ListUsers, func(u User) string { return u.UID })
}

func exported(u User) ImportUser {
	return ImportUser{
		UID: u.UID, Email: u.Email, Username: u.Username, FirstName: u.FirstName, LastName: u.LastName,
		PasswordHash: u.PasswordHash, Disabled: u.Disabled, Roles: u.Roles, Claims: json.RawMessage(u.Claims),
		CreatedAt: u.CreatedAt, PasswordChangedAt: u.PasswordChangedAt,
	}
}
