// Package transfer copies a deployment's data from one store to another and
// verifies that both have the same content.
package transfer

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"time"

	"github.com/keyturn/keyturn/internal/store"
)

// Progress is called with a stage, such as "copying sessions", the number of its
// records done and their approximate total, or 0 if that is unknown.
type Progress func(stage string, done, total int64)

// KindCopy counts what a copy did with the records of one kind.
type KindCopy struct {
	Kind string `json:"kind"`
	// Written records were written. Kept records were in the target already, from
	// an earlier copy.
	Written int64 `json:"written"`
	Kept    int64 `json:"kept"`
}

// ErrNotACopy means that a target contains something that does not come from the
// source.
var ErrNotACopy = errors.New("the target store is in use: it is neither empty nor an earlier copy of this source")

// ErrWentOn is the ErrNotACopy of a target that was a copy of the source, or shares an
// origin with it, before a server or a command worked on it.
var ErrWentOn = fmt.Errorf("%w that nobody has worked on", ErrNotACopy)

// Copy copies everything that has not expired from one store to another. It only
// reads the source. The target must be empty, or contain only what an earlier
// Copy from this source left, finished or not: then Copy writes only what
// differs. So repeating Copy resumes an interrupted copy, and catches up with
// changes of a source that is in use.
//
// It refuses a target that a server or a command has used with ErrNotACopy,
// because that has an audit chain unknown to the source, and also a target with
// records that the source does not have.
//
// Verify the copy with Compare.
func Copy(ctx context.Context, from, to store.Store, now time.Time, progress Progress) ([]KindCopy, error) {
	if err := CheckTarget(ctx, from, to, now); err != nil {
		return nil, err
	}
	sizes, err := from.Sizes(ctx)
	if err != nil {
		return nil, err
	}
	if err := copyHashKinds(ctx, from, to, now); err != nil {
		return nil, err
	}
	var all []KindCopy
	for _, k := range kinds() {
		if k.remove != nil {
			if err := removeGone(ctx, k, from, to, now); err != nil {
				return nil, fmt.Errorf("removing %s that are gone: %w", k.name, err)
			}
		}
		c := copier{kind: k, to: to, report: func(done int64) { progress("copying "+k.name, done, k.total(sizes)) }}
		err := sideBySide(ctx, k, from, to, now, func(p pair) error { return c.visit(ctx, p) })
		if err == nil {
			err = c.flush(ctx)
		}
		if err != nil {
			return nil, fmt.Errorf("copying %s, after %d: %w", k.name, c.done.Written+c.done.Kept, err)
		}
		c.done.Kind = k.name
		all = append(all, c.done)
	}
	return all, nil
}

// copyHashKinds writes the kinds of password hashes to the target before it has
// accounts with them. Further kinds in the target do no harm.
func copyHashKinds(ctx context.Context, from, to store.Store, now time.Time) error {
	known, err := from.HashKinds(ctx)
	if err != nil {
		return err
	}
	for _, kind := range known {
		if err := to.AnnounceHashKind(ctx, kind, now); err != nil {
			return err
		}
	}
	return nil
}

func (k kind) total(sizes store.Sizes) int64 {
	if k.size == nil {
		return 0
	}
	return k.size(sizes)
}

// CheckTarget refuses a target that is neither empty nor a copy of the source, as
// Copy does.
func CheckTarget(ctx context.Context, from, to store.Store, now time.Time) error {
	known, err := from.Anchors(ctx)
	if err != nil {
		return err
	}
	heads := map[string]int64{}
	for _, a := range known {
		heads[a.Chain] = a.Seq
	}
	anchors, err := to.Anchors(ctx)
	if err != nil {
		return err
	}
	unknown, refusal := "", ErrNotACopy
	for _, a := range anchors {
		head, shared := heads[a.Chain]
		if shared {
			refusal = ErrWentOn
		}
		if !shared || head < a.Seq {
			unknown = a.Chain
		}
	}
	// The heads alone do not tell: a server stores them now and then. The time it
	// stores from its start on is not copied, so that a store that has one was served.
	served, err := to.SteadyTime(ctx)
	if err != nil {
		return err
	}
	if !served.IsZero() {
		return fmt.Errorf("%w: a server has run on it; name an empty store", refusal)
	}
	if unknown != "" {
		return fmt.Errorf("%w: the audit chain %s in it has lines that the source knows nothing of; name an empty store", refusal, unknown)
	}
	if len(anchors) > 0 {
		return nil
	}
	for _, k := range kinds() {
		w := walk{kind: k, store: to, now: now}
		first, err := w.peek(ctx)
		if err != nil {
			return err
		}
		if first != nil {
			return fmt.Errorf("%w: it has %s; name an empty store", ErrNotACopy, k.name)
		}
	}
	return nil
}

