package main

import (
	"context"
	"errors"
	"fmt"
	"net"
	"os"
	"os/signal"
	"slices"
	"strings"
	"sync"
	"syscall"
	"time"

	"github.com/rs/zerolog"
	"github.com/spf13/cobra"

	"github.com/keyturn/keyturn/internal/audit"
	auditlog "github.com/keyturn/keyturn/internal/audit/log"
	"github.com/keyturn/keyturn/internal/config"
	"github.com/keyturn/keyturn/internal/server"
)

func (p *program) serveCommand() *cobra.Command {
	var dev bool
	cmd := &cobra.Command{
		Use:   "serve",
		Short: "Run the server",
		Long: `Runs the server until it is told to stop (SIGTERM or SIGINT): it then answers 503
at /readyz, serves on for shutdown_delay, finishes the requests under way and
exits with 0; so it does when it is told to during its start. A second signal ends it at once. SIGHUP reopens the audit log.

With --dev, in an empty directory and on loopback only, it makes everything it
needs, a demo user and a demo client included, verifies a first token, and
prints what to try. Without --dev nothing is made up: no user and no client.`,
		Example: `  keyturn serve --dev
  keyturn serve --issuer https://login.example.com --listen 0.0.0.0:8080 --store mongodb://db1,db2,db3/keyturn --master-key-file /run/secrets/master-keys`,
		Args: cobra.NoArgs,
	}
	cmd.Flags().BoolVar(&dev, "dev", false, "make a demo user and a demo client, and show what to try")
	p.withSettings(cmd, func(ctx context.Context, cfg *config.Config, _ []string) error { return p.serve(ctx, cfg, dev) })
	return cmd
}

func (p *program) serve(ctx context.Context, cfg *config.Config, dev bool) (err error) {
	// An audit log whose reader goes away, or whose file reaches the limit of
	// the process (ulimit -f), must fail its events (A3), not kill the process.
	signal.Ignore(syscall.SIGPIPE, syscall.SIGXFSZ)
	setCollector()
	log := p.logger(cfg)
	d := &deployment{ctx: ctx, cfg: cfg, log: log, unrecorded: log.Sample(&zerolog.BurstSampler{Burst: 1, Period: quietTime})}
	if err := d.checkToServe(); err != nil {
		return err
	}
	if dev {
		if err := checkDev(cfg); err != nil {
			return usageError{err}
		}
	}
	public, admin, err := listeners(cfg)
	if err != nil {
		return err
	}
	defer public.Close()
	issuer, err := cfg.IssuerFor(public.Addr())
	if err != nil {
		return usageError{err}
	}
	s, err := d.begin(issuer, dev)
	if ctx.Err() != nil && s == nil {
		// Whatever was interrupted is carried on by the next start.
		log.Info().AnErr("interrupted", err).Msg("told to stop before the start was complete")
		return nil
	}
	if err != nil {
		return err
	}
	log.Info().Str("issuer", issuer).Stringer("listen", public.Addr()).Str("version", version()).Msg("serving")
	// The server works on while it drains.
	background, stop := context.WithCancel(context.WithoutCancel(ctx))
	wait := d.background(background, s)
	if dev {
		go p.showDemo(background, d, issuer)
	}
	d.lookForFirstParty(ctx)
	d.lookForPepper(ctx)
	err = s.server(d, issuer).Serve(ctx, public, admin)
	stop()
	wait()
	d.settleLast(ctx, s)
	stopped := audit.Event{Action: audit.ServerStopped, Outcome: audit.Success}
	if err != nil {
		stopped.Outcome, stopped.Detail = audit.Failure, err.Error()
	}
	return errors.Join(err, d.lastly(func(ctx context.Context) error { return d.audit.Record(ctx, stopped) }), d.close())
}

// lastly does what a signal to stop must not interrupt.
func (d *deployment) lastly(do func(ctx context.Context) error) error {
	ctx, cancel := context.WithTimeout(context.WithoutCancel(d.ctx), lastWord)
	defer cancel()
	return do(ctx)
}

