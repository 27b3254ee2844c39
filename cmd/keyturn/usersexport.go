package main

import (
	"errors"
	"io/fs"
	"os"
	"path/filepath"

	"github.com/spf13/cobra"

	auditlog "github.com/keyturn/keyturn/internal/audit/log"
	"github.com/keyturn/keyturn/internal/config"
	"github.com/keyturn/keyturn/internal/userfile"
	"github.com/keyturn/keyturn/users"
)

func (p *program) usersExportCommand() *cobra.Command {
	var format string
	cmd := &cobra.Command{
		Use:   "export FILE|-",
		Short: "Write all accounts to a file, password hashes included",
		Long: `Writes every account as JSON Lines (.jsonl) or CSV (.csv), in the fields that
"users import" reads: ids, names, roles, claims, times, password hashes and the
secrets of authenticator apps, as they are. The file is made for its owner alone (mode 0600) and must not exist yet; guard it as
you guard the store. Sessions and one-time tokens are not in it.`,
		Example: `  keyturn users export accounts.jsonl`,
		Args:    cobra.ExactArgs(1),
	}
	var as userfile.Format
	p.withDeployment(cmd, func(_ *config.Config, args []string) (err error) {
		if args[0] == "-" && format == "" {
			format = string(userfile.JSONLines)
		}
		if as, err = formatOf(args[0], format, userfile.JSONLines, userfile.CSV); err == nil && args[0] != "-" {
			err = checkNewFile(args[0])
		}
		return err
	}, func(d *deployment, args []string) error {
		s, err := d.users()
		if err != nil {
			return err
		}
		if args[0] == "-" {
			_, err := userfile.Export(d.ctx, s, p.stdout, as)
			return err
		}
		n, err := exportTo(d, s, args[0], as)
		if err != nil {
			return err
		}
		return p.say(answer{"file": args[0], "exported": n}, "%s written to %s\n", counted(n, "account"), args[0])
	})
	cmd.Flags().StringVar(&format, "format", "", "jsonl or csv (default: by the file's name; jsonl to standard output)")
	return cmd
}

// checkNewFile refuses a path at which no new file can be made.
func checkNewFile(path string) error {
	if _, err := os.Lstat(path); err == nil {
		return &fs.PathError{Op: "make", Path: path, Err: fs.ErrExist}
	}
	return auditlog.TakesFiles(filepath.Dir(path))
}

// exportTo writes a new file. It removes a file that it could not finish.
func exportTo(d *deployment, s *users.Service, path string, format userfile.Format) (int, error) {
	f, err := os.OpenFile(path, os.O_WRONLY|os.O_CREATE|os.O_EXCL, 0o600)
	if err != nil {
		return 0, err
	}
	n, err := userfile.Export(d.ctx, s, f, format)
	if err == nil {
		err = f.Sync()
	}
	if err = errors.Join(err, f.Close()); err != nil {
		err = errors.Join(err, os.Remove(path))
	}
	return n, err
}
