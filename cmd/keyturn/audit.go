package main

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"slices"
	"strings"
	"time"

	"github.com/go-jose/go-jose/v4"
	"github.com/spf13/cobra"

	"github.com/keyturn/keyturn/internal/audit"
	"github.com/keyturn/keyturn/internal/config"
	"github.com/keyturn/keyturn/internal/store"
)

func (p *program) auditCommand() *cobra.Command {
	cmd := &cobra.Command{
		Use: "audit", Short: "Verify and read the audit log", Args: cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error { return cmd.Help() },
	}
	cmd.AddCommand(p.auditVerifyCommand(), p.auditTailCommand())
	return cmd
}

func (p *program) auditVerifyCommand() *cobra.Command {
	var partial bool
	cmd := &cobra.Command{
		Use:   "verify FILE…",
		Short: "Find any line of the audit log that was tampered with",
		Long: `Reads the files, oldest first (gzipped ones too; - is standard input), and checks
every line against the chain that it belongs to. If the store is at hand, the
checkpoints' signatures and the chains' heads are checked as well, which finds
lines cut off at the end.

Exits with 0 and the counts, or with 1 and the file, the line and the reason.`,
		Example: `  keyturn audit verify keyturn-audit.log.1 keyturn-audit.log`,
		Args:    cobra.MinimumNArgs(1),
	}
	config.AddFlags(cmd.Flags())
	cmd.Flags().BoolVar(&partial, "partial", false, "the files are a part of the log and need not reach its end")
	cmd.RunE = func(cmd *cobra.Command, files []string) error {
		cfg, err := config.Load(cmd.Flags(), p.environ)
		if err != nil {
			return usageError{err}
		}
		o, err := verifyOptions(cmd.Context(), cfg)
		if err != nil {
			return err
		}
		o.Partial = partial
		report, err := audit.Verify(files, o)
		var bad *audit.BadLine
		if errors.As(err, &bad) && p.output == "json" {
			return errors.Join(err, p.print(bad, nil))
		}
		if err != nil {
			return err
		}
		return p.print(report, func(w io.Writer) {
			fmt.Fprintf(w, "%d lines in %d chains are as they were written; %d checkpoints verified, %d chains anchored\n",
				report.Lines, report.Chains, report.Checkpoints, report.Anchored)
			for _, note := range report.Notes {
				fmt.Fprintf(w, "note: %s\n", note)
			}
		})
	}
	return cmd
}

// verifyOptions asks the store for the heads and the public keys. A SQLite
// store that does not exist is not made for it: then the chains alone are
// checked, and the report says so.
func verifyOptions(ctx context.Context, cfg *config.Config) (o audit.VerifyOptions, err error) {
	if path := cfg.SQLitePath(); path != "" {
		if _, err := os.Stat(path); err != nil {
			return o, nil
		}
	}
	s, err := openStore(ctx, cfg.Store.Reveal())
	if err != nil {
		return o, err
	}
	defer s.Close()
	if o.Anchors, err = s.Anchors(ctx); err != nil {
		return o, err
	}
	if o.Anchors == nil {
		o.Anchors = []audit.Anchor{} // asked, and there are none
	}
	set, err := publicKeys(ctx, s)
	o.Keys = audit.KeySet(set)
	return o, err
}

// publicKeys are all that ever signed, archived and revoked ones included.
func publicKeys(ctx context.Context, s store.Store) (jose.JSONWebKeySet, error) {
	var set jose.JSONWebKeySet
	live, err := s.Keys(ctx)
	if err != nil {
		return set, err
	}
	archived, err := s.ArchivedKeys(ctx)
	if err != nil {
		return set, err
	}
	for _, r := range slices.Concat(live, archived) {
		var k jose.JSONWebKey
		if err := json.Unmarshal(r.Public, &k); err != nil {
			return set, fmt.Errorf("key %s: its public half is damaged: %w", r.KID, err)
		}
		set.Keys = append(set.Keys, k)
	}
	return set, nil
}

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
