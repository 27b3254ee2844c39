package main

import (
	"errors"
	"fmt"
	"io"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"github.com/keyturn/keyturn/internal/audit"
	"github.com/keyturn/keyturn/internal/config"
	"github.com/keyturn/keyturn/users"
)

// grantRow is what an account lets a client have, as commands print it.
type grantRow struct {
	ClientID  string    `json:"client_id"`
	Scope     string    `json:"scope"`
	GrantedAt time.Time `json:"granted_at"`
}

func (p *program) usersGrantsCommand() *cobra.Command {
	var withdraw string
	cmd := &cobra.Command{
		Use:   "grants EMAIL|USERNAME|UID",
		Short: "List what an account lets clients have, or withdraw it",
		Long: `Lists what the user consented to let clients of third parties have. With --withdraw
it is taken back from one of them, and the user's sessions with that client end.`,
		Example: `  keyturn users grants ada@example.com
  keyturn users grants ada@example.com --withdraw wiki`,
		Args: cobra.ExactArgs(1),
	}
	cmd.Flags().StringVar(&withdraw, "withdraw", "", "take back what this client may have")
	p.withUser(cmd, func(_ *config.Config, args []string) error {
		if f := cmd.Flags().Lookup("withdraw"); f.Changed && withdraw == "" {
			return usageError{fmt.Errorf("--withdraw is empty: give a client's id; see keyturn users grants %s", args[0])}
		}
		return nil
	}, func(d *deployment, s *users.Service, u users.User) error {
		if withdraw != "" {
			n, err := s.WithdrawConsent(d.ctx, u.UID, withdraw, audit.ReasonLoggedOutByOperator)
			if errors.Is(err, users.ErrNoConsent) {
				return fmt.Errorf("%s lets no client %s have anything; see keyturn users grants %s", nameOf(u), withdraw, nameOf(u))
			}
			if err != nil {
				return err
			}
			return p.say(answer{"uid": u.UID, "client_id": withdraw, "sessions_ended": n}, "%s may have nothing of %s any more; %s ended\n", withdraw, nameOf(u), counted(n, "session"))
		}
		rows := make([]grantRow, 0, len(u.Consents))
		for _, c := range u.Consents {
			rows = append(rows, grantRow{c.ClientID, strings.Join(c.Scope, " "), c.GivenAt})
		}
		return p.print(rows, func(w io.Writer) {
			table(w, "CLIENT\tSCOPE\tSINCE", func(row func(...any)) {
				for _, r := range rows {
					row(r.ClientID, r.Scope, when(r.GrantedAt, time.Now()))
				}
			})
		})
	})
	return cmd
}
