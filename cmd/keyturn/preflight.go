package main

import (
	"cmp"
	"crypto/tls"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"

	auditlog "github.com/keyturn/keyturn/internal/audit/log"
	"github.com/keyturn/keyturn/internal/config"
	"github.com/keyturn/keyturn/internal/passwords"
	"github.com/keyturn/keyturn/internal/store/sqlite"
)

// checkToServe checks every file that the settings of a server name, and the memory that
// they take, and then whether the store was lost. It is called before anything is opened
// or made: a start that fails for its settings leaves nothing behind.
func (d *deployment) checkToServe() error {
	_, err := d.givenMasters()
	if errors.Is(err, errNoMasters) {
		err = d.cfg.CheckMaster()
	}
	_, pepperErr := d.pepper()
	memoryErr := passwords.CheckMemory(os.DirFS("/"), d.cfg.PasswordParams(), d.cfg.HashConcurrency)
	err = errors.Join(err, pepperErr, memoryErr, checkTLS(d.cfg), d.checkPages(), d.checkMail(), d.checkPlaceOfStore(), d.checkAudit())
	if err != nil {
		return usageError{err}
	}
	return cmp.Or(d.checkNotLost(), d.checkLogKnown()) // no setting is wrong
}

// checkPlaceOfStore checks whether a SQLite store can be created or written at its
// place in the settings.
func (d *deployment) checkPlaceOfStore() error {
	path := d.cfg.SQLitePath()
	if path == "" {
		return nil
	}
	f, err := os.OpenFile(path, os.O_RDWR, 0)
	switch {
	case err == nil:
		err = errors.Join(f.Close(), auditlog.TakesFiles(filepath.Dir(path)))
	case errors.Is(err, fs.ErrNotExist):
		err = auditlog.TakesFiles(filepath.Dir(path))
	}
	if err != nil {
		return fmt.Errorf("store %s: %w; the directory must be there, and it and the file writable for this user", d.cfg.Store, err)
	}
	return nil
}

// checkFileOfStore examines the file of a SQLite store, if it exists. Opening the
// store does the same.
func (d *deployment) checkFileOfStore() error {
	path := d.cfg.SQLitePath()
	if path == "" {
		return nil
	}
	if err := sqlite.Examine(d.ctx, path); !errors.Is(err, fs.ErrNotExist) {
		return err
	}
	return nil
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
