package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"maps"
	"os"
	"path/filepath"
	"slices"

	"github.com/spf13/cobra"

	"github.com/keyturn/keyturn/internal/config"
	"github.com/keyturn/keyturn/internal/passwords"
	"github.com/keyturn/keyturn/internal/userfile"
)

// importReport is the printed result of an import.
type importReport struct {
	DryRun   bool            `json:"dry_run"`
	Imported int             `json:"imported"`
	Present  int             `json:"already_present"`
	Dropped  map[string]int  `json:"dropped,omitempty"` // of the imported
	Refused  []importRefusal `json:"refused"`
}

type importRefusal struct {
	userfile.Place
	Reason string `json:"reason"`
}

func (p *program) usersImportCommand() *cobra.Command {
	var (
		options userfile.Options
		format  string
		project string
		dry     bool
	)
	cmd := &cobra.Command{
		Use:   "import FILE|-",
		Short: "Make accounts from a file, password hashes included",
		Long: `Reads accounts from JSON Lines (.jsonl) or CSV (.csv) with the fields uid, email,
email_verified, username, first_name, last_name, password_hash or password, disabled,
roles, claims, totp, passkeys, second_factor_required, created_at and password_changed_at,
from a Keycloak realm export with its users (--format keycloak), or from the JSON of
"firebase auth:export" (--format firebase, with --firebase-project).

Password hashes of other systems are taken as they are, or, where they are weak,
with argon2id around them, and become argon2id at the next login; docs/accounts.md
lists which. One whose cost is out of bounds is refused.

What an account has and Keyturn cannot take is counted. An account that would lose
a second factor, or whose temporary password would become a permanent one, is
refused, unless --drop-second-factor or --drop-temporary says that it may. Passkeys
are of one host: if Keycloak's was another than the issuer's, --drop-passkeys leaves
them out, for nobody could log in by them.

A line that cannot be taken is reported with its number and passed over; an
address that has an account already is left as it is, so that an import can be
repeated. Exits with 1 if any line was refused. --dry-run reads and checks
everything and writes nothing.`,
		Example: `  keyturn users import accounts.jsonl --dry-run
  sqlite3 -csv -header app.db "SELECT id AS uid, email, hashed_password AS password_hash, NOT is_active AS disabled FROM users" |
    keyturn users import - --format csv
  keyturn users import realm-export.json --format keycloak`,
		Args: cobra.ExactArgs(1),
	}
	p.withSettings(cmd, func(ctx context.Context, cfg *config.Config, args []string) (err error) {
		if options.Format, err = formatOf(args[0], format, userfile.JSONLines, userfile.CSV, userfile.Keycloak, userfile.Firebase); err != nil {
			return err
		}
		if options.Firebase, err = firebaseProject(project); err != nil {
			return err
		}
		file, err := p.input(args[0])
		if err != nil {
			return err
		}
		defer file.Close()
		run := func(d *deployment, _ []string) error { return p.importFile(d, file, options, dry) }
		if dry {
			return p.onStore(ctx, cfg, args, run)
		}
		return p.onDeployment(ctx, cfg, args, run)
	})
	cmd.Flags().StringVar(&format, "format", "", "jsonl, csv, keycloak or firebase (default: by the file's name)")
	cmd.Flags().StringVar(&project, "firebase-project", "", "file with the hash parameters of the project, as Firebase's console shows them")
	cmd.Flags().BoolVar(&options.DropPasskeys, "drop-passkeys", false, "import accounts without their passkeys, which are of another host")
	cmd.Flags().BoolVar(&options.Peppered, "peppered", false, "the bcrypt hashes are of passwords with the text of pepper_file behind them, as Devise makes them")
	cmd.Flags().BoolVar(&options.DropSecondFactor, "drop-second-factor", false, "import accounts with a second factor, without it")
	cmd.Flags().BoolVar(&options.DropTemporary, "drop-temporary", false, "import temporary passwords as permanent ones")
	cmd.Flags().BoolVar(&dry, "dry-run", false, "check everything and write nothing")
	return cmd
}

func (p *program) importFile(d *deployment, file io.Reader, options userfile.Options, dry bool) error {
	s, err := d.users()
	if err != nil {
		return err
	}
	in, done := p.progressBar(file)
	report, err := userfile.Import(d.ctx, s, userfile.Read(in, options), dry)
	done()
	if err := errors.Join(err, p.printImport(report, dry)); err != nil {
		return err
	}
	if n := len(report.Refused); n > 0 {
		return fmt.Errorf("%d refused; correct them and import again", n)
	}
	return nil
}

// firebaseProject reads the file of that name, if there is one.
func firebaseProject(path string) (*passwords.FirebaseProject, error) {
	if path == "" {
		return nil, nil
	}
	text, err := os.ReadFile(path)
	if err != nil {
		return nil, err
	}
	project, err := userfile.ParseFirebaseProject(string(text))
	if err != nil {
		return nil, fmt.Errorf("%s: %w", path, err)
	}
	return &project, nil
}

// formatOf returns the given format, or the one of the file's extension, if it is among
// those accepted.
func formatOf(path, format string, accepted ...userfile.Format) (userfile.Format, error) {
	said := format
	if ext := filepath.Ext(path); format == "" && (ext == ".csv" || ext == ".jsonl") {
		said = ext[1:]
	}
	if of := userfile.Format(said); slices.Contains(accepted, of) {
		return of, nil
	}
	words := fmt.Sprintf("%s", accepted)
	if format != "" {
		return "", usageError{fmt.Errorf("--format %q: use one of %s", format, words)}
	}
	return "", usageError{fmt.Errorf("%s: its name does not say its format: use --format with one of %s", path, words)}
}

// progressBar returns a reader of in that shows its progress on standard error,
// if that is a terminal. done clears the display.
func (p *program) progressBar(in io.Reader) (read io.Reader, done func()) {
	r := &shownReader{Reader: in, bar: p.newBar()}
	if f, ok := in.(*os.File); ok {
		if info, err := f.Stat(); err == nil && info.Mode().IsRegular() {
			r.size = info.Size()
		}
	}
	return r, r.bar.end
}

// shownReader shows how much of it has been read. size is 0 if it is unknown,
// as for a pipe.
type shownReader struct {
	io.Reader
	bar        *bar
	read, size int64
}

// Read implements io.Reader.
func (r *shownReader) Read(p []byte) (int, error) {
	n, err := r.Reader.Read(p)
	r.read += int64(n)
	r.bar.show("importing", r.read, r.size)
	return n, err
}

func (p *program) printImport(r userfile.Report, dry bool) error {
	printed := importReport{DryRun: dry, Imported: r.Imported, Present: r.Present, Dropped: r.Dropped, Refused: []importRefusal{}}
	for _, no := range r.Refused {
		printed.Refused = append(printed.Refused, importRefusal{no.Place, no.Err.Error()})
	}
	return p.print(printed, func(w io.Writer) {
		for _, no := range printed.Refused {
			fmt.Fprintf(w, "%s: %s\n", no.Place, no.Reason)
		}
		for _, what := range slices.Sorted(maps.Keys(r.Dropped)) {
			fmt.Fprintf(w, "%d lose their %s\n", r.Dropped[what], what)
		}
		verb := "imported"
		if dry {
			verb = "would be imported"
		}
		fmt.Fprintf(w, "%d %s, %d already there, %d refused\n", r.Imported, verb, r.Present, len(r.Refused))
	})
}
