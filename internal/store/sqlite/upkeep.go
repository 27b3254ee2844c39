package sqlite

import (
	"context"
	"errors"
	"time"
)

var (
	ping          = sql(`UPDATE pings SET count = count + 1 WHERE id = 1`)
	sweepFamilies = sql(`DELETE FROM families WHERE id IN
		(SELECT id FROM families WHERE purge_at <= ? AND slot_id = '' AND (tell_end = 0 OR revoked_at = 0) ORDER BY purge_at LIMIT ?)`)
	readAutoVacuum = sql(`PRAGMA auto_vacuum`)
	countFree      = sql(`PRAGMA freelist_count`)
	giveBack       = sql(`PRAGMA incremental_vacuum(128)`)
	sweepDenied    = sql(`DELETE FROM denied WHERE jti IN
		(SELECT jti FROM denied WHERE jti NOT GLOB 'dpop *' AND expire_at <= ? AND slot_id = '' ORDER BY expire_at LIMIT ?)`)
	// IDs of DPoP proofs begin with the time when they were made. No other index has them:
	// it would cost as much as the row. A proof that lasts longer than later ones keeps
	// those until it goes itself.
	sweepProofs = sql(`DELETE FROM denied WHERE expire_at <= ?1 AND slot_id = '' AND jti IN
		(SELECT jti FROM denied WHERE jti GLOB 'dpop *' ORDER BY jti LIMIT ?2)`)
	sweepCounters = sql(`DELETE FROM counters WHERE name IN
		(SELECT name FROM counters WHERE expire_at <= ? ORDER BY expire_at LIMIT ?)`)
)

// Ping implements store.Store. It commits a small write, to detect a full or
// read-only disk.
func (s *Store) Ping(ctx context.Context) error {
	return s.run(ctx, ping)
}

// spare is how many free pages the file keeps for new records.
const spare = 256

// Shrink implements store.Shrinker: it returns half a mebibyte of free space to the
// disk. A file created with another auto_vacuum mode has to be rewritten by Rewrite
// first.
func (s *Store) Shrink(ctx context.Context) (more bool, err error) {
	return change(ctx, s, func(c *conn) (bool, error) {
		mode, err := scalar(c, readAutoVacuum)
		if err != nil || mode != incremental {
			return false, err
		}
		free, err := scalar(c, countFree)
		if err != nil || free <= spare {
			return false, err
		}
		_, err = list(c, giveBack, func(*row) struct{} { return struct{}{} })
		return err == nil, err
	})
}

// Rewrite makes a file able to Shrink and returns its free space to the disk. Others
// can read meanwhile, but have to wait to write. It leaves a file that can Shrink
// unchanged.
func (s *Store) Rewrite(ctx context.Context) error {
	c, err := s.file.connect(ctx, forCopying)
	if err != nil {
		return err
	}
	mode, err := scalar(c, readAutoVacuum)
	if err == nil && mode != incremental {
		// The copy that VACUUM makes first may be too large for memory.
		_, err = c.ExecContext(ctx, `PRAGMA temp_store=FILE; PRAGMA auto_vacuum=INCREMENTAL; VACUUM`, nil)
	}
	return errors.Join(s.file.explain(err), c.Close())
}

// incremental is the value of PRAGMA auto_vacuum of a file that can shrink.
const incremental = 2

// Sweep implements store.Store.
func (s *Store) Sweep(ctx context.Context, now time.Time, n int) (int, error) {
	total := 0
	for _, kind := range []*statement{sweepFamilies, sweepDenied, sweepProofs, sweepCounters} {
		removed, err := s.exec(ctx, kind, millis(now), limit(n))
		total += removed
		if err != nil {
			return total, err
		}
	}
	return total, nil
}
