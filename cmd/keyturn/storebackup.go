package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"strings"
	"syscall"
	"time"

	"github.com/spf13/cobra"

	"github.com/keyturn/keyturn/internal/audit"
	"github.com/keyturn/keyturn/internal/audit/line"
	"github.com/keyturn/keyturn/internal/audit/verify"
	"github.com/keyturn/keyturn/internal/config"
	"github.com/keyturn/keyturn/internal/store"
	"github.com/keyturn/keyturn/internal/store/sqlite"
)

func (p *program) storeBackupCommand() *cobra.Command {
	cmd := &cobra.Command{
		Use:   "backup FILE",
		Short: "Copy a SQLite store as it is at one moment, while its server runs",
		Long: `Writes what the store holds at one moment to a new file (mode 0600), while a server
works on it, and verifies the copy from end to end. The copy holds no space that
the store has free. Back up the master key file too, apart from it.

Copying keyturn.db itself loses what is in the log beside it. For MongoDB use
keyturn store copy, or mongodump.`,
		Example: `  keyturn store backup /backup/keyturn-$(date +%F).db`,
		Args:    cobra.ExactArgs(1),
	}
	return p.movesStore(cmd, decideBackup, func(cfg *config.Config, file string) (from, to string) { return cfg.SQLitePath(), file })
}

func (p *program) storeRestoreCommand() *cobra.Command {
	cmd := &cobra.Command{
		Use:   "restore FILE",
		Short: "Put a backup in the place of a SQLite store",
		Long: `Writes a backup to the place where the settings have the store, and verifies it
from end to end. Nothing is written over: stop the server first and move what is
left of the old store away, keyturn.db, keyturn.db-wal and keyturn.db-shm.

The store then knows neither the chains of the audit log that were begun since the
backup nor the keys that were made since. It takes the heads of the log's chains
over, if the log is a file, and the event store-restored tells audit verify why; of
any other log give the files to keyturn store restored.

Sessions that were refreshed since the backup go on; what was revoked since then
is not revoked any more: repeat it.`,
		Example: `  keyturn store restore /backup/keyturn-2026-11-28.db`,
		Args:    cobra.ExactArgs(1),
	}
	return p.movesStore(cmd, decideRestore, func(cfg *config.Config, file string) (from, to string) { return file, cfg.SQLitePath() })
}

// backedUp is the printed result of a backup or a restore.
type backedUp struct {
	File     string `json:"file"`
	Bytes    int64  `json:"bytes"`
	Users    int64  `json:"users"`
	Clients  int64  `json:"clients"`
	Sessions int64  `json:"sessions"`
}

// movesStore makes cmd copy between the SQLite store of the settings and the file of
// its argument. The new file gets its name once the event is in the log; if that
// fails there is no file, and repeating the command succeeds.
func (p *program) movesStore(cmd *cobra.Command, decide decideCopy, ends func(cfg *config.Config, file string) (from, to string)) *cobra.Command {
	p.withSettings(cmd, func(ctx context.Context, cfg *config.Config, args []string) error {
		if cfg.SQLitePath() == "" {
			return usageError{errors.New("this is for a SQLite store: use keyturn store copy, or mongodump and mongorestore")}
		}
		if args[0] == "-" {
			return usageError{errors.New("a backup is a file, which is verified where it is: name one, not a stream")}
		}
		from, to := ends(cfg, args[0])
		return p.backup(ctx, cfg, from, to, decide)
	})
	return cmd
}

func (p *program) backup(ctx context.Context, cfg *config.Config, from, to string, decide decideCopy) error {
	d := &deployment{ctx: audit.WithRequest(ctx, audit.Request{Operator: p.operator}), cfg: cfg, log: p.logger(cfg)}
	if err := d.checkAudit(); err != nil {
		return err
	}
	var told func(audit.Event) error
	var event audit.Event
	bar := p.newBar()
	sizes, err := sqlite.Backup(ctx, from, to, bar.show, func(partial string) (err error) {
		bar.end()
		event, told, err = decide(d, partial, from)
		return err
	})
	bar.end()
	if err != nil && told != nil {
		err = errors.Join(err, told(failed(event))) // the copy could not be renamed
	}
	if err != nil {
		return err
	}
	info, err := os.Stat(to)
	if err != nil {
		return err
	}
	made := backedUp{File: to, Bytes: info.Size(), Users: sizes.Users, Clients: sizes.Clients, Sessions: sizes.Families}
	return p.print(made, func(w io.Writer) {
		fmt.Fprintf(w, "%s: %s, %s, %s, %s; verified\n", visible(made.File), counted(made.Bytes, "byte"),
			counted(made.Users, "user"), counted(made.Clients, "client"), counted(made.Sessions, "session"))
	})
}

