package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"

	"github.com/spf13/cobra"

	"github.com/keyturn/keyturn/internal/audit"
	"github.com/keyturn/keyturn/internal/config"
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
	return p.movesStore(cmd, func(cfg *config.Config, file string) (from, to string) { return cfg.SQLitePath(), file })
}

func (p *program) storeRestoreCommand() *cobra.Command {
	cmd := &cobra.Command{
		Use:   "restore FILE",
		Short: "Put a backup in the place of a SQLite store",
		Long: `Writes a backup to the place where the settings have the store, and verifies it
from end to end. Nothing is written over: stop the server first and move what is
left of the old store away, keyturn.db, keyturn.db-wal and keyturn.db-shm.

Sessions that were refreshed since the backup go on; what was revoked since then
is not revoked any more: repeat it.`,
		Example: `  keyturn store restore /backup/keyturn-2026-11-28.db`,
		Args:    cobra.ExactArgs(1),
	}
	return p.movesStore(cmd, func(cfg *config.Config, file string) (from, to string) { return file, cfg.SQLitePath() })
}

// backedUp is what a backup or a restore says of the new file.
type backedUp struct {
	File     string `json:"file"`
	Bytes    int64  `json:"bytes"`
	Users    int64  `json:"users"`
	Clients  int64  `json:"clients"`
	Sessions int64  `json:"sessions"`
}

// movesStore makes cmd copy between the SQLite store of the settings and the file
// of its argument, and record it.
func (p *program) movesStore(cmd *cobra.Command, ends func(cfg *config.Config, file string) (from, to string)) *cobra.Command {
	p.withSettings(cmd, func(ctx context.Context, cfg *config.Config, args []string) error {
		if cfg.SQLitePath() == "" {
			return usageError{errors.New("this is for a SQLite store: use keyturn store copy, or mongodump and mongorestore")}
		}
		from, to := ends(cfg, args[0])
		return p.backup(ctx, cfg, from, to)
	})
	return cmd
}

func (p *program) backup(ctx context.Context, cfg *config.Config, from, to string) error {
	d := &deployment{ctx: audit.WithRequest(ctx, audit.Request{Operator: p.operator}), cfg: cfg, log: p.logger(cfg)}
	if err := d.checkAudit(); err != nil {
		return err
	}
	bar := p.newBar()
	sizes, err := sqlite.Backup(ctx, from, to, bar.show)
	bar.end()
	if err != nil {
		return err
	}
	if d.store, err = openStore(ctx, cfg.Store.Reveal(), passing(cfg)); err != nil {
		return err
	}
	event := audit.Event{Action: audit.StoreCopied, Outcome: audit.Success, Detail: filepath.Base(from) + " to " + filepath.Base(to)}
	if err := errors.Join(d.recordOnce(event, d.store), d.store.Close()); err != nil {
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
