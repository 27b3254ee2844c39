package main

import (
	"strings"

	"github.com/spf13/cobra"

	"github.com/keyturn/keyturn/internal/config"
	"github.com/keyturn/keyturn/users"
)

func (p *program) usersUpdateCommand() *cobra.Command {
	var email, username, first, last string
	cmd := &cobra.Command{
		Use:   "update EMAIL|USERNAME|UID",
		Short: "Change an account's e-mail address, username or names",
		Long: `Changes what the flags name, all of it or, if an address or a username is taken
or not accepted, nothing. An empty --username, --first-name or --last-name takes
it away. The uid stays, and so do password and sessions.

The user logs in by the new address at once. Live sessions bear it from their
next refresh on; access tokens that are out keep the former one until they
expire. Whom the former address is given to next does not get into the account.
Should the command fail half way, repeat it by the uid.`,
		Example: `  keyturn users update ada@example.com --email ada.king@example.com --last-name King
  keyturn users update ada@example.com --username ''`,
		Args: cobra.ExactArgs(1),
	}
	var profile users.Profile
	p.withUser(cmd, func(*config.Config, []string) error {
		said := func(flag string, value *string) *string {
			if !cmd.Flags().Changed(flag) {
				return nil
			}
			return value
		}
		profile = users.Profile{
			Email: said("email", &email), Username: said("username", &username),
			FirstName: said("first-name", &first), LastName: said("last-name", &last),
		}
		return asUsage(profile.Check())
	}, func(d *deployment, s *users.Service, u users.User) error {
		u, err := s.UpdateProfile(d.ctx, u.UID, profile)
		if err != nil {
			return err
		}
		return p.say(userRowOf(u), "uid:      %s\nemail:    %s\nusername: %s\nname:     %s\n", u.UID, u.Email, u.Username, strings.TrimSpace(u.FirstName+" "+u.LastName))
	})
	f := cmd.Flags()
	f.StringVar(&email, "email", "", "the new e-mail address")
	f.StringVar(&username, "username", "", "the new username, unique; empty for none")
	f.StringVar(&first, "first-name", "", "the new first name")
	f.StringVar(&last, "last-name", "", "the new last name")
	needsOne(cmd, "email", "username", "first-name", "last-name")
	return cmd
}
