package main

import (
	"context"
	"errors"
	"io/fs"
	"time"

	auditlog "github.com/keyturn/keyturn/internal/audit/log"
	"github.com/keyturn/keyturn/keys"
)

// lookTime bounds how long the first event of a command waits for reading the keys
// from the store. After that the next checkpoint tries again.
const lookTime = 3 * time.Second

// commandSigner signs the audit checkpoints of a command with the active key, read
// from the store when the first checkpoint is due. Without the master keys, or
// without a signing key, the command's chain stays unsigned, because most commands
// need neither.
type commandSigner struct {
	d    *deployment
	ring *keys.Ring
}

// Sign implements auditlog.Signer.
func (s *commandSigner) Sign(typ string, payload []byte) (compact, kid string, err error) {
	if s.ring == nil {
		// A ring that could not be read is empty; the next call reads it again.
		ring, err := s.d.readRing()
		if err != nil {
			return "", "", err
		}
		s.ring = ring
	}
	compact, kid, err = s.ring.Sign(typ, payload)
	if errors.Is(err, keys.ErrNoSigningKey) {
		err = auditlog.ErrNoKey
	}
	return compact, kid, err
}

// readRing reads the signing keys and creates nothing, not even a master key.
func (d *deployment) readRing() (*keys.Ring, error) {
	var masters *keys.Masters
	var err error
	switch {
	case d.cfg.MasterKeyFile != "" || !d.cfg.MasterKey.IsZero():
		masters, err = d.masters()
	case d.cfg.SQLitePath() == "":
		return nil, auditlog.ErrNoKey
	default:
		masters, err = d.readMasters(d.cfg.MasterKeyBeside())
	}
	if errors.Is(err, fs.ErrNotExist) {
		return nil, auditlog.ErrNoKey
	}
	if err != nil {
		return nil, err
	}
	k, err := d.keeper(masters, nothingToRecord{}, func(error) {})
	if err != nil {
		return nil, err
	}
	ctx, cancel := context.WithTimeout(d.ctx, lookTime)
	defer cancel()
	err = k.Look(ctx)
	if errors.Is(err, keys.ErrNoneUsable) {
		d.log.Error().Err(err).Msg("the command's events bear no signature: is this the deployment's master key?")
		err = auditlog.ErrNoKey // no other attempt would find another
	}
	return k.Ring(), err
}
