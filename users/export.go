package users

import (
	"context"
	"encoding/json"
	"fmt"
	"iter"

	"github.com/keyturn/keyturn/internal/audit"
)

// accountsPage is how many accounts are read from the store at once.
const accountsPage = 500

// Export yields every account, with its password hash, as Import takes it. Roles
// and claims are among it, one-time tokens and sessions are not. The event, which
// names the format, is written first: without it nothing is yielded (A3). An
// error is the last that is yielded: ErrNotRecorded, or the store's.
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
	return func(yield func(User, error) bool) {
		for after := ""; ; {
			page, err := s.Store.ListUsers(ctx, after, accountsPage)
			if err != nil {
				yield(User{}, fmt.Errorf("list the accounts: %w", err))
				return
			}
			for _, u := range page {
				if after = u.UID; !yield(u, nil) {
					return
				}
			}
			if len(page) < accountsPage {
				return
			}
		}
	}
}

func exported(u User) ImportUser {
	return ImportUser{
		UID: u.UID, Email: u.Email, Username: u.Username, FirstName: u.FirstName, LastName: u.LastName,
		PasswordHash: u.PasswordHash, Disabled: u.Disabled, Roles: u.Roles, Claims: json.RawMessage(u.Claims),
		CreatedAt: u.CreatedAt, PasswordChangedAt: u.PasswordChangedAt,
	}
}
