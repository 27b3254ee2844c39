package main

import (
	"fmt"
	"io"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"github.com/keyturn/keyturn/internal/audit"
	"github.com/keyturn/keyturn/internal/audit/verify"
)

func (p *program) auditTailCommand() *cobra.Command {
	var filter verify.Filter
	var outcome string
	since, until := moment{now: time.Now}, moment{now: time.Now}
	var follow bool
	cmd := &cobra.Command{
		Use:   "tail FILE…",
		Short: "Print the audit log for people, one event a line",
		Long: `Prints the events of a log that pass every filter given: for people, coloured on a
terminal unless NO_COLOR is set, or with --output json the lines as they stand in
the log. It takes the files as audit verify does: rotated ones in any order, each
compressed or not; - is standard input. The logs of several replicas are merged by
time.

With --follow it goes on with what is written from then on, from one file to the
next when the log is rotated; it then takes the name that the server writes to.`,
		Example: `  keyturn audit tail --follow --action token-reuse keyturn-audit.log
  keyturn audit tail --since 24h --outcome failure --ip 192.0.2.0/24 keyturn-audit.log
  keyturn audit tail --since 2026-11-24 --action 'user-*,client-*' keyturn-audit.log*`,
		Args: cobra.MinimumNArgs(1),
		RunE: func(cmd *cobra.Command, args []string) error {
			filter.Since, filter.Until, filter.Outcome = since.Time, until.Time, audit.Outcome(outcome)
			if err := filter.Check(); err != nil {
				return usageError{err}
			}
			shown := false
			show := func(line []byte) error {
				passes := filter.Match(line)
				if shown = shown || passes; !passes {
					return nil
				}
				return p.showEvent(line)
			}
			switch {
			case follow && len(args) > 1:
				return usageError{fmt.Errorf("--follow takes one file, the one that the server writes to: it finds the next by itself")}
			case follow && args[0] == "-":
				return usageError{fmt.Errorf("--follow needs a file: standard input is read to its end without it")}
			case follow:
				return verify.Follow(cmd.Context(), args[0], show)
			}
			err := verify.Lines(args, show)
			if err == nil && !shown {
				fmt.Fprintln(p.stderr, "keyturn: no event of these files passes the filters")
			}
			return err
		},
	}
	f := cmd.Flags()
	f.BoolVarP(&follow, "follow", "f", false, "go on with what is written from now on")
	f.StringVar(&filter.User, "user", "", "only events of this user: uid or e-mail address")
	f.StringVar(&filter.Client, "client", "", "only events of this client")
	f.StringVar(&filter.Session, "session", "", "only events of this session (refresh-token family)")
	f.StringVar(&filter.IP, "ip", "", "only events from this address or network, such as 192.0.2.0/24")
	f.StringSliceVar(&filter.Actions, "action", nil, "only events of these actions, such as token-reuse or 'user-*'")
	f.StringVar(&outcome, "outcome", "", "only events that ended so: success or failure")
	f.StringSliceVar(&filter.Reasons, "reason", nil, "only events for these reasons, such as wrong_password")
	f.Var(&since, "since", "only events from this time on, or of the last so long, such as 1h")
	f.Var(&until, "until", "only events before this time, or older than so long")
	return cmd
}

// showEvent prints a line of the log.
func (p *program) showEvent(line []byte) error {
	if p.output == "json" {
		text := string(line)
		if terminal(p.stdout) != nil {
			text = visibleJSON(text)
		}
		_, err := io.WriteString(p.stdout, text+"\n")
		return err
	}
	_, err := io.WriteString(p.stdout, verify.Format(line, p.colour())+"\n")
	return err
}

// colour reports whether to use colour: on a terminal, unless NO_COLOR is set.
func (p *program) colour() bool {
	for _, v := range p.environ {
		if strings.HasPrefix(v, "NO_COLOR=") && v != "NO_COLOR=" {
			return false
		}
	}
	return terminal(p.stdout) != nil
}
