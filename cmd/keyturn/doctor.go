package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"time"

	"github.com/spf13/cobra"

	"github.com/keyturn/keyturn/internal/config"
	"github.com/keyturn/keyturn/internal/doctor"
)

func (p *program) doctorCommand() *cobra.Command {
	var inside bool
	cmd := &cobra.Command{
		Use:   "doctor",
		Short: "Look at a deployment as its clients see it, and say what to fix",
		Long: `Asks the issuer for its public documents, as clients and resource servers do,
and checks: is it reachable, is TLS in order, do the clocks agree, do the
metadata agree with the issuer, is a standby key published, can the key set be
cached, is the token endpoint passed on and never cached, does the store answer
and how fast, does the server warn of its keys, does it believe an address that a
client writes into X-Forwarded-For, is anything public that should not be. It
changes nothing and leaves no event. Run it from where your resource
servers are: it needs nothing but the issuer's URL.

With --inside it also opens the store that the settings name, checks whether its
keys are those published, the schedule of the keys and whether a password hash lacks its pepper, logs in to
the mail server, or connects to the webhook that takes letters (nothing is sent), and says which database engine it is. The exit code is 1 if any check fails.`,
		Example: `  keyturn doctor --issuer https://login.example.com
  keyturn doctor --issuer https://login.example.com --inside --config keyturn.yaml`,
		Args: cobra.NoArgs,
	}
	p.withSettings(cmd, func(ctx context.Context, cfg *config.Config, args []string) error {
		if cfg.Issuer == "" {
			return usageError{errors.New("--issuer is needed: the URL that clients use")}
		}
		d := doctor.New(cfg.Issuer, cfg.ClockSkew, nil, time.Now)
		found := d.Examine(ctx)
		if !inside {
			return p.printFindings(found)
		}
		return p.onStore(ctx, cfg, args, func(in *deployment, _ []string) error {
			list, err := in.listKeys()
			if err != nil {
				return err
			}
			found = append(found, d.SameKeys(list), doctor.Schedule(list, cfg.KeyRotationInterval, time.Now()))
			if e, on := engineOf(in.store); on {
				found = append(found, doctor.Engine(e.String(), e.Breaks != ""))
			}
			if err := in.checkFirstParty(); err != nil {
				found = append(found, doctor.Finding{Check: "first-party client", Verdict: doctor.Failure, Seen: err.Error(), Fix: "change one of the two: a server that starts refuses them"})
			}
			needed, err := in.needsPepper(ctx)
			if err != nil {
				return err
			}
			found = append(found, doctor.Pepper(needed, cfg.PepperFile != ""))
			if cfg.Mail() {
				found = append(found, in.tryMail())
			}
			return p.printFindings(found)
		})
	})
	cmd.Flags().BoolVar(&inside, "inside", false, "open the store, too, and check the schedule of the keys")
	return cmd
}

// printFindings prints the findings. It returns an error if any check failed.
func (p *program) printFindings(found []doctor.Finding) error {
	failed := 0
	err := p.print(found, func(w io.Writer) {
		for _, f := range found {
			fmt.Fprintf(w, "%-8s %s: %s\n", f.Verdict, f.Check, f.Seen)
			if f.Fix != "" {
				fmt.Fprintf(w, "         fix: %s\n", f.Fix)
			}
		}
	})
	for _, f := range found {
		if f.Verdict == doctor.Failure {
			failed++
		}
	}
	if err == nil && failed > 0 {
		err = fmt.Errorf("%d of %d checks failed", failed, len(found))
	}
	return err
}
