package main

import (
	"fmt"
	"os"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"github.com/keyturn/keyturn/internal/audit"
)

func (p *program) auditTailCommand() *cobra.Command {
	var filter audit.Filter
	var since time.Duration
	var follow bool
	cmd := &cobra.Command{
		Use:     "tail FILE",
		Short:   "Print the audit log for people, one event a line",
		Example: `  keyturn audit tail --follow --action token-reuse keyturn-audit.log`,
		Args:    cobra.ExactArgs(1),
		RunE: func(cmd *cobra.Command, args []string) error {
			if since > 0 {
				filter.Since = time.Now().Add(-since)
			}
			show := func(line []byte) error {
				if !filter.Match(line) {
					return nil
				}
				if p.output == "json" {
					_, err := fmt.Fprintf(p.stdout, "%s\n", line)
					return err
				}
				_, err := fmt.Fprintln(p.stdout, audit.Format(line, p.colour()))
				return err
			}
			if follow {
				return audit.Follow(cmd.Context(), args[0], show)
			}
			return audit.Lines(args[0], show)
		},
	}
	f := cmd.Flags()
	f.BoolVarP(&follow, "follow", "f", false, "go on with what is written from now on")
	f.StringVar(&filter.User, "user", "", "only events of this user: uid or e-mail address")
	f.StringVar(&filter.Client, "client", "", "only events of this client")
	f.StringVar(&filter.IP, "ip", "", "only events from this address")
	f.StringVar(&filter.Action, "action", "", "only events of this action, such as token-reuse")
	f.DurationVar(&since, "since", 0, "only events of the last so long, such as 1h")
	return cmd
}

// colour is wanted on a terminal, unless NO_COLOR is set.
func (p *program) colour() bool {
	for _, v := range p.environ {
		if strings.HasPrefix(v, "NO_COLOR=") && v != "NO_COLOR=" {
			return false
		}
	}
	f, ok := p.stdout.(*os.File)
	if !ok {
		return false
	}
	info, err := f.Stat()
	return err == nil && info.Mode()&os.ModeCharDevice != 0
}
