package main

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"slices"
	"time"

	"github.com/go-jose/go-jose/v4"
	"github.com/spf13/cobra"
	"github.com/spf13/pflag"

	"github.com/keyturn/keyturn/internal/audit"
	"github.com/keyturn/keyturn/internal/audit/verify"
	"github.com/keyturn/keyturn/internal/config"
	"github.com/keyturn/keyturn/internal/store"
)

func (p *program) auditVerifyCommand() *cobra.Command {
	var o verifyFlags
	cmd := &cobra.Command{
		Use:   "verify FILE…",
		Short: "Find any line of the audit log that was tampered with",
		Long: `Reads the files of one log in the order of their times (compressed with gzip or
zstd too; - is standard input) and checks every line against the chain that it
belongs to. If the store is at hand, the checkpoints' signatures and the chains'
heads are checked as well, which finds lines cut off at the end.

With --keys or --heads the store is not asked, unless --store is given as well: what
the files hold is then judged by what was kept elsewhere. With --no-store it is not
asked in any case.

Chains that the store or the heads know must be in the files. Give the logs of all
replicas together, or say with --elsewhere whose chains are in other logs, and with
--since from when on the log is whole where older files were deleted. The files must
reach back to that time. Notes say which known chains these let be missing.

Exits with 0 and the counts; with 1 and the file, the line and the reason where
something was changed or is missing; with 2 where the command line is wrong; and
with 3 where a file, the keys, the heads or the store cannot be read.`,
		Example: `  keyturn audit verify keyturn-audit.log*
  zcat old.log.gz | keyturn audit verify --keys keyturn-keys.json --partial -`,
		Args: cobra.MinimumNArgs(1),
	}
	o.add(cmd.Flags())
	o.since.now = time.Now
	cmd.Flags().Var(&o.since, "since", "the log is whole from this time on, or for the last so long, such as 2160h; older files were deleted")
	p.withSettings(cmd, func(ctx context.Context, cfg *config.Config, files []string) error {
		o.asks = cmd.Flags().Changed("store")
		o, err := o.options(ctx, cfg)
		if err != nil {
			return unreadable(err)
		}
		report, err := verify.Files(files, o)
		var bad *verify.BadLine
		if errors.As(err, &bad) && p.output == "json" {
			return errors.Join(err, p.print(bad, nil))
		}
		if err != nil {
			return unreadable(err)
		}
		return p.print(report, func(w io.Writer) {
			if report.Lines == 0 {
				fmt.Fprintln(w, "the files hold no line: there was nothing to verify")
			} else {
				fmt.Fprintf(w, "%s in %s, all as they were written; %s verified, %s anchored\n",
					counted(report.Lines, "line"), counted(report.Chains, "chain"), counted(report.Checkpoints, "checkpoint"), counted(report.Anchored, "chain"))
			}
			if report.Repeated > 0 {
				fmt.Fprintf(w, "%s of a line passed over\n", counted(report.Repeated, "exact repeat"))
			}
			for _, note := range report.Notes {
				fmt.Fprintf(w, "note: %s\n", note)
			}
		})
	})
	return cmd
}

// verifyFlags are the flags about the evidence for audit verify.
type verifyFlags struct {
	partial, signed, repeats bool
	alone                    bool // do not ask the store
	asks                     bool // ask the store even if keys or heads are given
	keys, heads              string
	elsewhere                []string
	since                    moment
}

func (f *verifyFlags) add(to *pflag.FlagSet) {
	to.BoolVar(&f.partial, "partial", false, "the files are a part of the log and need not reach its end")
	to.BoolVar(&f.signed, "signed", false, "refuse chains without a signature, as commands without the master keys leave them")
	to.BoolVar(&f.repeats, "repeats", false, "pass over exact repeats of lines, which syslog brings when a connection was cut")
	to.StringSliceVar(&f.elsewhere, "elsewhere", nil, "the chains of this node are in other logs; a * at its end stands for any ending")
	to.BoolVar(&f.alone, "no-store", false, "do not ask the store, whichever the settings name")
	to.StringVar(&f.keys, "keys", "", "verify signatures with the public keys in this file (keyturn audit keys)")
	to.StringVar(&f.heads, "heads", "", "the log must hold the lines that this file names (keyturn audit heads)")
}

func (f verifyFlags) options(ctx context.Context, cfg *config.Config) (o verify.Options, err error) {
	if f.alone && f.asks {
		return o, usageError{errors.New("--no-store and --store contradict each other")}
	}
	if f.since.After(time.Now()) {
		return o, usageError{fmt.Errorf("the log cannot be whole from %s on: that is in the future", f.since.String())}
	}
	var kept jose.JSONWebKeySet
	var heads []audit.Anchor
	if f.keys != "" {
		err = readEvidence("keys", f.keys, &kept)
	}
	if err == nil && f.heads != "" {
		err = readEvidence("heads", f.heads, &heads)
	}
	if err == nil && (f.asks || !f.alone && f.keys == "" && f.heads == "") {
		o, err = verifyOptions(ctx, cfg)
	}
	if f.keys != "" {
		o.Keys = verify.KeySet(kept)
	}
	o.Heads = heads
	o.Partial, o.Signed, o.Repeats = f.partial, f.signed, f.repeats
	o.Elsewhere, o.Since = f.elsewhere, f.since.Time
	return o, err
}

// unreadableError says that something could not be read, so that the check has no
// result: exit code 3, which differs from those of an intact log and of one that was
// tampered with.
type unreadableError struct{ error }

func (e unreadableError) Unwrap() error { return e.error }

// unreadable wraps an error that is neither about the command line nor a fault found
// in the log.
func unreadable(err error) error {
	var bad *verify.BadLine
	if usage := (usageError{}); errors.As(err, &usage) || errors.As(err, &bad) {
		return err
	}
	return unreadableError{err}
}

// maxEvidence bounds the size of a file of keys or heads, in bytes.
const maxEvidence = 64 << 20

func readEvidence(flag, path string, v any) error {
	f, err := os.Open(path)
	if err != nil {
		return fmt.Errorf("--%s: %w", flag, err)
	}
	defer f.Close()
	text, err := io.ReadAll(io.LimitReader(f, maxEvidence))
	if err != nil {
		return fmt.Errorf("--%s: %w", flag, err)
	}
	err = json.Unmarshal(text, v)
	if err == nil && bytes.Equal(bytes.TrimSpace(text), []byte("null")) {
		err = errors.New("it holds nothing")
	}
	if err != nil {
		return fmt.Errorf("--%s %s is not what keyturn audit %s prints: %w", flag, path, flag, err)
	}
	return nil
}

// verifyOptions reads the heads and the public keys from the store. It does not create a
// missing SQLite store: if none was named, only the chains are checked, and the report
// says so.
func verifyOptions(ctx context.Context, cfg *config.Config) (o verify.Options, err error) {
	if err := checkThere(cfg); err != nil {
		if errors.Is(err, fs.ErrNotExist) && cfg.SourceOf("store") == config.FromDefault {
			err = nil
		}
		return o, err
	}
	s, err := openStore(ctx, cfg.Store.Reveal(), looking(cfg))
	if err != nil {
		return o, err
	}
	defer s.Close()
	if o.Anchors, err = s.Anchors(ctx); err != nil {
		return o, err
	}
	if o.Anchors == nil {
		o.Anchors = []audit.Anchor{} // the store was asked and has none
	}
	set, err := publicKeys(ctx, s)
	o.Keys = verify.KeySet(set)
	return o, err
}

// publicKeys returns the public halves of all keys that ever signed, including
// archived and revoked ones.
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
