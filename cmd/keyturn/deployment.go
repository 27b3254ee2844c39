package main

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"sync"
	"sync/atomic"
	"time"

	"github.com/rs/zerolog"
	"github.com/spf13/cobra"

	"github.com/keyturn/keyturn/internal/audit"
	auditlog "github.com/keyturn/keyturn/internal/audit/log"
	"github.com/keyturn/keyturn/internal/config"
	"github.com/keyturn/keyturn/internal/mail"
	"github.com/keyturn/keyturn/internal/steady"
	"github.com/keyturn/keyturn/internal/store"
	"github.com/keyturn/keyturn/internal/store/mongodb"
)

// deployment is what commands that touch data work on: the settings, the open
// store, and the audit log.
type deployment struct {
	ctx   context.Context
	cfg   *config.Config
	log   zerolog.Logger
	store store.Store
	audit *auditlog.Log
	// clock is compared with the wall clock; see steadily.
	clock *steady.Clock
	// behind is how far a command's clock is behind the store; see catchUp.
	behind time.Duration
	// unrecorded receives messages of a server's requests about events that could
	// not be recorded.
	unrecorded zerolog.Logger
	// noFirstParty is set while the client of first_party_client is not
	// registered.
	noFirstParty atomic.Bool
	// noPepper is set while accounts need a pepper that the settings do not name.
	noPepper atomic.Bool
	// serves is set in a server, whose post then writes letters; see letterBox.
	serves bool
	post   *mail.Post
	// exposed holds the files of secrets about which a warning was logged that
	// other users have access.
	exposed sync.Map
}

// withSettings adds the settings' flags to cmd and makes it call run with the
// settings.
func (p *program) withSettings(cmd *cobra.Command, run func(ctx context.Context, cfg *config.Config, args []string) error) {
	config.AddFlags(cmd.Flags())
	cmd.RunE = func(cmd *cobra.Command, args []string) error {
		cfg, err := config.Load(cmd.Flags(), p.environ)
		if err != nil {
			return usageError{err}
		}
		return run(cmd.Context(), cfg, args)
	}
}

// check refuses what is wrong in a command line by itself, before a store or a log is
// opened or made. It may be nil.
type check func(cfg *config.Config, args []string) error

func (c check) of(cfg *config.Config, args []string) error {
	if c == nil {
		return nil
	}
	return c(cfg, args)
}

// withDeployment is like withSettings, with an open deployment, whose SQLite store must
// exist already.
func (p *program) withDeployment(cmd *cobra.Command, c check, run func(d *deployment, args []string) error) {
	p.preparesDeployment(cmd, func(cfg *config.Config, args []string) error {
		if err := c.of(cfg, args); err != nil {
			return err
		}
		return checkThere(cfg)
	}, run)
}

// preparesDeployment is like withDeployment, for commands that can come before the first
// server: they make a SQLite store that is missing.
func (p *program) preparesDeployment(cmd *cobra.Command, c check, run func(d *deployment, args []string) error) {
	p.withSettings(cmd, func(ctx context.Context, cfg *config.Config, args []string) error {
		if err := c.of(cfg, args); err != nil {
			return err
		}
		return p.onDeployment(ctx, cfg, args, run)
	})
}

// checkThere refuses a SQLite store that is missing.
func checkThere(cfg *config.Config) error {
	path := cfg.SQLitePath()
	if path == "" {
		return nil
	}
	if _, err := os.Stat(path); err != nil {
		return fmt.Errorf("store: %w; name the one to work on with --store", err)
	}
	return nil
}

func (p *program) onDeployment(ctx context.Context, cfg *config.Config, args []string, run func(d *deployment, args []string) error) error {
	d, err := p.open(audit.WithRequest(ctx, audit.Request{Operator: p.operator}), cfg)
	if err != nil {
		return err
	}
	d.catchUp()
	d.settleDecisionsFirst()
	err = run(d, args)
	ended := d.audit.Close()
	if err == nil && ended != nil {
		ended = fmt.Errorf("it is done; its event may not have arrived: %w", ended)
	}
	return errors.Join(err, ended, d.store.Close())
}

// withStore is like withDeployment, for commands that only read: it opens no
// audit log, because nothing is decided, and a SQLite store must exist already.
func (p *program) withStore(cmd *cobra.Command, run func(d *deployment, args []string) error) {
	p.withSettings(cmd, func(ctx context.Context, cfg *config.Config, args []string) error {
		return p.onStore(ctx, cfg, args, run)
	})
}

