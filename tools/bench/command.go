package main

import (
	"fmt"
	"os"
	"time"

	"github.com/spf13/cobra"
)

const longHelp = `keyturn-bench loads a Keyturn server with a closed loop: each client sends its
next request when it has the answer to the last one, over its own kept-alive
HTTP/1.1 connection. Latencies cover the sending of a request to the end of its
answer; a request under way when the time is up is waited for and its latency
counted, so that a stall cannot hide, but it is not in the rate.

Beside each scenario runs its floor, the least that a Go program on this machine
could do for the same answer, served by a child process under the same load:

  jwks                a bare net/http handler that serves the server's own bytes
  password            argon2id alone, on all cores, without HTTP (hashes/s)
  refresh             one ES256 signature and one durable, group-committed
                      SQLite update; --scope without openid for an answer that
                      has one signature too
  refresh-bound       as refresh: nobody is asked for a key. The clients make
                      their DPoP proofs before a run, up to 4000 a second for
                      each CPU and for 45 s: later and further ones are made in
                      the run, and are a part of what it measures
  client_credentials  one ES256 signature
  introspect          one ES256 verification

Floor and server take turns. Rates, processor time and ratios are medians over
the rounds, a ratio being that of one round's server to the same round's floor;
percentiles are those of all rounds together. Compare ratios, not rates: client,
server and floor share one machine.

Any answer that is not 2xx, or not what was asked for, is an error. It is
counted by status, is in no rate, and makes the exit status 1; a run ends after
1000 of them. The scenario password wants a server with login_throttle off: the
throttle takes many logins at once from one address for guessing, and answers
429. The runs leave the sessions that they opened to expire by themselves.`

// newCommand returns the command line.
func newCommand() *cobra.Command {
	s := settings{}
	cmd := &cobra.Command{
		Use:           "keyturn-bench --url URL",
		Short:         "Load a Keyturn server and compare it with what the machine could do",
		Long:          longHelp,
		Args:          cobra.NoArgs,
		SilenceUsage:  true,
		SilenceErrors: true,
		RunE: func(cmd *cobra.Command, _ []string) error {
			b, err := s.bench(cmd.InOrStdin())
			if err != nil {
				return err
			}
			b.progress = cmd.ErrOrStderr()
			rep, err := b.measure(cmd.Context())
			if err != nil {
				return err
			}
			if err := rep.write(cmd.OutOrStdout(), s.output); err != nil {
				return fmt.Errorf("write the report: %w", err)
			}
			if rep.Errors > 0 {
				return fmt.Errorf("%d requests failed", rep.Errors)
			}
			return nil
		},
	}
	s.flags(cmd)
	cmd.AddCommand(&cobra.Command{
		Use:    "floor",
		Short:  "Serve one floor for the keyturn-bench that started this one",
		Hidden: true,
		Args:   cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			return serveFloor(cmd.InOrStdin(), cmd.OutOrStdout())
		},
	})
	cmd.CompletionOptions.DisableDefaultCmd = true
	return cmd
}

// flags binds the fields of s to the flags of cmd.
func (s *settings) flags(cmd *cobra.Command) {
	f := cmd.Flags()
	f.SortFlags = false
	f.StringVar(&s.url, "url", "", "the server's issuer URL (required)")
	f.StringArrayVar(&s.scenarios, "scenario", []string{"all"},
		"what to run: jwks, password, refresh, refresh-bound, client_credentials, introspect or all; repeatable")
	f.StringVar(&s.clientID, "client-id", "", "client_id to authenticate as")
	f.StringVar(&s.clientSecretFile, "client-secret-file", "",
		"file with the client's secret, - for standard input; none for a public client")
	f.StringVar(&s.username, "username", "", "user to log in as")
	f.StringVar(&s.passwordFile, "password-file", "", "file with the user's password, - for standard input")
	f.StringVar(&s.usersFile, "users-file", "",
		"file of many users instead of one, a line USERNAME:PASSWORD for each")
	f.StringVar(&s.scope, "scope", "",
		"scope of the sessions; without it all that the client may have, and with openid each token has an ID token beside it, a signature more")
	f.IntVar(&s.clients, "clients", 32, "how many clients at once, 1 to 1024")
	f.DurationVar(&s.duration, "duration", 10*time.Second, "how long to measure each run, 10ms to 10m")
	f.DurationVar(&s.warmup, "warmup", 2*time.Second, "how long to load before measuring, 0s to 1m")
	f.IntVar(&s.rounds, "rounds", 3, "how many runs of each scenario, 1 to 25")
	f.Int64Var(&s.maxRequests, "max-requests", 10_000_000,
		"end a run after this many requests, warm-up included; 1 to 1000000000")
	f.BoolVar(&s.floors, "floors", true, "measure the floors too")
	f.StringVar(&s.argon2, "argon2", "19456,2,1",
		"argon2id cost of the password floor as MEMORY_KIB,PASSES,LANES; give the server's")
	f.StringVar(&s.floorDir, "floor-dir", os.TempDir(),
		"where the refresh floor keeps its database; give a directory on the disk of the server's store")
	f.IntVar(&s.pid, "pid", 0,
		"the server's process id; without it, looked up by the port where the URL is a loopback one")
	f.BoolVar(&s.allowRemote, "allow-remote", false,
		"allow a target that is not on this machine; have its owner's consent")
	f.StringVar(&s.output, "output", "text", "text or json")
}