// begin opens everything and records the start. The services are nil if the start
// failed, and everything is closed again.
func (d *deployment) begin(issuer string, dev bool) (s *services, err error) {
	if err := d.ctx.Err(); err != nil {
		return nil, err
	}
	if err := d.openToServe(); err != nil {
		return nil, err
	}
	defer func() {
		if err != nil {
			s, err = nil, errors.Join(err, d.close())
		}
	}()
	if s, err = d.services(issuer); err != nil {
		return nil, err
	}
	if err := s.users.Hasher.StartWorkers(d.workerEnded); err != nil {
		return nil, err
	}
	if err := s.keeper.Poll(d.ctx); err != nil {
		return nil, fmt.Errorf("signing keys: %w", err)
	}
	d.markMaster()
	d.audit.SetSigner(s.ring)
	if dev {
		if err := d.makeDemo(s); err != nil {
			return nil, err
		}
	}
	if err := d.tellPlace(d.ctx); err != nil {
		return nil, fmt.Errorf("telling the store where the audit log is: %w", err)
	}
	err = d.lastly(func(ctx context.Context) error {
		return d.audit.Record(ctx, audit.Event{Action: audit.ServerStarted, Outcome: audit.Success})
	})
	if err != nil {
		return nil, fmt.Errorf("audit_log %s: %w", d.cfg.AuditLog, err)
	}
	return s, nil
}

func (d *deployment) workerEnded(err error) {
	d.log.Error().Err(err).Msg("passwords are hashed in processes of their own: one failed, and another takes its place")
}

// openToServe opens the store and the audit log for a server, which attests the
// chains that it finds.
func (d *deployment) openToServe() error {
	log := auditlog.Options{Sink: d.cfg.AuditLog, Keep: d.cfg.AuditBuffer, Lose: d.cfg.AuditLoss}
	var err error
	if log.Reached, err = d.reachAudit(log); err != nil {
		return err
	}
	if err := d.openStore(staying(d.cfg, d.log)); err != nil {
		return errors.Join(err, log.Reached.Close())
	}
	if e, on := engineOf(d.store); on {
		level := zerolog.InfoLevel
		if e.Breaks != "" || e.NoRetries {
			level = zerolog.WarnLevel
		}
		d.log.WithLevel(level).Str("product", e.Product).Str("version", e.Version).Str("topology", e.Topology).Stringer("uri", d.cfg.Store).
			Str("breaks", e.Breaks).Msg("the store stands on " + e.String())
	}
	if err = d.checkFirstParty(); err == nil {
		log.Seen, err = d.store.Anchors(d.ctx)
	}
	if err == nil {
		err = d.steadily(d.ctx, d.clockJumped)
	}
	if err != nil {
		return errors.Join(err, d.store.Close(), log.Reached.Close())
	}
	if d.audit, err = d.openAudit(log, d.store); err != nil {
		return errors.Join(err, d.store.Close())
	}
	if err := d.compareLog(); err != nil {
		return errors.Join(err, d.close())
	}
	return nil
}

// quietTime is how far apart the lines are about events that could not be
// recorded; keyturn_audit_failures_total counts them all.
const quietTime = 10 * time.Second

// lastWord is how long a server that ends waits for its last event: an audit
// log that hangs must not keep it.
const lastWord = 5 * time.Second

// listeners opens both listeners, so that a port in use stops the start before
// anything is touched.
func listeners(cfg *config.Config) (public, admin net.Listener, err error) {
	public, err = net.Listen("tcp", cfg.Listen)
	if err != nil {
		return nil, nil, fmt.Errorf("listen %s: %w; stop what uses it or choose another address", cfg.Listen, errors.Unwrap(err))
	}
	if cfg.AdminListen == "" {
		return public, nil, nil
	}
	admin, err = net.Listen("tcp", cfg.AdminListen)
	if err != nil {
		return nil, nil, errors.Join(fmt.Errorf("admin_listen %s: %w; stop what uses it, choose another address, or set it to off", cfg.AdminListen, errors.Unwrap(err)), public.Close())
	}
	return public, admin, nil
}

const (
	// sweepEvery is the interval of the background work on the store.
	sweepEvery = time.Minute
	// settleEvery is how soon after an outage decisions are carried on that it
	// interrupted, and refreshes are settled that the store did not answer to.
	settleEvery = time.Second
)

// surveyEvery is how often all accounts are read for what refusals have to cost.
const surveyEvery = 24 * time.Hour

