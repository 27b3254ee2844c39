package main

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"time"

	"github.com/google/uuid"
	"github.com/spf13/cobra"

	"github.com/keyturn/keyturn/internal/audit"
	auditlog "github.com/keyturn/keyturn/internal/audit/log"
	"github.com/keyturn/keyturn/internal/config"
	"github.com/keyturn/keyturn/internal/store"
	"github.com/keyturn/keyturn/internal/store/inspect"
	"github.com/keyturn/keyturn/internal/store/transfer"
)

func (p *program) storeCommand() *cobra.Command {
	return group("store", "Check, copy, back up, restore or migrate a store",
		p.storeCheckCommand(), p.storeCopyCommand(), p.storeBackupCommand(), p.storeRestoreCommand(), p.storeRestoredCommand(), p.storeMigrateCommand())
}

func (p *program) storeCheckCommand() *cobra.Command {
	cmd := &cobra.Command{
		Use:   "check",
		Short: "Read every record of the store and print counts and checksums",
		Long: `Examines the store itself (the pages of a SQLite file, the indexes of a MongoDB
database) and reads every record: whether sessions belong to accounts and clients
that exist, and whether the master keys given open the signing keys and are those
of the sessions. Exit code 1 and what is wrong, with names, if anything is, or if
the store holds nothing.

Two stores that print the same checksums hold the same data, whatever engine
keeps them. Records that have expired are left out: a store may remove them at
any moment.`,
		Args: cobra.NoArgs,
	}
	p.withStore(cmd, func(d *deployment, _ []string) error {
		digests, err := p.checkStore(d)
		if err != nil {
			return err
		}
		return p.printDigests(digests)
	})
	return cmd
}

var errHoldsNothing = errors.New("the store holds nothing: no server or command worked on it, it is another than was meant, or a copy of a SQLite file alone, made while a server ran, whose data was in the log beside it (-wal)")

func (p *program) checkStore(d *deployment) ([]transfer.KindDigest, error) {
	masters, err := d.givenMasters()
	if errors.Is(err, errNoMasters) {
		d.log.Warn().Msg("no master key is given: whether it opens the signing keys, and is that of the sessions, is not checked; see master_key_file")
	} else if err != nil {
		return nil, err
	}
	if err := checkHolds(d.ctx, d.store); errors.Is(err, errHoldsNothing) {
		return nil, err
	}
	wrong, err := d.store.Check(d.ctx)
	if err != nil {
		return nil, err
	}
	bar := p.newBar()
	defer bar.end()
	if len(wrong) == 0 {
		if wrong, err = inspect.Records(d.ctx, d.store, masters, time.Now(), bar.show); err != nil {
			return nil, err
		}
	}
	if len(wrong) > 0 {
		return nil, errors.New("the store is not sound: " + strings.Join(wrong, "; "))
	}
	return transfer.Digest(d.ctx, d.store, time.Now(), bar.show)
}

func (p *program) printDigests(digests []transfer.KindDigest) error {
	return p.print(digests, func(w io.Writer) {
		table(w, "KIND\tCOUNT\tSHA256", func(row func(...any)) {
			for _, d := range digests {
				row(d.Kind, d.Count, d.SHA256)
			}
		})
	})
}

func (p *program) storeCopyCommand() *cobra.Command {
	var from, to string
	cmd := &cobra.Command{
		Use:   "copy --from URI --to URI",
		Short: "Copy everything to another store and verify both",
		Long: `Copies users, clients, sessions, keys and the rest to an empty store, then reads
both and compares counts and contents. Sealed keys stay sealed: the servers on
the new store need the same master key file, and then users stay logged in.

A copy that was interrupted is resumed by the same command: what the target has
already is not written again. So a large store can be copied while its servers
run (the comparison then finds what they changed meanwhile); stop them, repeat
the command, which writes the difference, and start servers on the new store. A
target that a server or a command has worked on is refused.`,
		Example: `  keyturn store copy --from sqlite:keyturn.db --to mongodb://db1,db2,db3/keyturn`,
		Args:    cobra.NoArgs,
	}
	cmd.Flags().StringVar(&from, "from", "", "the store to read")
	cmd.Flags().StringVar(&to, "to", "", "the store to fill")
	p.withSettings(cmd, func(ctx context.Context, cfg *config.Config, _ []string) error {
		for flag, uri := range map[string]string{"from": from, "to": to} {
			if _, err := config.ParseStore(uri); err != nil {
				return usageError{fmt.Errorf("--%s: %w", flag, err)}
			}
		}
		return p.copyStore(ctx, cfg, from, to)
	})
	return cmd
}

