package userfile

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

	"github.com/keyturn/keyturn/users"
)

// Export writes every account of s to w, with its password hash, in a form that
// Read reads: the same accounts under the same ids. It returns how many it
// wrote. One-time tokens and sessions are not included. The error is from w or
// users.Service.Export; without its event nothing is written (A3).
func Export(ctx context.Context, s *users.Service, w io.Writer, format Format) (int, error) {
	out := bufio.NewWriter(w)
	var write func(users.ImportUser) error
	finish := out.Flush
	switch format {
	case JSONLines:
		e := json.NewEncoder(out)
		e.SetEscapeHTML(false)
		write = func(u users.ImportUser) error { return e.Encode(u) }
	case CSV:
		c := csv.NewWriter(out)
		if err := c.Write(exportColumns); err != nil {
			return 0, err
		}
		write = func(u users.ImportUser) error { return c.Write(record(u)) }
		finish = func() error {
			c.Flush()
			if err := c.Error(); err != nil {
				return err
			}
			return out.Flush()
		}
	default:
		return 0, fmt.Errorf("unknown format %q: %s and %s are accepted", format, JSONLines, CSV)
	}
	written := 0
	for u, err := range s.Export(ctx, string(format)) {
		if err == nil {
			err = write(u)
		}
		if err != nil {
			return written, err
		}
		written++
	}
	return written, finish()
}

// exportColumns are importFields without the plain password.
var exportColumns = []string{
	"uid", "email", "email_verified", "username", "first_name", "last_name", "password_hash", "disabled", "roles", "claims", "totp", "passkeys",
	"second_factor_required", "created_at", "password_changed_at",
}

// record returns u in the order of exportColumns.
func record(u users.ImportUser) []string {
	return []string{
		u.UID, u.Email, strconv.FormatBool(u.EmailVerified), u.Username, u.FirstName, u.LastName, u.PasswordHash, strconv.FormatBool(u.Disabled),
		strings.Join(u.Roles, " "), string(u.Claims), listed(u.TOTP), listed(u.Passkeys), strconv.FormatBool(u.SecondFactorRequired), u.CreatedAt.Format(time.RFC3339Nano), u.PasswordChangedAt.Format(time.RFC3339Nano),
	}
}

func listed[T any](list []T) string {
	if len(list) == 0 {
		return ""
	}
	text, _ := json.Marshal(list) // texts and numbers can always be encoded
	return string(text)
}
