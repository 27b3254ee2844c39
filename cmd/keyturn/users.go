package main

import (
	"cmp"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"github.com/keyturn/keyturn/internal/config"
	"github.com/keyturn/keyturn/internal/decision"
	"github.com/keyturn/keyturn/users"
)

// userRow is an account as commands print it.
type userRow struct {
	UID       string          `json:"uid"`
	Email     string          `json:"email"`
	Username  string          `json:"username,omitempty"`
	FirstName string          `json:"first_name,omitempty"`
	LastName  string          `json:"last_name,omitempty"`
	Roles     []string        `json:"roles,omitempty"`
	Claims    json.RawMessage `json:"claims,omitempty"`
	Verified  bool            `json:"email_verified"`
	Disabled  bool            `json:"disabled"`
	Required  bool            `json:"second_factor_required,omitempty"`
	DeleteAt  time.Time       `json:"delete_at,omitzero"`
	CreatedAt time.Time       `json:"created_at"`
}

func userRowOf(u users.User) userRow {
	return userRow{
		UID: u.UID, Email: u.Email, Username: u.Username, FirstName: u.FirstName, LastName: u.LastName,
		Roles: u.Roles, Claims: json.RawMessage(u.Claims), Verified: u.EmailVerified(), Disabled: u.Disabled, Required: u.Factors.Required, DeleteAt: u.DeleteAt, CreatedAt: u.CreatedAt,
	}
}

// nameOf returns the name of an account for people: not all accounts have an
// address.
func nameOf(u users.User) string { return cmp.Or(u.Email, u.Username, u.UID) }

func (p *program) usersCommand() *cobra.Command {
	return group("users", "Make and manage accounts",
		p.usersAddCommand(), p.usersImportCommand(), p.usersExportCommand(), p.usersListCommand(), p.usersPasswdCommand(),
		p.usersStateCommand("disable", "Refuse an account every login and end its sessions", true),
		p.usersStateCommand("enable", "Let a disabled account log in again", false),
		p.usersDeleteCommand(), p.usersResetCommand(), p.usersLetterCommand(), p.usersUpdateCommand(), p.usersClaimsCommand(),
		p.usersSessionsCommand(), p.usersLogoutCommand(), p.usersFactorsCommand(), p.usersGrantsCommand())
}

// withUser is withDeployment for a command on the account that its first argument
// names by e-mail address, uid or username.
func (p *program) withUser(cmd *cobra.Command, c check, run func(d *deployment, s *users.Service, u users.User) error) {
	p.withDeployment(cmd, c, func(d *deployment, args []string) error {
		s, err := d.users()
		if err != nil {
			return err
		}
		u, err := s.Find(d.ctx, args[0])
		if u, err = found(args[0], u, err); err != nil {
			return err
		}
		return run(d, s, u)
	})
}

// found returns the account that was looked for by a name, or why there is none.
func found(name string, u users.User, err error) (users.User, error) {
	switch {
	case errors.Is(err, users.ErrNotFound):
		err = fmt.Errorf("no account %s: give its e-mail address, its uid or its username; see keyturn users list", name)
	case errors.Is(err, decision.ErrUnderWay):
		err = fmt.Errorf("the account %s is being made, or given that name, at this moment; try again", name)
	}
	return u, err
}

func (p *program) usersAddCommand() *cobra.Command {
	var n users.NewUser
	var passwordFile string
	var said userClaimFlags
	cmd := &cobra.Command{
		Use:   "add [EMAIL] --password-file FILE|-",
		Short: "Make an account",
		Long: `Makes an account for an e-mail address, or, with --username, for one that has
none. Its user logs in with either.`,
		Example: `  keyturn users add ada@example.com --first-name Ada --last-name Lovelace --password-file -
  keyturn users add --username kiosk --password-file kiosk.pw`,
		Args: cobra.MaximumNArgs(1),
	}
	p.preparesDeployment(cmd, func(cfg *config.Config, args []string) (err error) {
		if len(args) > 0 {
			n.Email = args[0]
		} else if n.Username == "" {
			return usageError{errors.New("nobody is named: give an e-mail address, or --username for an account that has none")}
		}
		n.Roles = said.roles
		if n.Claims, err = said.object(); err != nil {
			return err
		}
		if n.Password, err = p.readSecret("password-file", passwordFile); err != nil {
			return err
		}
		return asUsage(n.Check(passwordPolicy(cfg)))
	}, func(d *deployment, _ []string) error {
		s, err := d.users()
		if err != nil {
			return err
		}
		u, err := s.Add(d.ctx, n)
		if err != nil {
			return err
		}
		return p.say(userRowOf(u), "uid: %s (%s)\n", u.UID, nameOf(u))
	})
	f := cmd.Flags()
	f.StringVar(&n.Username, "username", "", "a name beside the address, unique")
	f.StringVar(&n.FirstName, "first-name", "", "first name")
	f.StringVar(&n.LastName, "last-name", "", "last name")
	f.StringVar(&passwordFile, "password-file", "", "file with the password, or - for standard input")
	said.add(cmd)
	return cmd
}

func (p *program) usersListCommand() *cobra.Command {
	cmd := &cobra.Command{Use: "list", Short: "List the accounts", Args: cobra.NoArgs}
	p.withStore(cmd, func(d *deployment, _ []string) error {
		rows, err := listAll(d.ctx, d.store.ListUsers, func(u users.User) string { return u.UID }, userRowOf)
		if err != nil {
			return err
		}
		return p.print(rows, func(w io.Writer) {
			table(w, "UID\tEMAIL\tUSERNAME\tNAME\tSTATE", func(row func(...any)) {
				for _, u := range rows {
					state := "enabled"
					switch {
					case !u.DeleteAt.IsZero():
						state = "closed until " + u.DeleteAt.Format(time.DateTime)
					case u.Disabled:
						state = "disabled"
					}
					row(u.UID, u.Email, u.Username, strings.TrimSpace(u.FirstName+" "+u.LastName), state)
				}
			})
		})
	})
	return cmd
}

func (p *program) usersPasswdCommand() *cobra.Command {
	var passwordFile string
	cmd := &cobra.Command{Use: "passwd EMAIL|USERNAME|UID --password-file FILE|-", Short: "Set a new password and end all sessions of the account", Args: cobra.ExactArgs(1)}
	var password string
	p.withUser(cmd, func(cfg *config.Config, _ []string) (err error) {
		if password, err = p.readSecret("password-file", passwordFile); err != nil {
			return err
		}
		return asUsage(passwordPolicy(cfg).Check(password, users.User{}))
	}, func(d *deployment, s *users.Service, u users.User) error {
		if err := s.ResetPassword(d.ctx, u.UID, password); err != nil {
			return err
		}
		return p.say(userRowOf(u), "%s has a new password; its sessions have ended\n", nameOf(u))
	})
	cmd.Flags().StringVar(&passwordFile, "password-file", "", "file with the new password, or - for standard input")
	return cmd
}

func (p *program) usersStateCommand(name, short string, disable bool) *cobra.Command {
	cmd := &cobra.Command{Use: name + " EMAIL|USERNAME|UID", Short: short, Args: cobra.ExactArgs(1)}
	p.withUser(cmd, nil, func(d *deployment, s *users.Service, u users.User) error {
		change := s.Enable
		if disable {
			change = s.Disable
		}
		if err := change(d.ctx, u.UID); err != nil {
			return err
		}
		u.Disabled = disable
		return p.say(userRowOf(u), "%s is %sd\n", nameOf(u), name)
	})
	return cmd
}
