package main

import (
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"

	"github.com/spf13/cobra"

	"github.com/keyturn/keyturn/users"
)

// importReport is how an import went.
type importReport struct {
	Imported int             `json:"imported"`
	Present  int             `json:"already_present"`
	Refused  []importRefusal `json:"refused"`
}

type importRefusal struct {
	Line   int    `json:"line"`
	Reason string `json:"reason"`
}

func (p *program) usersImportCommand() *cobra.Command {
	var format string
	cmd := &cobra.Command{
		Use:   "import FILE",
		Short: "Make accounts from a file, password hashes included",
		Long: `Reads accounts from JSON Lines (.jsonl) or CSV (.csv) with the fields uid, email,
username, first_name, last_name, password_hash or password, and disabled. Hashes
of argon2id, argon2i, bcrypt, scrypt and PBKDF2-SHA256 (Django's and passlib's
forms) are taken as they are and become argon2id at the next login; one whose
cost is out of bounds is refused.

A line that cannot be taken is reported with its number and passed over; an
address that has an account already is left as it is, so that an import can be
repeated. Exits with 1 if any line was refused.`,
		Example: `  keyturn users import accounts.jsonl`,
		Args:    cobra.ExactArgs(1),
	}
	p.withDeployment(cmd, func(d *deployment, args []string) error {
		f, err := os.Open(args[0])
		if err != nil {
			return err
		}
		defer f.Close()
		if format == "" {
			format = formatOf(args[0])
		}
		s, err := d.users()
		if err != nil {
			return err
		}
		report, err := importUsers(d, s, f, users.ImportFormat(format))
		if err != nil {
			return err
		}
		if err := p.printImport(report); err != nil {
			return err
		}
		if len(report.Refused) > 0 {
			return fmt.Errorf("%d lines were refused", len(report.Refused))
		}
		return nil
	})
	cmd.Flags().StringVar(&format, "format", "", "jsonl or csv (default: by the file's name)")
	return cmd
}

func formatOf(path string) string {
	if filepath.Ext(path) == ".csv" {
		return string(users.CSV)
	}
	return string(users.JSONLines)
}

func importUsers(d *deployment, s *users.Service, r io.Reader, format users.ImportFormat) (importReport, error) {
	report := importReport{Refused: []importRefusal{}}
	for line, err := range users.ReadImport(r, format) {
		var bad *users.LineError
		if errors.As(err, &bad) {
			report.Refused = append(report.Refused, importRefusal{bad.Line, bad.Err.Error()})
			continue
		}
		_, err = s.Import(d.ctx, line.User)
		var policy *users.PolicyError
		switch {
		case err == nil:
			report.Imported++
		case errors.Is(err, users.ErrEmailTaken):
			report.Present++
		case errors.As(err, &policy), errors.Is(err, users.ErrUsernameTaken):
			report.Refused = append(report.Refused, importRefusal{line.Line, err.Error()})
		default:
			return report, fmt.Errorf("line %d: %w; %d accounts were imported, and the import can be repeated", line.Line, err, report.Imported)
		}
	}
	return report, nil
}

func (p *program) printImport(r importReport) error {
	return p.print(r, func(w io.Writer) {
		for _, no := range r.Refused {
			fmt.Fprintf(w, "line %d: %s\n", no.Line, no.Reason)
		}
		fmt.Fprintf(w, "%d imported, %d already there, %d refused\n", r.Imported, r.Present, len(r.Refused))
	})
}
