package main

import (
	"encoding/json"
	"fmt"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"github.com/keyturn/keyturn/internal/config"
	"github.com/keyturn/keyturn/users"
)

// userClaimFlags are the flags for a user's roles and claims in tokens.
type userClaimFlags struct {
	roles, claims []string
}

func (c *userClaimFlags) add(cmd *cobra.Command) {
	cmd.Flags().StringSliceVar(&c.roles, "role", nil, "a role that tokens may name (repeat for several)")
	cmd.Flags().StringArrayVar(&c.claims, "claim", nil, "a custom claim that tokens may bear, NAME=VALUE; a value that is JSON is taken as such (repeat for several)")
}

// object returns the claims as one JSON object.
func (c *userClaimFlags) object() (string, error) {
	if len(c.claims) == 0 {
		return "", nil
	}
	object := map[string]json.RawMessage{}
	for _, pair := range c.claims {
		name, value, ok := strings.Cut(pair, "=")
		if _, twice := object[name]; !ok || twice {
			return "", usageError{fmt.Errorf("--claim %q: use NAME=VALUE, each name once", pair)}
		}
		text := json.RawMessage(value)
		if !json.Valid(text) {
			var err error
			if text, err = json.Marshal(value); err != nil {
				return "", err
			}
		}
		object[name] = text
	}
	text, err := json.Marshal(object)
	return string(text), err
}

func (p *program) usersClaimsCommand() *cobra.Command {
	var said userClaimFlags
	var noRoles, noClaims bool
	cmd := &cobra.Command{
		Use:   "claims EMAIL|USERNAME|UID",
		Short: "Set the roles and custom claims that tokens may bear",
		Long: `Replaces the account's roles by those of --role, and its custom claims by those
of --claim; what is not given stays. Which of them a token bears is up to its
client's registration (keyturn clients update ID --claim roles).

Live sessions bear the change from their next refresh on; access tokens that are
out keep what they say until they expire. Names that the server itself uses
(sub, scope, email, …) are refused.`,
		Example: `  keyturn users claims ada@example.com --role admin --role editor --claim department=engines --claim 'limits={"orders":5}'
  keyturn users claims ada@example.com --no-roles`,
		Args: cobra.ExactArgs(1),
	}
	var object string
	p.withUser(cmd, func(*config.Config, []string) (err error) {
		if object, err = said.object(); err != nil {
			return err
		}
		return asUsage(users.CheckClaims(said.roles, object))
	}, func(d *deployment, s *users.Service, u users.User) error {
		roles, claims := u.Roles, u.Claims
		given := cmd.Flags().Changed
		if given("role") || noRoles {
			roles = said.roles
		}
		if given("claim") || noClaims {
			claims = object
		}
		u, err := s.SetClaims(d.ctx, u.UID, roles, claims)
		if err != nil {
			return err
		}
		return p.say(userRowOf(u), "roles:  %s\nclaims: %s\n", strings.Join(u.Roles, " "), u.Claims)
	})
	said.add(cmd)
	cmd.Flags().BoolVar(&noRoles, "no-roles", false, "take all roles away")
	cmd.Flags().BoolVar(&noClaims, "no-claims", false, "take all custom claims away")
	cmd.MarkFlagsMutuallyExclusive("role", "no-roles")
	cmd.MarkFlagsMutuallyExclusive("claim", "no-claims")
	needsOne(cmd, "role", "no-roles", "claim", "no-claims")
	return cmd
}

// needsOne makes it a usage error to give none of the flags.
func needsOne(cmd *cobra.Command, flags ...string) {
	cmd.MarkFlagsOneRequired(flags...)
	cmd.PreRunE = func(cmd *cobra.Command, _ []string) error {
		if err := cmd.ValidateFlagGroups(); err != nil {
			return usageError{err}
		}
		return nil
	}
}

func (p *program) usersDeleteCommand() *cobra.Command {
	cmd := &cobra.Command{
		Use:   "delete EMAIL|USERNAME|UID",
		Short: "Delete an account for good and end its sessions",
		Long: `Ends the account's sessions and removes it for good. Its e-mail address and
username are free again; the audit log keeps its uid and what it did. To keep an
address taken, disable the account instead.`,
		Args: cobra.ExactArgs(1),
	}
	p.withUser(cmd, nil, func(d *deployment, s *users.Service, u users.User) error {
		if err := s.Delete(d.ctx, u.UID); err != nil {
			return err
		}
		return p.say(answer{"uid": u.UID, "email": u.Email, "deleted": true}, "%s (%s) is deleted\n", nameOf(u), u.UID)
	})
	return cmd
}

func (p *program) usersResetCommand() *cobra.Command {
	var life time.Duration
	var force bool
	cmd := &cobra.Command{
		Use:   "reset EMAIL|USERNAME|UID",
		Short: "Make a one-time token by which the user sets a new password",
		Long: `Prints a token that is good for one new password within --valid-for, at the page
/account/reset?token=TOKEN below the issuer, or at POST /auth/reset. Hand it to the user over a channel that you trust. It replaces one
that you made before. A new password voids it, and so does disabling the account; of
a disabled account it counts once that is enabled.

Until it is used the password and the sessions stay as they are. If somebody
else may know the password, add --force: the password is void at once, the sessions
end, and until there is another nothing opens the account but the token, a later
one, or a letter that you have sent (users letter).`,
		Example: `  keyturn users reset ada@example.com --valid-for 1h`,
		Args:    cobra.ExactArgs(1),
	}
	p.withUser(cmd, func(*config.Config, []string) error { return asUsage(users.CheckResetLife(life)) }, func(d *deployment, s *users.Service, u users.User) error {
		token, expires, err := s.IssueReset(d.ctx, u.UID, life, force)
		if err != nil {
			return err
		}
		note := ""
		if u.Disabled {
			note = "The account is disabled: the token counts once it is enabled.\n"
		}
		return p.say(answer{"uid": u.UID, "token": token, "expires_at": expires, "disabled": u.Disabled}, "token:   %s\nexpires: %s\n\n%sThe token is not shown again; keep it now.\n", token, when(expires, d.now()), note)
	})
	life = 24 * time.Hour
	cmd.Flags().BoolVar(&force, "force", false, "make the password void, and end the sessions")
	cmd.Flags().Var(lifetime{&life}, "valid-for", fmt.Sprintf("how long the token is good, at most %dd", users.LongestReset/(24*time.Hour)))
	return cmd
}
