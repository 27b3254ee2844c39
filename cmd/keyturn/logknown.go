package main

import (
	"fmt"
	"slices"

	auditlog "github.com/keyturn/keyturn/internal/audit/log"
)

// unknownChains returns the chains at the end of the log of which the store, if it is
// open already, has never heard.
func (d *deployment) unknownChains() ([]string, error) {
	chains, err := auditlog.Former(d.cfg.AuditLog)
	if err != nil || d.store == nil {
		return chains, err
	}
	known, err := d.store.Anchors(d.ctx) // after the log: who begins a chain tells the store first
	for _, a := range known {
		chains = slices.DeleteFunc(chains, func(chain string) bool { return chain == a.Chain })
	}
	return chains, err
}

// checkLogKnown refuses to begin beside the log of a deployment that is not known to
// the store.
func (d *deployment) checkLogKnown() error {
	begins, err := d.begins()
	if err != nil || !begins {
		return err
	}
	unknown, err := d.unknownChains()
	if err != nil || len(unknown) == 0 {
		return err
	}
	return fmt.Errorf("store %s holds no keys, and the audit log %s ends with lines of chain %s, of which it has never heard: the store was lost, or one of the two is another deployment's; "+
		"put the store back, or a backup of it, in place of an empty one; to begin anew, move the log away", d.cfg.Store, d.cfg.AuditLog, unknown[0])
}

// compareLog compares the store with what else tells of it, besides checkLogKnown: it
// warns if the log is ahead of the store, as it is when that was restored by means that
// know nothing of the log, and if a deployment begins under a master key that was given:
// whether that was in use before, nothing here can tell.
func (d *deployment) compareLog() error {
	if err := d.checkLogKnown(); err != nil {
		return err
	}
	unknown, err := d.unknownChains()
	if err != nil {
		return err
	}
	begins, err := d.begins()
	switch master := d.masterElsewhere(); {
	case len(unknown) > 0:
		d.log.Warn().Str("audit_log", d.cfg.AuditLog).Strs("chains", unknown).
			Msg("the audit log is ahead of the store, which has never heard of chains at its end: if the store was restored, say so with keyturn store restored FILE…; if not, see what keyturn audit verify says")
	case begins && master != "":
		d.log.Warn().Stringer("store", d.cfg.Store).Str("master_key", master).
			Msg("THE STORE HOLDS NO KEYS: a new deployment begins in it. If this master key was in use before, the store was lost, or it is another: stop, put it back or restore a backup, and start again. store_must_exist: true refuses such a start")
	}
	return err
}