// background runs what goes on beside requests until ctx ends; the function
// returned waits for it.
func (d *deployment) background(ctx context.Context, s *services) (wait func()) {
	var all sync.WaitGroup
	all.Go(func() { s.keeper.Run(ctx) })
	all.Go(func() {
		d.surveyHashes(ctx, s)
		every(ctx, surveyEvery, func() { d.surveyHashes(ctx, s) })
	})
	all.Go(func() { every(ctx, sweepEvery, func() { d.sweep(ctx, s) }) })
	all.Go(func() {
		d.keepTime(ctx) // at once: store copy tells by it that the store is served
		every(ctx, keepTimeEvery, func() { d.keepTime(ctx) })
	})
	all.Go(func() { every(ctx, settleEvery, func() { d.settleRefreshes(ctx, s) }) })
	all.Go(func() { every(ctx, settleEvery, func() { d.settleDecisionsAgain(ctx) }) })
	all.Go(func() { every(ctx, settleEvery, func() { d.queueEndings(ctx, s) }) })
	all.Go(func() { s.outbox.Run(ctx) })
	all.Go(func() { d.reopenOnHangup(ctx) })
	return all.Wait
}

func (d *deployment) surveyHashes(ctx context.Context, s *services) {
	if err := s.users.Survey(ctx); err != nil && ctx.Err() == nil {
		d.log.Warn().Err(err).Msg("the accounts could not be read for the kinds of their hashes; refusals may cost more than they must until tomorrow")
	}
}

func every(ctx context.Context, interval time.Duration, do func()) {
	t := time.NewTicker(interval)
	defer t.Stop()
	for {
		select {
		case <-ctx.Done():
			return
		case <-t.C:
			do()
		}
	}
}

func (d *deployment) reopenOnHangup(ctx context.Context) {
	hangup := make(chan os.Signal, 1)
	signal.Notify(hangup, syscall.SIGHUP)
	defer signal.Stop(hangup)
	for {
		select {
		case <-ctx.Done():
			return
		case <-hangup:
			if err := d.audit.Reopen(); err != nil {
				d.log.Error().Err(err).Msg("the audit log could not be reopened")
			}
		}
	}
}

// server puts the handlers behind the router.
func (s *services) server(d *deployment, issuer string) *server.Server {
	metrics := server.NewMetrics()
	s.keyMetrics(metrics, d.cfg)
	auditMetrics(metrics, d.audit)
	clockMetrics(metrics, d.clock)
	outboxMetrics(metrics, s.outbox)
	return server.New(server.Settings{
		Issuer:      issuer,
		TLSCertFile: d.cfg.TLSCertFile, TLSKeyFile: d.cfg.TLSKeyFile, HSTS: strings.HasPrefix(issuer, "https:"),
		Clients:     clientFinder(d.cfg),
		CORSOrigins: d.cfg.CORSOrigins,
		Profiling:   d.cfg.Profiling, RequestTimeout: d.cfg.RequestTimeout, ShutdownDelay: d.cfg.ShutdownDelay, ShutdownTimeout: d.cfg.ShutdownTimeout,
	}, server.Handlers{
		OAuth: s.oauth, Pages: s.pages, FirstParty: s.firstParty(d), SignUp: d.cfg.Signup, Mail: d.cfg.Mail(), JWKS: s.jwks, Metadata: s.metadata, Health: s.health(d),
	}, metrics, d.audit, d.log)
}

func (s *services) health(d *deployment) *server.Health {
	return &server.Health{
		Store: d.store.Ping,
		Keys: func() (string, error) {
			if !s.keeper.Fresh() {
				return "stale", errors.New("the signing keys have not been read from the store lately")
			}
			if _, err := s.ring.Active(); err != nil {
				return "none", err
			}
			return "ok", nil
		},
		Audit: func() error {
			if why, stands := d.audit.Away(); !stands {
				return why
			}
			return nil
		},
		Warnings: func() []string {
			return slices.Concat(s.keyWarnings(), d.firstPartyWarning(), d.pepperWarning(), d.clockWarning(), d.auditWarning(), d.indexWarning())
		},
		OnError: func(check string, err error) { d.log.Warn().Str("check", check).Err(err).Msg("not ready") },
	}
}

// auditWarning says that decisions stand whose events are not written.
func (d *deployment) auditWarning() []string {
	if why, stands := d.audit.Away(); why != nil && stands {
		return []string{"audit_log_away"}
	}
	return nil
}

// requestLog logs what went wrong inside under the request's id. While the audit
// log is away every request fails for that: then one line in quietTime says so,
// lest traffic fill the disk that may be what is full.
func (d *deployment) requestLog(ctx context.Context, err error) {
	log := &d.log
	if errors.Is(err, audit.ErrNotRecorded) {
		log = &d.unrecorded
	}
	log.Error().Str("request_id", audit.RequestFrom(ctx).ID).Err(err).Msg("request failed")
}
