package main

import (
	"testing"

	"github.com/keyturn/keyturn/internal/audit"
	auditlog "github.com/keyturn/keyturn/internal/audit/log"
	"github.com/keyturn/keyturn/internal/audit/verify"
	"github.com/keyturn/keyturn/internal/store/storetest"
)

// TestA2_ACommandWhoseFirstLookAtTheKeysFailsSignsAllTheSame: its chain has a kind of
// event that is always signed, and would read as put there.
func TestA2_ACommandWhoseFirstLookAtTheKeysFailsSignsAllTheSame(t *testing.T) {
	t.Chdir(t.TempDir())
	d := openHere(t, t.Output())
	masters, err := d.masters()
	if err != nil {
		t.Fatal(err)
	}
	if err := d.steadily(t.Context(), nil); err != nil {
		t.Fatal(err)
	}
	keeper, err := d.keeper(masters, d.audit, d.keyTrouble)
	if err == nil {
		err = keeper.Poll(t.Context())
	}
	if err == nil {
		err = d.audit.Close()
	}
	if err != nil {
		t.Fatal(err)
	}

	for _, failures := range []int{0, 1, 2} {
		faulty := storetest.NewFaulty(d.store)
		command := &deployment{ctx: t.Context(), cfg: d.cfg, log: d.log, store: faulty, clock: d.clock}
		left := failures
		faulty.Inject(func(method string) storetest.Fault {
			if method == "Keys" && left > 0 {
				left--
				return storetest.Fails
			}
			return storetest.None
		})
		if command.audit, err = command.openAudit(auditlog.Options{Sink: d.cfg.AuditLog}, faulty); err != nil {
			t.Fatal(err)
		}
		command.audit.SetSigner(&commandSigner{d: command})
		if err := command.audit.Record(t.Context(), audit.Event{Action: audit.KeyRotated, Outcome: audit.Success}); err != nil {
			t.Fatal(err)
		}
		if err := command.audit.Close(); err != nil {
			t.Fatal(err)
		}
		if left > 0 {
			t.Errorf("the keys were not looked at %d times", failures)
		}
	}
	o, err := verifyOptions(t.Context(), d.cfg)
	o.Signed = true
	if err == nil {
		_, err = verify.Files([]string{d.cfg.AuditLog}, o)
	}
	if err != nil {
		t.Error(err)
	}
	if err := d.store.Close(); err != nil {
		t.Error(err)
	}
}
