// Command keyturn is an OAuth 2 authorization server with signing keys that turn by
// themselves, and the tool to run it; that is one idea, because each command is
// flags, a call into the packages below, and printing.
package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"os/signal"
	"strings"
	"syscall"
	"time"

	"github.com/spf13/cobra"

	"github.com/keyturn/keyturn/internal/audit"
	"github.com/keyturn/keyturn/internal/config"
	"github.com/keyturn/keyturn/internal/passwords"
)

// The exit codes.
const (
	exitOK     = 0
	exitFailed = 1
	exitUsage  = 2
	// exitUnread is for a check of the audit log that could not read a file or the
	// store.
	exitUnread = 3
)

func main() {
	if len(os.Args) == 2 && os.Args[1] == passwords.WorkerArgument {
		if err := passwords.Work(os.Stdin, os.Stdout); err != nil {
			fmt.Fprintln(os.Stderr, err)
			os.Exit(exitFailed)
		}
		return
	}
	signals := make(chan os.Signal, 2)
	signal.Notify(signals, syscall.SIGINT, syscall.SIGTERM)
	ctx, stop := context.WithCancel(context.Background())
	go func() {
		<-signals
		stop()
		// A second signal ends the process at once. Its default effect would not: shells
		// have SIGINT ignored for their background jobs.
		again := <-signals
		os.Exit(128 + int(again.(syscall.Signal)))
	}()
	p := &program{stdin: os.Stdin, stdout: os.Stdout, stderr: os.Stderr, environ: os.Environ(), exit: os.Exit}
	os.Exit(p.run(ctx, os.Args[1:]))
}

// program is one run of the command, with its access to the outside.
type program struct {
	stdin          io.Reader
	stdout, stderr io.Writer
	environ        []string
	output         string
	operator       audit.Operator
	// exit ends the process; it is nil if the process is not the program's own.
	exit func(code int)
}

// usageError is an error of the command line or a setting: exit code 2.
type usageError struct{ error }

func (e usageError) Unwrap() error { return e.error }

// asUsage makes a refusal of what a command line says a usageError.
func asUsage(err error) error {
	if err == nil {
		return nil
	}
	return usageError{err}
}

func (p *program) run(ctx context.Context, args []string) int {
	root := p.root()
	p.operator = operator(args, p.environ)
	err := complete(root)
	cmd := root
	if err == nil {
		root.SetArgs(kidsLast(root, args))
		cmd, err = root.ExecuteContextC(ctx)
	}
	if err == nil {
		return exitOK
	}
	fmt.Fprintf(p.stderr, "keyturn: %s; see %s\n", strings.TrimSuffix(visible(err.Error()), "."), pageFor(cmd, err))
	if _, ok := errors.AsType[usageError](err); ok {
		return exitUsage
	}
	if _, ok := errors.AsType[unreadableError](err); ok {
		return exitUnread
	}
	return exitFailed
}

// commandGrace is how long a command may take to end after a signal.
const commandGrace = 5 * time.Second

// giveUp ends a command that hangs after a signal because a log or a store does not
// answer. Other processes complete what it began, as after any death of a process.
func (p *program) giveUp(ctx context.Context) {
	context.AfterFunc(ctx, func() {
		time.Sleep(commandGrace)
		fmt.Fprintln(p.stderr, "keyturn: interrupted; the log or the store does not answer, and what was begun is carried on when it does")
		p.exit(exitFailed)
	})
}

func (p *program) root() *cobra.Command {
	root := &cobra.Command{
		Use:   "keyturn",
		Short: "OAuth 2 authorization server whose signing keys turn by themselves",
		Long: `Keyturn is an OAuth 2 and OpenID Connect authorization server. People log in at
its pages, or with their password in an application of yours; applications get
short-lived signed access tokens, and refresh tokens for more; resource servers
fetch its public keys, which turn by themselves, and verify those tokens alone.
Every decision is in one audit log that nobody can edit unnoticed.

Start with "keyturn serve --dev" in an empty directory. Settings are flags,
KEYTURN_* variables and an optional YAML file (--config), under the same names;
"keyturn config" shows what is in force and where it came from.

The exit code is 0 for success, 1 for a failure, and 2 for a command line or a
setting that is wrong, where nothing was made or changed; audit verify has 3 too.`,
		SilenceUsage:  true,
		SilenceErrors: true,
		Args:          cobra.NoArgs,
		PersistentPreRunE: func(cmd *cobra.Command, _ []string) error {
			if p.exit != nil && cmd.Name() != "serve" { // serve drains according to its settings
				p.giveUp(cmd.Context())
			}
			if p.output != "text" && p.output != "json" {
				return usageError{fmt.Errorf("--output %q: use text or json", p.output)}
			}
			return nil
		},
		RunE: func(cmd *cobra.Command, _ []string) error { return cmd.Help() },
	}
	root.SetIn(p.stdin)
	root.SetOut(p.stdout)
	root.SetErr(p.stderr)
	root.SetFlagErrorFunc(flagError)
	root.SetGlobalNormalizationFunc(config.NormalizeFlag)
	root.PersistentFlags().StringVar(&p.output, "output", "text", "how to print the result: text or json")
	root.AddCommand(p.serveCommand(), p.usersCommand(), p.clientsCommand(), p.keysCommand(),
		p.auditCommand(), p.storeCommand(), p.configCommand(), p.versionCommand(), p.healthcheckCommand(), p.doctorCommand(), p.manCommand())
	wrapArgErrors(root)
	groupFlags(root)
	return root
}

// group returns a command that only has subcommands.
func group(use, short string, commands ...*cobra.Command) *cobra.Command {
	cmd := &cobra.Command{
		Use: use, Short: short, Args: cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error { return cmd.Help() },
	}
	cmd.AddCommand(commands...)
	return cmd
}

// wrapArgErrors makes a wrong number of arguments a usage error in all commands.
func wrapArgErrors(cmd *cobra.Command) {
	if check := cmd.Args; check != nil {
		cmd.Args = func(cmd *cobra.Command, args []string) error {
			err := check(cmd, args)
			if err == nil {
				return nil
			}
			usage := cmd.UseLine()
			if cmd.HasAvailableSubCommands() {
				usage = cmd.CommandPath() + " [command]"
			}
			return usageError{fmt.Errorf("%w\nusage: %s", err, usage)}
		}
	}
	for _, sub := range cmd.Commands() {
		wrapArgErrors(sub)
	}
}
