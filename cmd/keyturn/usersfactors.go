package main

import (
	"errors"
	"fmt"
	"io"
	"time"

	"github.com/spf13/cobra"

	"github.com/keyturn/keyturn/internal/config"
	"github.com/keyturn/keyturn/internal/factors"
	"github.com/keyturn/keyturn/users"
)

// factorRow is a second factor as commands print it.
type factorRow struct {
	ID         string       `json:"id"`
	Kind       factors.Kind `json:"kind"`
	Name       string       `json:"name,omitempty"`
	CreatedAt  time.Time    `json:"created_at"`
	LastUsedAt time.Time    `json:"last_used_at,omitzero"`
}

func (p *program) usersFactorsCommand() *cobra.Command {
	var remove string
	var all, require, free bool
	cmd := &cobra.Command{
		Use:   "factors EMAIL|USERNAME|UID",
		Short: "List the second factors of an account, remove or require them",
		Long: `Lists the second factors of an account; with --remove or --remove-all it takes
them away, for a user who has lost them. With the last one the recovery codes go.
From then on the password alone opens the account, unless a second factor is
required: then whoever logs in next sets one up. Make sure that it is its user who
asks, and set another password too where somebody else may know it.

With --require the account needs one, whatever require_second_factor says; who has none
sets one up at the next log-in. Sessions that began before go on (users logout ends them).`,
		Example: `  keyturn users factors ada@example.com
  keyturn users factors ada@example.com --remove-all`,
		Args: cobra.ExactArgs(1),
	}
	cmd.Flags().StringVar(&remove, "remove", "", "remove the factor of this id")
	cmd.Flags().BoolVar(&all, "remove-all", false, "remove every factor")
	cmd.Flags().BoolVar(&require, "require", false, "have the account log in with a second factor alone")
	cmd.Flags().BoolVar(&free, "no-require", false, "take that back")
	cmd.MarkFlagsMutuallyExclusive("remove", "remove-all", "require", "no-require")
	p.withUser(cmd, func(*config.Config, []string) error {
		if cmd.Flags().Changed("remove") && remove == "" {
			return usageError{errors.New("--remove is empty: give the id of a factor")}
		}
		return nil
	}, func(d *deployment, s *users.Service, u users.User) error {
		switch {
		case remove != "":
			if err := s.RemoveFactor(d.ctx, u.UID, remove); errors.Is(err, users.ErrNoFactor) {
				return fmt.Errorf("%s has no second factor %s; see keyturn users factors %s", nameOf(u), remove, nameOf(u))
			} else if err != nil {
				return err
			}
			return p.sayRemoved(u, 1)
		case require || free:
			if err := s.RequireFactor(d.ctx, u.UID, require); err != nil {
				return err
			}
			word := "needs"
			if free {
				word = "does not need"
			}
			return p.say(answer{"uid": u.UID, "required": require}, "%s %s a second factor\n", nameOf(u), word)
		case all:
			n, err := s.RemoveFactors(d.ctx, u.UID)
			if err != nil {
				return err
			}
			return p.sayRemoved(u, n)
		}
		return p.printFactors(u)
	})
	return cmd
}

func (p *program) sayRemoved(u users.User, n int) error {
	return p.say(answer{"uid": u.UID, "removed": n}, "%s of %s removed\n", counted(n, "second factor"), nameOf(u))
}

func (p *program) printFactors(u users.User) error {
	rows := make([]factorRow, 0, len(u.Factors.List))
	for _, f := range u.Factors.List {
		rows = append(rows, factorRow{f.ID, f.Kind, f.Name, f.CreatedAt, f.LastUsedAt})
	}
	now := time.Now()
	return p.print(rows, func(w io.Writer) {
		table(w, "FACTOR\tKIND\tNAME\tADDED\tLAST USED", func(row func(...any)) {
			for _, r := range rows {
				used := ""
				if !r.LastUsedAt.IsZero() {
					used = when(r.LastUsedAt, now)
				}
				row(r.ID, r.Kind, r.Name, when(r.CreatedAt, now), used)
			}
		})
		if u.Factors.Required {
			fmt.Fprintln(w, "The account needs a second factor.")
		}
	})
}
