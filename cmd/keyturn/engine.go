package main

import (
	"context"
	"errors"
	"io"
	"strings"

	"github.com/rs/zerolog"
	"github.com/spf13/cobra"

	"github.com/keyturn/keyturn/internal/config"
	"github.com/keyturn/keyturn/internal/store"
	"github.com/keyturn/keyturn/internal/store/mongodb"
	"github.com/keyturn/keyturn/internal/store/sqlite"
)

// openStore opens the store of a URI in the form of the setting store. o is for
// MongoDB.
func openStore(ctx context.Context, uri string, o mongodb.Options) (store.Store, error) {
	if path, ok := strings.CutPrefix(uri, "sqlite:"); ok {
		return sqlite.Open(ctx, path)
	}
	return mongodb.Open(ctx, uri, o)
}

// staying returns the options for a process that keeps the store open, and so
// can create missing indexes.
func staying(cfg *config.Config, log zerolog.Logger) mongodb.Options {
	return mongodb.Options{
		AcceptRisk: cfg.MongoDBEngineRisk == "accept",
		Log: func(wrong bool, line string) {
			level := zerolog.InfoLevel
			if wrong {
				level = zerolog.WarnLevel
			}
			log.WithLevel(level).Msg("store: " + line)
		},
	}
}

// passing returns the options for a short command.
func passing(cfg *config.Config) mongodb.Options {
	return mongodb.Options{AcceptRisk: cfg.MongoDBEngineRisk == "accept", Indexes: mongodb.NeededIndexes}
}

// looking returns the options for a command that only reads.
func looking(cfg *config.Config) mongodb.Options {
	return mongodb.Options{AcceptRisk: cfg.MongoDBEngineRisk == "accept", Indexes: mongodb.NoIndexes}
}

// engineOf returns the database engine of a store, if it has a server.
func engineOf(s store.Store) (mongodb.Engine, bool) {
	m, ok := s.(*mongodb.Store)
	if !ok {
		return mongodb.Engine{}, false
	}
	return m.Engine(), true
}

// indexWarning returns the warning of /readyz while MongoDB lacks an index, or has one
// that somebody has to mend.
func (d *deployment) indexWarning() []string {
	if m, ok := d.store.(*mongodb.Store); ok && m.IndexesMissing() {
		return []string{"indexes_missing"}
	}
	return nil
}

func (p *program) storeMigrateCommand() *cobra.Command {
	cmd := &cobra.Command{
		Use:   "migrate",
		Short: "Make what this version of Keyturn needs in the store, and wait for it",
		Long: `Makes the indexes that are missing, or a SQLite file's newer tables, and ends
when they stand, saying how far it is meanwhile. A SQLite file that cannot shrink is
written anew, once, while servers wait to write. Servers do the same when they
start, and serve while it lasts where they can; before an upgrade of a large
MongoDB store run this with the new version, beside the servers of the old one,
and the new ones have nothing left to make. It can be stopped and run again.`,
		Args: cobra.NoArgs,
	}
	p.withSettings(cmd, func(ctx context.Context, cfg *config.Config, _ []string) error {
		if err := checkThere(cfg); err != nil {
			return err
		}
		s, err := openStore(ctx, cfg.Store.Reveal(), staying(cfg, p.logger(cfg)))
		if err != nil {
			return err
		}
		defer s.Close()
		report := struct {
			Store  string          `json:"store"`
			Engine *mongodb.Engine `json:"engine,omitempty"`
		}{Store: "up to date"}
		if file, ok := s.(*sqlite.Store); ok {
			if err := file.Rewrite(cmd.Context()); err != nil {
				return err
			}
		}
		if m, ok := s.(*mongodb.Store); ok {
			if err := m.Migrate(ctx); err != nil {
				return err
			}
			// An existing index of the same name that differs is not created
			// anew.
			wrong, err := m.Check(ctx)
			if err != nil {
				return err
			}
			if len(wrong) > 0 {
				return errors.New(strings.Join(wrong, "\n"))
			}
			e := m.Engine()
			report.Engine = &e
		}
		return p.print(report, func(w io.Writer) { _, _ = io.WriteString(w, "The store is up to date.\n") })
	})
	return cmd
}
