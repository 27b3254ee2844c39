package main

import (
	"context"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"time"

	"github.com/keyturn/keyturn/internal/audit"
	"github.com/keyturn/keyturn/internal/config"
)

// place is where this process writes its log.
func (d *deployment) place() (audit.Place, error) {
	host, err := os.Hostname()
	if err != nil {
		host = "unknown"
	}
	p := audit.Place{Host: host, Sink: d.cfg.AuditLog, At: time.Now().UTC().Truncate(time.Millisecond)}
	if isFile(p.Sink) {
		if p.Sink, err = filepath.Abs(p.Sink); err != nil {
			return p, fmt.Errorf("audit_log: %w", err)
		}
	}
	return p, nil
}

// isFile reports whether a sink is a path.
func isFile(sink string) bool {
	return sink != "stdout" && sink != "stderr" && !strings.Contains(sink, "://")
}

// tellPlace tells commands, through the store, where the server's log is.
func (d *deployment) tellPlace(ctx context.Context) error {
	p, err := d.place()
	if err != nil {
		return err
	}
	return d.store.SetPlace(ctx, p)
}

// commandSink is where a command writes its events: where the deployment's servers
// do, whatever the environment, a file or the working directory says, so that no
// change is outside the log by accident. A flag is a decision: it counts, and
// audit verify names the chain to who gives it the deployment's log alone. A
// command's answer has standard output to itself; what would go there goes to
// standard error.
func (d *deployment) commandSink(ctx context.Context) (string, error) {
	own, err := d.place()
	if err != nil {
		return "", err
	}
	if d.cfg.SourceOf("audit_log") == config.FromFlag {
		return stderrFor(own.Sink), nil
	}
	places, err := d.store.Places(ctx)
	if err != nil {
		return "", fmt.Errorf("looking for the deployment's audit log: %w", err)
	}
	if len(places) == 0 {
		return stderrFor(own.Sink), nil
	}
	for _, p := range places {
		if p.Sink == own.Sink && (p.Host == own.Host || strings.Contains(p.Sink, "://")) {
			return stderrFor(own.Sink), nil
		}
	}
	for _, p := range places {
		if p.Host != own.Host && !strings.Contains(p.Sink, "://") {
			continue // it cannot be reached from here
		}
		if !isFile(p.Sink) && !strings.Contains(p.Sink, "://") {
			d.log.Warn().Str("server", p.Host+":"+p.Sink).Msg("this command's audit events go to its standard error; keep them with the server's log, or audit verify misses them")
		} else if own.Sink != p.Sink {
			d.log.Info().Str("audit_log", p.Sink).Msg("audit events go where the deployment's servers write theirs")
		}
		return stderrFor(p.Sink), nil
	}
	return "", usageError{fmt.Errorf("the deployment's audit log is at %s:%s, which cannot be written from %s: run the command there, or name a log with --audit-log, which audit verify must then be given too",
		places[0].Host, places[0].Sink, own.Host)}
}

func stderrFor(sink string) string {
	if sink == "stdout" {
		return "stderr"
	}
	return sink
}
