package main

import (
	"cmp"
	"errors"
	"fmt"
	"io"
	"math"
	"time"

	"github.com/spf13/cobra"

	"github.com/keyturn/keyturn/internal/config"
	"github.com/keyturn/keyturn/users"
)

// sessionRow is a session as commands print it: where it was begun, and where it was
// used last.
type sessionRow struct {
	ID             string    `json:"id"`
	ClientID       string    `json:"client_id"`
	CreatedAt      time.Time `json:"created_at"`
	LastUsedAt     time.Time `json:"last_used_at"`
	ExpiresAt      time.Time `json:"expires_at"`
	FirstIP        string    `json:"first_ip"`
	FirstUserAgent string    `json:"first_user_agent"`
	IP             string    `json:"ip"`
	UserAgent      string    `json:"user_agent"`
}

func (p *program) usersSessionsCommand() *cobra.Command {
	cmd := &cobra.Command{Use: "sessions EMAIL|USERNAME|UID", Short: "List the live sessions of an account", Args: cobra.ExactArgs(1)}
	p.withStore(cmd, func(d *deployment, args []string) error {
		u, err := users.ByName(d.ctx, d.store, args[0])
		if u, err = found(args[0], u, err); err != nil {
			return err
		}
		families, err := d.store.FamiliesOfUser(d.ctx, u.UID, time.Now(), math.MaxInt32)
		if err != nil {
			return err
		}
		rows := make([]sessionRow, 0, len(families))
		for _, f := range families {
			rows = append(rows, sessionRow{f.ID, f.ClientID, f.CreatedAt, f.RotatedAt, f.IdleExpiresAt, f.FirstIP, f.FirstUserAgent, f.LastIP, f.LastUserAgent})
		}
		now := time.Now()
		return p.print(rows, func(w io.Writer) {
			table(w, "SESSION\tCLIENT\tBEGAN\tFROM\tDEVICE\tLAST USED\tFROM\tDEVICE", func(row func(...any)) {
				for _, r := range rows {
					row(r.ID, cmp.Or(r.ClientID, "(browser)"), when(r.CreatedAt, now), r.FirstIP, r.FirstUserAgent, when(r.LastUsedAt, now), r.IP, r.UserAgent)
				}
			})
		})
	})
	return cmd
}

func (p *program) usersLogoutCommand() *cobra.Command {
	var session, allBut string
	cmd := &cobra.Command{
		Use:   "logout EMAIL|USERNAME|UID",
		Short: "End the sessions of an account: all, one, or all but one",
		Long: `Ends sessions at once, on every replica. keyturn users sessions lists them.
Without a flag all of them end. A session that has ended already is no error, so
that the command can be repeated; one that is not the account's is.`,
		Example: `  keyturn users logout ada@example.com
  keyturn users logout ada@example.com --session 0b34c1de-8d6e-4ba8-9f0c-3d1f3a0f2f53`,
		Args: cobra.ExactArgs(1),
	}
	cmd.Flags().StringVar(&session, "session", "", "end this session alone")
	cmd.Flags().StringVar(&allBut, "all-but", "", "end all sessions but this one, which must live")
	cmd.MarkFlagsMutuallyExclusive("session", "all-but")
	p.withUser(cmd, func(_ *config.Config, args []string) error {
		for _, flag := range []string{"session", "all-but"} {
			if f := cmd.Flags().Lookup(flag); f.Changed && f.Value.String() == "" {
				return usageError{fmt.Errorf("--%s is empty: give a session's id; see keyturn users sessions %s", flag, args[0])}
			}
		}
		return nil
	}, func(d *deployment, s *users.Service, u users.User) error {
		n, err := endSessions(d, s, u, session, allBut)
		if errors.Is(err, users.ErrNoSession) && session != "" {
			return fmt.Errorf("%s has no session %s; see keyturn users sessions %s", nameOf(u), session, nameOf(u))
		}
		if errors.Is(err, users.ErrNoSession) {
			return fmt.Errorf("%s has no live session %s, so none was ended; see keyturn users sessions %s", nameOf(u), allBut, nameOf(u))
		}
		if err != nil {
			return err
		}
		return p.say(answer{"uid": u.UID, "sessions_ended": n}, "%s of %s ended\n", counted(n, "session"), nameOf(u))
	})
	return cmd
}

func endSessions(d *deployment, s *users.Service, u users.User, session, allBut string) (int, error) {
	if session == "" {
		return s.EndSessions(d.ctx, u.UID, allBut)
	}
	ended, err := s.EndSession(d.ctx, u.UID, session)
	if ended {
		return 1, err
	}
	return 0, err
}

func (p *program) clientsLogoutCommand() *cobra.Command {
	cmd := &cobra.Command{
		Use: "logout ID", Short: "End all sessions of a client; its users can log in again", Args: cobra.ExactArgs(1),
	}
	p.withDeployment(cmd, nil, func(d *deployment, args []string) error {
		n, err := d.clients().EndSessions(d.ctx, args[0])
		if err != nil {
			return fmt.Errorf("client %s: %w", args[0], err)
		}
		return p.say(answer{"client_id": args[0], "sessions_ended": n}, "%s of client %s ended\n", counted(n, "session"), args[0])
	})
	return cmd
}