func (p *program) copyStore(ctx context.Context, cfg *config.Config, from, to string) error {
	if path, ok := strings.CutPrefix(from, "sqlite:"); ok {
		if _, err := os.Stat(path); err != nil {
			return fmt.Errorf("--from: %w", err)
		}
	}
	if same, err := sameStore(from, to); err != nil || same {
		return cmp.Or(err, error(usageError{errors.New("--to is the store of --from: name another")}))
	}
	source, err := openStore(ctx, from, looking(cfg))
	if err != nil {
		return fmt.Errorf("--from: %w", err)
	}
	defer source.Close()
	if err := checkHolds(ctx, source); err != nil {
		return fmt.Errorf("--from: %w", err)
	}
	d := &deployment{ctx: audit.WithRequest(ctx, audit.Request{Operator: p.operator}), cfg: cfg, log: p.logger(cfg), store: source}
	sink, err := d.commandSink(ctx, source, from)
	if err != nil {
		return err
	}
	now, err := copiedAsOf(ctx, source)
	if err != nil {
		return err
	}
	reached, err := d.reachAudit(auditlog.Options{Sink: sink})
	if err != nil {
		return err
	}
	defer reached.Close()
	// The copy begins once its event is in the log, because a copy that nobody knows
	// about would be the worst outcome: a file that is not there is made after it.
	fresh, err := toBeMade(to)
	if err != nil {
		return fmt.Errorf("--to: %w", err)
	}
	copied := auditDecision(audit.StoreCopied)
	if fresh {
		if err := d.recordOnce(sink, copied, source); err != nil {
			return err
		}
	}
	target, err := openStore(ctx, to, staying(cfg, p.logger(cfg)))
	if err != nil {
		err = fmt.Errorf("--to: %w", err)
		if fresh {
			err = errors.Join(err, d.recordOnce(sink, failed(copied), source))
		}
		return err
	}
	defer target.Close()
	// A copy's events are in the source's log. The target has to know their chains too
	// if that log is, or was, its own. Nothing is written to another deployment's store.
	knowing := audit.AnchorStore(bothStores{source, target})
	if err := transfer.CheckTarget(ctx, source, target, now); err != nil {
		if !errors.Is(err, transfer.ErrWentOn) {
			knowing = source
		}
		return errors.Join(err, d.recordOnce(sink, failed(copied), knowing))
	}
	if !fresh {
		if err := d.recordOnce(sink, copied, knowing); err != nil {
			return err
		}
	}
	if err := copyPlaces(ctx, source, from, target); err != nil {
		return errors.Join(err, d.recordOnce(sink, failed(copied), knowing))
	}
	digests, err := p.copyAndCompare(ctx, source, target, now)
	if err != nil {
		return errors.Join(err, d.recordOnce(sink, failed(copied), knowing))
	}
	return p.printDigests(digests)
}

// toBeMade reports whether the store is a SQLite file that is not there. Its directory
// has to take files.
func toBeMade(uri string) (bool, error) {
	path, ok := strings.CutPrefix(uri, "sqlite:")
	if !ok {
		return false, nil
	}
	if _, err := os.Lstat(path); !errors.Is(err, fs.ErrNotExist) {
		return false, nil
	}
	return true, auditlog.TakesFiles(filepath.Dir(path))
}

// sameStore reports whether two URIs name one store.
func sameStore(a, b string) (bool, error) {
	x, err := storeIdentity(a)
	if err != nil {
		return false, err
	}
	y, err := storeIdentity(b)
	return x == y, err
}

// auditDecision returns a success event that a later line with the same id can take
// back.
func auditDecision(a audit.Action) audit.Event {
	return audit.Event{ID: uuid.NewString(), Action: a, Outcome: audit.Success}
}

// failed returns the event of a decision that came to nothing.
func failed(e audit.Event) audit.Event {
	e.Outcome, e.Reason, e.Count = audit.Failure, audit.ReasonFailed, 0
	return e
}

// copiedAsOf returns the time for leaving expired records out of a copy. A record
// that only a wrong clock takes for expired is copied (T1).
func copiedAsOf(ctx context.Context, source store.Store) (time.Time, error) {
	now := time.Now()
	last, err := source.SteadyTime(ctx)
	if err == nil && !last.IsZero() && last.Before(now) {
		now = last
	}
	return now, err
}

func (p *program) copyAndCompare(ctx context.Context, source, target store.Store, now time.Time) ([]transfer.KindDigest, error) {
	bar := p.newBar()
	defer bar.end()
	if _, err := transfer.Copy(ctx, source, target, now, bar.show); err != nil {
		return nil, err
	}
	return transfer.Compare(ctx, source, target, now, bar.show)
}

// bothStores anchors a chain in both ends of a copy, so that the log can be
// verified with either. A chain unknown to the source must not get into the target,
// which would not be a copy any more.
type bothStores struct{ source, target store.Store }

// SetAnchor implements audit.AnchorStore.
func (b bothStores) SetAnchor(ctx context.Context, a audit.Anchor) error {
	if err := b.source.SetAnchor(ctx, a); err != nil {
		return err
	}
	return b.target.SetAnchor(ctx, a)
}

// Anchors implements audit.AnchorStore.
func (b bothStores) Anchors(ctx context.Context) ([]audit.Anchor, error) {
	return b.source.Anchors(ctx)
}

// recordOnce opens the audit log for one event, the first of its chain, and writes
// it even if the command was interrupted.
func (d *deployment) recordOnce(sink string, e audit.Event, anchors audit.AnchorStore) error {
	l, err := d.openAudit(auditlog.Options{Sink: sink}, anchors)
	if err != nil {
		return err
	}
	if d.store != nil {
		l.SetSigner(&commandSigner{d: d})
	}
	ctx, cancel := context.WithTimeout(context.WithoutCancel(d.ctx), lastWord)
	defer cancel()
	return errors.Join(l.Record(ctx, e), l.Close())
}
