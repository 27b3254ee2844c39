package main

import (
	"crypto/tls"
	"errors"
	"fmt"

	auditlog "github.com/keyturn/keyturn/internal/audit/log"
	"github.com/keyturn/keyturn/internal/config"
)

// checkToServe reads what the settings of a server name before anything is
// opened or made: a start that fails for its settings leaves nothing behind.
func (d *deployment) checkToServe() error {
	err := d.checkFiles()
	if d.cfg.AuditCAFile == "" {
		err = errors.Join(err, d.checkAudit())
	}
	return errors.Join(err, d.checkNotLost())
}

// checkFiles reads every file that the settings name.
func (d *deployment) checkFiles() error {
	_, err := d.givenMasters()
	if errors.Is(err, errNoMasters) {
		err = d.cfg.CheckMaster()
	}
	if d.cfg.AuditCAFile != "" {
		err = errors.Join(err, d.checkAudit())
	}
	_, pepperErr := d.pepper()
	return errors.Join(err, pepperErr, checkTLS(d.cfg))
}

func checkTLS(cfg *config.Config) error {
	if cfg.TLSCertFile == "" {
		return nil
	}
	if _, err := tls.LoadX509KeyPair(cfg.TLSCertFile, cfg.TLSKeyFile); err != nil {
		return fmt.Errorf("tls_cert_file %s, tls_key_file %s: %w; use a PEM certificate chain and its private key", cfg.TLSCertFile, cfg.TLSKeyFile, err)
	}
	return nil
}

func (d *deployment) checkAudit() error {
	if err := auditlog.Check(auditlog.Options{Sink: d.cfg.AuditLog, CAFile: d.cfg.AuditCAFile}); err != nil {
		advice := "it must be writable for this user"
		if d.cfg.AuditCAFile != "" {
			advice = "use a PEM file of certificates"
		}
		return fmt.Errorf("audit_log %s: %w; %s", d.cfg.AuditLog, err, advice)
	}
	return nil
}