func (p *program) onStore(ctx context.Context, cfg *config.Config, args []string, run func(d *deployment, args []string) error) error {
	if err := checkThere(cfg); err != nil {
		return err
	}
	d := &deployment{ctx: ctx, cfg: cfg, log: p.logger(cfg)}
	if err := d.openStore(looking(d.cfg)); err != nil {
		return err
	}
	return errors.Join(run(d, args), d.store.Close())
}

// open opens the store and the audit log. Standard output is reserved for a
// command's answer; audit events for it go to standard error.
func (p *program) open(ctx context.Context, cfg *config.Config) (*deployment, error) {
	d := &deployment{ctx: ctx, cfg: cfg, log: p.logger(cfg)}
	if _, err := d.pepper(); err != nil {
		return nil, usageError{err}
	}
	if err := d.checkNotLost(); err != nil {
		return nil, err
	}
	var log auditlog.Options
	begins, err := d.begins()
	if err == nil && begins {
		err = d.checkAudit()
		if err == nil {
			log.Sink, err = d.commandSink(ctx, nil, d.cfg.Store.Reveal())
		}
		if err == nil {
			log.Reached, err = d.reachAudit(log)
		}
	}
	if err != nil {
		return nil, err
	}
	if err := d.openStore(passing(d.cfg)); err != nil {
		return nil, errors.Join(err, log.Reached.Close())
	}
	if !begins {
		log.Sink, err = d.commandSink(ctx, d.store, d.cfg.Store.Reveal())
	}
	if err == nil {
		d.audit, err = d.openAudit(log, d.store)
		if err != nil && d.isOwn(log.Sink) {
			// What takes rights away must be possible all the same, and nothing else is.
			log.Reached = auditlog.Absent(log.Sink, errors.Unwrap(err))
			d.audit, err = d.openAudit(log, d.store)
		}
	}
	if err != nil {
		return nil, errors.Join(err, d.store.Close())
	}
	d.audit.SetSigner(&commandSigner{d: d})
	return d, nil
}

// openAudit opens the audit log, with the program's values for what o leaves
// open.
func (d *deployment) openAudit(o auditlog.Options, anchors audit.AnchorStore) (*auditlog.Log, error) {
	l, err := auditlog.Open(d.auditOptions(o))
	if err != nil {
		return nil, fmt.Errorf("audit_log %s: %w", o.Sink, err)
	}
	l.SetAnchors(anchors)
	return l, nil
}

// reachAudit does of openAudit what makes nothing, before a store is made.
func (d *deployment) reachAudit(o auditlog.Options) (*auditlog.Reached, error) {
	reached, err := auditlog.Reach(d.auditOptions(o))
	if err != nil {
		return nil, fmt.Errorf("audit_log %s: %w", o.Sink, err)
	}
	return reached, nil
}

func (d *deployment) auditOptions(o auditlog.Options) auditlog.Options {
	var err error
	if o.Node, err = os.Hostname(); err != nil {
		o.Node = "unknown"
	}
	o.Version, o.Now = version(), wallClock
	o.CAFile = d.cfg.AuditCAFile
	o.Rotation = auditlog.Rotation{
		Size: int64(d.cfg.AuditRotateSize) << 20, Age: d.cfg.AuditRotateAge, Keep: d.cfg.AuditKeep, KeepAge: d.cfg.AuditKeepAge,
		Confirmed: d.past,
	}
	o.OnError = func(err error) { d.log.Error().Err(err).Msg("audit log") }
	return o
}

func (d *deployment) close() error {
	return errors.Join(d.audit.Close(), d.store.Close())
}

// openStore opens the store of the settings, unless it is not the one that the
// master key beside it is for. o is for MongoDB.
func (d *deployment) openStore(o mongodb.Options) error {
	path := d.cfg.SQLitePath()
	_, missing := os.Stat(path)
	var err error
	if d.store, err = openStore(d.ctx, d.cfg.Store.Reveal(), o); err != nil {
		return err
	}
	if path != "" && errors.Is(missing, fs.ErrNotExist) {
		d.log.Info().Str("file", path).Msg("made a new store; if there was to be one, name it with --store")
	}
	if err := d.checkNotLost(); err != nil {
		return errors.Join(err, d.store.Close())
	}
	return nil
}

func (p *program) logger(cfg *config.Config) zerolog.Logger {
	level, err := zerolog.ParseLevel(cfg.LogLevel)
	if err != nil {
		level = zerolog.InfoLevel
	}
	zerolog.TimeFieldFormat = "2006-01-02T15:04:05.000Z07:00"
	return zerolog.New(p.stderr).Level(level).With().Timestamp().Logger()
}
