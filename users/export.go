package users

import (
	"context"
	"encoding/json"
	"iter"

	"github.com/keyturn/keyturn/internal/audit"
	"github.com/keyturn/keyturn/internal/listing"
)

// Export yields every account, with its password hash, as Import takes it. Roles
// and claims are among it, one-time tokens and sessions are not. The event, which
// names the format, is written first: without it nothing is yielded (A3). An
// error is the last that is yielded: decision.ErrNotRecorded, or the store's.
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

// all yields every account. An error of the store is the last that it yields.
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
