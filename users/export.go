package users

import (
	"bufio"
	"context"
	"encoding/csv"
	"encoding/json"
	"fmt"
	"io"
	"strconv"
	"strings"
	"time"

	"github.com/keyturn/keyturn/internal/audit"
)

// exportPage is how many accounts are read from the store at once.
const exportPage = 500

// Export writes every account to w, with its password hash, in a form that
// ReadImport reads back: the same accounts under the same ids. It returns how
// many it wrote. One-time tokens and sessions are not among it.
//
// The event is written first: without it nothing is (A3). The error is
// ErrNotRecorded, w's or the store's.
func (s *Service) Export(ctx context.Context, w io.Writer, format ImportFormat) (int, error) {
	out := bufio.NewWriter(w)
	write, finish, err := exportWriter(out, format)
	if err != nil {
		return 0, err
	}
	if err := s.conclude(ctx, audit.Event{Action: audit.UsersExported, Detail: "format: " + string(format)}, nil); err != nil {
		return 0, err
	}
	written := 0
	for after := ""; ; {
		page, err := s.Store.ListUsers(ctx, after, exportPage)
		if err != nil {
			return written, fmt.Errorf("list the accounts: %w", err)
		}
		for _, u := range page {
			if err := write(exported(u)); err != nil {
				return written, err
			}
			after = u.UID
			written++
		}
		if len(page) < exportPage {
			return written, finish()
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

// exportWriter returns how one account is written, and what is to be done after
// the last.
func exportWriter(out *bufio.Writer, format ImportFormat) (write func(ImportUser) error, finish func() error, err error) {
	switch format {
	case JSONLines:
		e := json.NewEncoder(out)
		e.SetEscapeHTML(false)
		return func(u ImportUser) error { return e.Encode(u) }, out.Flush, nil
	case CSV:
		c := csv.NewWriter(out)
		if err := c.Write(exportColumns); err != nil {
			return nil, nil, err
		}
		return func(u ImportUser) error { return c.Write(u.record()) }, func() error {
			c.Flush()
			if err := c.Error(); err != nil {
				return err
			}
			return out.Flush()
		}, nil
	}
	return nil, nil, fmt.Errorf("unknown format %q: %s and %s are accepted", format, JSONLines, CSV)
}

// exportColumns are importFields without the password in clear.
var exportColumns = []string{
	"uid", "email", "username", "first_name", "last_name", "password_hash", "disabled", "roles", "claims",
	"created_at", "password_changed_at",
}

// record returns u in the order of exportColumns.
func (u ImportUser) record() []string {
	return []string{
		u.UID, u.Email, u.Username, u.FirstName, u.LastName, u.PasswordHash, strconv.FormatBool(u.Disabled),
		strings.Join(u.Roles, " "), string(u.Claims), u.CreatedAt.Format(time.RFC3339Nano), u.PasswordChangedAt.Format(time.RFC3339Nano),
	}
}