// decideCopy writes the event of a copy that has a temporary name. It returns the
// event and a function that records it once more.
type decideCopy func(d *deployment, partial, from string) (audit.Event, func(audit.Event) error, error)

func decideBackup(d *deployment, _, from string) (e audit.Event, told func(audit.Event) error, err error) {
	tell := func(e audit.Event) error {
		s, err := openStore(d.ctx, d.cfg.Store.Reveal(), passing(d.cfg))
		if err != nil {
			return err
		}
		defer s.Close()
		d.store = s
		sink, err := d.commandSink(d.ctx, s, d.cfg.Store.Reveal())
		if err != nil {
			return err
		}
		return d.recordOnce(sink, e, s)
	}
	e = auditDecision(audit.StoreCopied)
	e.Detail = "backup of " + filepath.Base(from)
	if err := tell(e); err != nil {
		return e, nil, err
	}
	return e, tell, nil
}

// decideRestore works on the copy, which will be the store, so that its own chain is
// anchored there.
func decideRestore(d *deployment, partial, from string) (e audit.Event, told func(audit.Event) error, err error) {
	if err := giveTo(filepath.Dir(d.cfg.SQLitePath()), partial); err != nil {
		return e, nil, err
	}
	s, err := openStore(d.ctx, "sqlite:"+partial, passing(d.cfg))
	if err != nil {
		return e, nil, err
	}
	d.store = s
	defer func() { err = errors.Join(err, s.Close()) }()
	if err := checkHolds(d.ctx, s); err != nil {
		return e, nil, err
	}
	sink, err := d.commandSink(d.ctx, s, d.cfg.Store.Reveal())
	if err != nil {
		return e, nil, err
	}
	var files []string
	if isFile(sink) {
		if files, err = line.LogFiles(sink); err != nil {
			return e, nil, err
		}
	}
	e, doubtful, err := d.takeOver(sink, filepath.Base(from), files, false, false)
	var bad *verify.BadLine
	if errors.As(err, &bad) {
		// The log may be what was attacked, and the service has to go on.
		d.log.Error().Err(err).Msg("the heads of the log are not taken over, since it does not verify")
		e, _, err = d.takeOver(sink, filepath.Base(from), nil, false, false)
	}
	if doubtful != nil {
		d.log.Error().Err(doubtful).Msg("the store is restored; of the log it takes over less than all")
	}
	return e, nil, err
}

// checkHolds refuses a store without keys, users, clients and sessions.
func checkHolds(ctx context.Context, s store.Store) error {
	records, err := s.Keys(ctx)
	if err != nil || len(records) > 0 {
		return err
	}
	sizes, err := s.Sizes(ctx)
	if err == nil && sizes == (store.Sizes{}) {
		err = errHoldsNothing
	}
	return err
}

// giveTo gives a file that root created the owner of its directory, because a server
// runs as another user.
func giveTo(dir, file string) error {
	info, err := os.Stat(dir)
	if err != nil || os.Geteuid() != 0 {
		return err
	}
	as := info.Sys().(*syscall.Stat_t)
	return os.Chown(file, int(as.Uid), int(as.Gid))
}

