package main

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"time"

	"github.com/keyturn/keyturn/internal/store"
	"github.com/keyturn/keyturn/keys"
)

// masters reads the master keys of the settings. For a SQLite deployment without any
// it reads the file beside the database, and creates it the first time.
func (d *deployment) masters() (*keys.Masters, error) {
	if err := d.cfg.CheckMaster(); err != nil {
		return nil, usageError{err}
	}
	m, err := d.givenMasters()
	if !errors.Is(err, errNoMasters) {
		return m, err
	}
	path := d.cfg.MasterKeyBeside()
	if err := mayMakeMaster(d.ctx, d.store, path); err != nil {
		return nil, err
	}
	if err := makeMaster(path); err != nil {
		return nil, fmt.Errorf("master_key_file %s: %w", path, err)
	}
	d.log.Info().Str("file", path).Msg("made a master key; back it up apart from the database: without it the keys and sessions are lost")
	return d.readMasters(path)
}

var errNoMasters = errors.New("there are no master keys")

// givenMasters reads the master keys of the settings, or those beside a SQLite
// database. It returns errNoMasters if there are none.
func (d *deployment) givenMasters() (*keys.Masters, error) {
	switch {
	case !d.cfg.MasterKey.IsZero():
		m, err := keys.ParseMasters([]byte(d.cfg.MasterKey.Reveal()))
		if err != nil {
			return nil, usageError{fmt.Errorf("KEYTURN_MASTER_KEY: %w", err)}
		}
		return m, nil
	case d.cfg.MasterKeyFile != "":
		return d.readMasters(d.cfg.MasterKeyFile)
	case d.cfg.SQLitePath() == "":
		return nil, errNoMasters
	}
	m, err := d.readMasters(d.cfg.MasterKeyBeside())
	if errors.Is(err, fs.ErrNotExist) {
		return nil, errNoMasters
	}
	return m, err
}

func (d *deployment) readMasters(path string) (*keys.Masters, error) {
	text, err := d.readSecretFile("master_key_file", path)
	if err != nil {
		return nil, err
	}
	m, err := keys.ParseMasters(text)
	if err != nil {
		return nil, fmt.Errorf("master_key_file %s: %w", path, err)
	}
	return m, nil
}

// masterElsewhere returns the place of the master key in the settings, unless that is
// the file beside a SQLite database.
func (d *deployment) masterElsewhere() string {
	given := d.cfg.MasterKeyFile
	switch {
	case !d.cfg.MasterKey.IsZero():
		return "KEYTURN_MASTER_KEY"
	case d.cfg.SQLitePath() != "" && (given == "" || filepath.Clean(given) == filepath.Clean(d.cfg.MasterKeyBeside())):
		return ""
	}
	return given
}

// inUse begins the line in a master key file which says that keys of the store beside
// it were sealed with it. An empty store there is not the right one.
const inUse = "# in use since "

// markMaster notes in the master key file beside the database that it is in use. It
// leaves a file that cannot be written as it is.
func (d *deployment) markMaster() {
	if d.masterElsewhere() != "" {
		return
	}
	path := d.cfg.MasterKeyBeside()
	if text, err := os.ReadFile(path); err != nil || strings.Contains(string(text), inUse) {
		return
	}
	f, err := os.OpenFile(path, os.O_WRONLY|os.O_APPEND, 0)
	if err != nil {
		return
	}
	_, err = fmt.Fprintf(f, "%s%s\n", inUse, time.Now().UTC().Format(time.RFC3339))
	if err = errors.Join(err, f.Sync(), f.Close()); err != nil {
		d.log.Warn().Err(err).Str("file", path).Msg("the master key file could not be marked as being in use")
	}
}

// checkNotLost refuses to begin anew where store_must_exist says that there is a store,
// or a master key beside it is in use: the database was moved, lost, or copied without
// its log, or a volume is empty.
func (d *deployment) checkNotLost() error {
	const putBack = "put the database back, or a backup of it"
	db, path, said := d.cfg.SQLitePath(), d.cfg.MasterKeyBeside(), ""
	if text, err := os.ReadFile(path); db != "" && err == nil && strings.Contains(string(text), inUse) {
		said = "the master key file " + path + " beside it is in use: " + putBack + " with keyturn store restore; to begin anew, move the master key file away"
	}
	if d.cfg.StoreMustExist {
		said = "store_must_exist is true: " + putBack + "; to begin a deployment, start it with false once"
	}
	if said == "" {
		return nil
	}
	begins, err := d.begins()
	if err == nil && begins {
		err = fmt.Errorf("store %s holds no keys, and %s", d.cfg.Store, said)
	}
	return err
}

// begins reports whether the store has no keys or, before it is open, whether it is a
// SQLite file that is missing or empty.
func (d *deployment) begins() (bool, error) {
	if d.store != nil {
		records, err := d.store.Keys(d.ctx)
		return len(records) == 0, err
	}
	db := d.cfg.SQLitePath()
	info, err := os.Stat(db)
	return db != "" && (errors.Is(err, fs.ErrNotExist) || err == nil && info.Size() == 0), nil
}

// mayMakeMaster refuses to create a master key if the store has keys that another one
// sealed, because then the file was lost, or the path is wrong.
func mayMakeMaster(ctx context.Context, s store.Store, path string) error {
	records, err := s.Keys(ctx)
	if err != nil {
		return err
	}
	if len(records) > 0 {
		return fmt.Errorf("master_key_file %s is missing, and the store has keys that were sealed with it: restore the file, or name another one", path)
	}
	return nil
}

// makeMaster writes a new master key file, completely or not at all. It leaves a file
// that another process created meanwhile as it is.
func makeMaster(path string) error {
	line, err := keys.NewMaster()
	if err != nil {
		return err
	}
	f, err := os.CreateTemp(filepath.Dir(path), ".master-key-*") // mode 0600
	if err != nil {
		return err
	}
	defer os.Remove(f.Name())
	_, err = fmt.Fprintf(f, "# Keyturn master keys: the first seals, all open. Keep this file secret and backed up.\n%s\n", line)
	if err = errors.Join(err, f.Sync(), f.Close()); err != nil {
		return err
	}
	if err := os.Link(f.Name(), path); err != nil && !errors.Is(err, fs.ErrExist) {
		return err
	}
	return syncDir(filepath.Dir(path))
}

func syncDir(path string) error {
	dir, err := os.Open(path)
	if err != nil {
		return err
	}
	return errors.Join(dir.Sync(), dir.Close())
}