// removeGone removes from a copy what the source no longer has. It comes first,
// so that a new record can have the name of a removed one.
func removeGone(ctx context.Context, k kind, from, to store.Store, now time.Time) error {
	var gone []any
	err := sideBySide(ctx, k, from, to, now, func(p pair) error {
		if p.a == nil {
			gone = append(gone, p.b.record)
		}
		return nil
	})
	for _, record := range gone {
		err = errors.Join(err, k.remove(ctx, to, record))
	}
	return err
}

// copier writes what the target lacks of one kind, a page at a time.
type copier struct {
	kind   kind
	to     store.Store
	batch  []any
	done   KindCopy
	report func(done int64)
}

func (c *copier) visit(ctx context.Context, p pair) error {
	switch {
	case p.a == nil:
		return fmt.Errorf("%w: it has %q, which the source does not have (any more); empty it and copy again", ErrNotACopy, p.b.id)
	case p.equal():
		c.done.Kept++
	default:
		c.batch = append(c.batch, p.a.record)
	}
	if len(c.batch) == pageSize {
		return c.flush(ctx)
	}
	if c.done.Kept%pageSize == 0 && p.equal() {
		c.report(c.done.Written + c.done.Kept)
	}
	return nil
}

func (c *copier) flush(ctx context.Context) error {
	if len(c.batch) == 0 {
		return nil
	}
	if err := c.kind.put(ctx, c.to, c.batch); err != nil {
		return err
	}
	c.done.Written += int64(len(c.batch))
	c.batch = c.batch[:0]
	c.report(c.done.Written + c.done.Kept)
	return nil
}

// KindDigest is the number of unexpired records of a kind in a store, and the
// SHA-256 of their contents in the order of their ids.
type KindDigest struct {
	Kind   string `json:"kind"`
	Count  int64  `json:"count"`
	SHA256 string `json:"sha256"`
}

// Digest reads the whole store. Two stores with the same digests have the same
// content.
func Digest(ctx context.Context, s store.Store, now time.Time, progress Progress) ([]KindDigest, error) {
	sizes, err := s.Sizes(ctx)
	if err != nil {
		return nil, err
	}
	var all []KindDigest
	for _, k := range kinds() {
		sum, n := sha256.New(), int64(0)
		w := walk{kind: k, store: s, now: now}
		for {
			i, err := w.peek(ctx)
			if err != nil {
				return nil, fmt.Errorf("reading %s, after %d: %w", k.name, n, err)
			}
			if i == nil {
				break
			}
			sum.Write(i.contents)
			w.step()
			if n++; n%pageSize == 0 {
				progress("reading "+k.name, n, k.total(sizes))
			}
		}
		all = append(all, KindDigest{Kind: k.name, Count: n, SHA256: hex.EncodeToString(sum.Sum(nil))})
	}
	return all, nil
}

// ErrDiffer means that two stores have different content.
var ErrDiffer = errors.New("the stores differ")

// Compare reads both stores record by record and returns their common digests, or
// ErrDiffer, which names the first difference.
func Compare(ctx context.Context, a, b store.Store, now time.Time, progress Progress) ([]KindDigest, error) {
	sizes, err := a.Sizes(ctx)
	if err != nil {
		return nil, err
	}
	var all []KindDigest
	for _, k := range kinds() {
		sum, n := sha256.New(), int64(0)
		err := sideBySide(ctx, k, a, b, now, func(p pair) error {
			switch {
			case p.b == nil:
				return fmt.Errorf("%w: only the first has %q", ErrDiffer, p.id())
			case p.a == nil:
				return fmt.Errorf("%w: only the second has %q", ErrDiffer, p.id())
			case !p.equal():
				return fmt.Errorf("%w: they have not the same of %q", ErrDiffer, p.id())
			}
			sum.Write(p.a.contents)
			if n++; n%pageSize == 0 {
				progress("verifying "+k.name, n, k.total(sizes))
			}
			return nil
		})
		if err != nil {
			return nil, fmt.Errorf("comparing %s, after %d: %w", k.name, n, err)
		}
		all = append(all, KindDigest{Kind: k.name, Count: n, SHA256: hex.EncodeToString(sum.Sum(nil))})
	}
	return all, nil
}