// takeOver stores the heads of the log in files, which is ahead of a restored store,
// in the store, and records that. It leaves out the chains that nothing vouches for,
// which doubtful names, unless all is set. What was restored elsewhere has to lack
// something: the event would explain what is still to be lost.
func (d *deployment) takeOver(sink, backup string, files []string, elsewhere, all bool) (e audit.Event, doubtful, err error) {
	e = auditDecision(audit.StoreRestored)
	known, err := d.store.Anchors(d.ctx)
	if err != nil {
		return e, nil, err
	}
	set, err := publicKeys(d.ctx, d.store)
	if err != nil {
		return e, nil, err
	}
	e.Detail = backup + ", which knows of no line of the log"
	if n := len(known); n > 0 {
		e.Detail = fmt.Sprintf("%s, whose latest known line of the log is of %s", backup, known[n-1].At.UTC().Format(time.RFC3339))
	}
	ahead := []audit.Anchor{}
	if len(files) > 0 {
		if known == nil {
			known = []audit.Anchor{}
		}
		found, others, err := verify.Ahead(files, verify.Options{Keys: verify.KeySet(set), Anchors: known})
		if err != nil {
			return e, nil, err
		}
		if elsewhere && len(found)+len(others) == 0 {
			return e, nil, errNotRestored
		}
		if ahead = found; all {
			ahead = append(ahead, others...)
		} else if len(others) > 0 {
			doubtful = notVouchedFor(others)
		}
		e.Count = len(ahead)
	}
	if err := d.recordOnce(sink, e, d.store); err != nil {
		return e, nil, err
	}
	for _, a := range ahead {
		if err := d.store.SetAnchor(d.ctx, a); err != nil {
			return e, nil, errors.Join(err, d.recordOnce(sink, failed(e), d.store))
		}
	}
	return e, doubtful, nil
}

var errNotRestored = errors.New("the store knows the log as far as these files hold it, so it was not restored, or newer files of the log are missing; nothing is recorded")

// notVouchedFor names the latest of the chains that a restored store does not take over.
func notVouchedFor(chains []audit.Anchor) error {
	const named = 20
	var words []string
	for _, a := range chains[max(0, len(chains)-named):] {
		words = append(words, fmt.Sprintf("%s, written by %s until %s, %s", a.Chain, a.Node, a.At.UTC().Format(time.RFC3339), counted(a.Seq+1, "line")))
	}
	return fmt.Errorf("%s of the log without a signature by a key that the store knows: anybody may have put them there, and audit verify goes on to name them (%s). "+
		"Look at them; if they are the deployment's own, say so with keyturn store restored --unsigned FILE…", counted(len(chains), "chain"), strings.Join(words, "; "))
}

func (p *program) storeRestoredCommand() *cobra.Command {
	cmd := &cobra.Command{
		Use:   "restored FILE…",
		Short: "Say that the store was restored by other means",
		Long: `Says that the store was put back from a backup by other means than keyturn store
restore, such as mongorestore or a copy of a file. The store then knows neither the
chains of the audit log that were begun since the backup nor the keys that were
made since. FILE… are all files of the log, which is verified as far as the store
knows it: the store takes the heads of its chains over, so that nothing in it can be
changed from now on, and the event store-restored tells audit verify why.

A store that knows all of the log is refused. While a server runs, its log is up to a
minute ahead of the store: that is no reason to say this. A chain without a signature by a key that the store knows is named and not taken over:
anybody may have put it there. Commands without the master keys leave such chains, and
servers whose keys were all made since the backup. Look at them, and repeat the command
with --unsigned if they are the deployment's own.`,
		Example: `  keyturn store restored keyturn-audit.log*`,
		Args:    cobra.MinimumNArgs(1),
	}
	var unsigned bool
	cmd.Flags().BoolVar(&unsigned, "unsigned", false, "take over chains too that bear no signature by a key that the store knows")
	p.withStore(cmd, func(d *deployment, files []string) error {
		d.ctx = audit.WithRequest(d.ctx, audit.Request{Operator: p.operator})
		sink, err := d.commandSink(d.ctx, d.store, d.cfg.Store.Reveal())
		if err != nil {
			return err
		}
		e, doubtful, err := d.takeOver(sink, "restored by other means", files, true, unsigned)
		if err != nil {
			return err
		}
		taken := struct {
			Chains int    `json:"chains"`
			Detail string `json:"detail"`
		}{e.Count, e.Detail}
		return errors.Join(doubtful, p.print(taken, func(w io.Writer) {
			fmt.Fprintf(w, "The store knows %s more of the log.\n", counted(taken.Chains, "chain"))
		}))
	})
	return cmd
}
