package main

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"time"

	"github.com/keyturn/keyturn/internal/audit"
	"github.com/keyturn/keyturn/internal/config"
	"github.com/keyturn/keyturn/internal/store/mongodb"
)

// place returns where this process writes its log.
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

// isStream reports whether a sink is a stream of this process.
func isStream(sink string) bool { return sink == "stdout" || sink == "stderr" }

// isFile reports whether a sink is a path.
func isFile(sink string) bool { return !isStream(sink) && !strings.Contains(sink, "://") }

// tellPlace tells commands, through the store, where the server's log is.
func (d *deployment) tellPlace(ctx context.Context) error {
	p, err := d.place()
	if err == nil {
		p.Store, err = storeIdentity(d.cfg.Store.Reveal())
	}
	if err != nil {
		return err
	}
	return d.store.SetPlace(ctx, p)
}

// storeIdentity returns a name for the store of a URI, so that what the store says
// about logs does not hold for a copy of it.
func storeIdentity(uri string) (string, error) {
	path, ok := strings.CutPrefix(uri, "sqlite:")
	if !ok {
		return mongodb.Identity(uri)
	}
	path, err := filepath.Abs(path)
	if err != nil {
		return "", err
	}
	// The file of a store that is being restored does not exist yet.
	if dir, err := filepath.EvalSymlinks(filepath.Dir(path)); err == nil {
		path = filepath.Join(dir, filepath.Base(path))
	}
	if file, err := filepath.EvalSymlinks(path); err == nil {
		path = file
	}
	return "sqlite:" + path, nil
}

// copyPlaces tells a copy where the servers of the store of that URI write their logs,
// which are not the copy's.
func copyPlaces(ctx context.Context, source audit.PlaceStore, uri string, target audit.PlaceStore) error {
	identity, err := storeIdentity(uri)
	if err != nil {
		return err
	}
	places, err := source.Places(ctx)
	for _, p := range places {
		p.Store = cmp.Or(p.Store, identity)
		err = errors.Join(err, target.SetPlace(ctx, p))
	}
	return err
}

// commandSink returns where a command that works on the store of that URI writes
// its events: where the store's servers do, whatever the environment, a file or
// the working directory says, so that no change is missing from the log by
// accident. A flag overrides that; audit verify then names the chain if it is only
// given the deployment's log. Standard output is reserved for a command's answer;
// events for it go to standard error. s is nil for a store that is still to be made.
func (d *deployment) commandSink(ctx context.Context, s audit.PlaceStore, uri string) (string, error) {
	own, err := d.place()
	if err != nil {
		return "", err
	}
	if d.cfg.SourceOf("audit_log") == config.FromFlag {
		return stderrFor(own.Sink), nil
	}
	var places []audit.Place
	if s != nil {
		if places, err = s.Places(ctx); err != nil {
			return "", fmt.Errorf("looking for the deployment's audit log: %w", err)
		}
	}
	identity, err := storeIdentity(uri)
	if err != nil {
		return "", err
	}
	sink, err := chooseSink(own, identity, places)
	if err == nil && sink != own.Sink {
		d.log.Info().Str("audit_log", sink).Msg("audit events go where the deployment's servers write theirs")
	}
	return sink, err
}

// isOwn reports whether servers of the deployment write to the sink, so that one of them
// writes the events there that a command owes.
func (d *deployment) isOwn(sink string) bool {
	own, err := d.place()
	if err != nil {
		return false
	}
	identity, err := storeIdentity(d.cfg.Store.Reveal())
	if err != nil {
		return false
	}
	places, err := d.store.Places(d.ctx)
	return err == nil && slices.ContainsFunc(nearTo(own, placesOf(identity, places)), func(p audit.Place) bool { return p.Sink == sink })
}

// placesOf returns where servers of the store write, and not those of its original.
func placesOf(identity string, places []audit.Place) []audit.Place {
	return slices.DeleteFunc(slices.Clone(places), func(p audit.Place) bool { return p.Store != "" && p.Store != identity })
}

// nearTo returns the places that can be written from where own is.
func nearTo(own audit.Place, places []audit.Place) []audit.Place {
	return slices.DeleteFunc(slices.Clone(places), func(p audit.Place) bool { return p.Host != own.Host && !strings.Contains(p.Sink, "://") })
}

// chooseSink chooses the sink of commandSink without a flag.
func chooseSink(own audit.Place, identity string, places []audit.Place) (string, error) {
	of := placesOf(identity, places)
	if len(of) == 0 && len(places) > 0 {
		return "", usageError{fmt.Errorf("%s is a copy of %s, whose servers write their audit log to %s:%s: start a server on the copy, or name a log of its own with --audit-log",
			identity, places[0].Store, places[0].Host, places[0].Sink)}
	}
	if len(of) == 0 {
		of = []audit.Place{own}
	}
	near := nearTo(own, of)
	if len(near) == 0 {
		return "", usageError{fmt.Errorf("the deployment's audit log is at %s:%s, which cannot be written from %s: run the command there, or name a log with --audit-log, which audit verify must then be given too",
			of[0].Host, of[0].Sink, own.Host)}
	}
	chosen := near[0]
	if slices.ContainsFunc(near, func(p audit.Place) bool { return p.Sink == own.Sink }) {
		chosen.Sink = own.Sink
	}
	if isStream(chosen.Sink) {
		return "", usageError{fmt.Errorf("the audit log is the server's %s, where a command does not write by itself: in the server's container name it with --audit-log /proc/1/fd/1, or name another with --audit-log (stderr is one), which audit verify must then be given too",
			chosen.Sink)}
	}
	return chosen.Sink, nil
}

func stderrFor(sink string) string {
	if sink == "stdout" {
		return "stderr"
	}
	return sink
}
