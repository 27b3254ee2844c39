// Package transfer moves a deployment's data from one store to another and
// verifies that both hold the same.
package transfer

import (
	"bytes"
	"context"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"hash"
	"slices"

	"github.com/keyturn/keyturn/internal/audit"
	"github.com/keyturn/keyturn/internal/store"
	"github.com/keyturn/keyturn/keys"
	"github.com/keyturn/keyturn/oauth"
	"github.com/keyturn/keyturn/users"
)

// page is how many records are read at once.
const page = 500

// Progress is told how many records of a kind are done.
type Progress func(kind string, done int)

// kind walks the records of one kind, in the order of their ids, and knows how
// to put one into another store.
type kind struct {
	name string
	walk func(ctx context.Context, s store.Store, visit func(any) error) error
	put  func(ctx context.Context, s store.Store, record any) error
}

// pages walks a listing page by page.
func pages[T any](list func(ctx context.Context, after string, limit int) ([]T, error), id func(T) string) func(context.Context, func(any) error) error {
	return func(ctx context.Context, visit func(any) error) error {
		for after := ""; ; {
			records, err := list(ctx, after, page)
			if err != nil {
				return err
			}
			for _, r := range records {
				if err := visit(r); err != nil {
					return err
				}
				after = id(r)
			}
			if len(records) < page {
				return nil
			}
		}
	}
}

func walkKeys(ctx context.Context, s store.Store, visit func(any) error) error {
	live, err := s.Keys(ctx)
	if err != nil {
		return err
	}
	archived, err := s.ArchivedKeys(ctx)
	if err != nil {
		return err
	}
	all := slices.Concat(live, archived)
	slices.SortFunc(all, func(a, b keys.Record) int { return int(a.Seq - b.Seq) })
	for _, r := range all {
		if err := visit(r); err != nil {
			return err
		}
	}
	return nil
}

func walkAnchors(ctx context.Context, s store.Store, visit func(any) error) error {
	anchors, err := s.Anchors(ctx)
	if err != nil {
		return err
	}
	slices.SortFunc(anchors, func(a, b audit.Anchor) int { return bytes.Compare([]byte(a.Chain), []byte(b.Chain)) })
	for _, a := range anchors {
		if err := visit(a); err != nil {
			return err
		}
	}
	return nil
}

// kinds are all that a store holds but the throttle's counters, which are of
// minutes' worth.
func kinds() []kind {
	return []kind{
		{"keys", walkKeys, func(ctx context.Context, s store.Store, r any) error {
			return s.CreateKey(ctx, r.(keys.Record))
		}},
		{"clients", func(ctx context.Context, s store.Store, visit func(any) error) error {
			return pages(s.ListClients, func(c oauth.Client) string { return c.ID })(ctx, visit)
		}, func(ctx context.Context, s store.Store, r any) error {
			return s.CreateClient(ctx, r.(oauth.Client))
		}},
		{"users", func(ctx context.Context, s store.Store, visit func(any) error) error {
			return pages(s.ListUsers, func(u users.User) string { return u.UID })(ctx, visit)
		}, func(ctx context.Context, s store.Store, r any) error {
			return s.CreateUser(ctx, r.(users.User))
		}},
		{"sessions", func(ctx context.Context, s store.Store, visit func(any) error) error {
			return pages(s.AllFamilies, func(f oauth.Family) string { return f.ID })(ctx, visit)
		}, func(ctx context.Context, s store.Store, r any) error {
			return s.CreateFamily(ctx, r.(oauth.Family))
		}},
		{"denied tokens", func(ctx context.Context, s store.Store, visit func(any) error) error {
			return pages(s.DeniedTokens, func(d store.DeniedToken) string { return d.JTI })(ctx, visit)
		}, func(ctx context.Context, s store.Store, r any) error {
			d := r.(store.DeniedToken)
			return s.DenyToken(ctx, d.JTI, d.ExpireAt)
		}},
		{"audit anchors", walkAnchors, func(ctx context.Context, s store.Store, r any) error {
			return s.SetAnchor(ctx, r.(audit.Anchor))
		}},
	}
}

// Copy copies everything from one store into an empty one, and fails on the
// first record that cannot be written. The source is only read. The copy is to
// be verified with Check.
func Copy(ctx context.Context, from, to store.Store, progress Progress) error {
	held, err := Digest(ctx, to, func(string, int) {})
	if err != nil {
		return err
	}
	for _, d := range held {
		if d.Count > 0 {
			return fmt.Errorf("the target store is not empty: it has %d %s; name an empty one", d.Count, d.Kind)
		}
	}
	for _, k := range kinds() {
		n := 0
		err := k.walk(ctx, from, func(r any) error {
			if err := k.put(ctx, to, r); err != nil {
				return err
			}
			n++
			progress(k.name, n)
			return nil
		})
		if err != nil {
			return fmt.Errorf("copying %s, after %d: %w", k.name, n, err)
		}
	}
	return nil
}

// KindDigest is how many records of a kind a store has, and the SHA-256 over
// their contents in the order of their ids.
type KindDigest struct {
	Kind   string `json:"kind"`
	Count  int    `json:"count"`
	SHA256 string `json:"sha256"`
}

// Digest reads the whole store. Two stores with the same digests hold the same.
func Digest(ctx context.Context, s store.Store, progress Progress) ([]KindDigest, error) {
	var all []KindDigest
	for _, k := range kinds() {
		sum, n := sha256.New(), 0
		err := k.walk(ctx, s, func(r any) error {
			n++
			progress(k.name, n)
			return addRecord(sum, r)
		})
		if err != nil {
			return nil, fmt.Errorf("reading %s, after %d: %w", k.name, n, err)
		}
		all = append(all, KindDigest{Kind: k.name, Count: n, SHA256: hex.EncodeToString(sum.Sum(nil))})
	}
	return all, nil
}

// addRecord adds a record in a form in which empty and absent lists, and the
// same instant in different zones, are equal.
func addRecord(sum hash.Hash, r any) error {
	switch v := r.(type) {
	case oauth.Client:
		v.Grants, v.Scope, v.DefaultScope, v.Audience = some(v.Grants), some(v.Scope), some(v.DefaultScope), some(v.Audience)
		v.Claims = some(v.Claims)
		v.CreatedAt, v.UpdatedAt, r = v.CreatedAt.UTC(), v.UpdatedAt.UTC(), v
		if len(v.SecretHash) == 0 {
			v.SecretHash, r = nil, v
		}
	case users.User:
		v.Roles = some(v.Roles)
		if len(v.ResetHash) == 0 {
			v.ResetHash = nil
		}
		r = v
	case oauth.Family:
		v.Scope, v.Audience = some(v.Scope), some(v.Audience)
		r = v
	case keys.Record:
		// The version counts writes of one store and is no content.
		v.Version = 0
		if len(v.Sealed) == 0 {
			v.Sealed = nil
		}
		r = v
	}
	return json.NewEncoder(sum).Encode(r)
}

func some(list []string) []string {
	if list == nil {
		return []string{}
	}
	return list
}

// ErrDiffer means that two stores do not hold the same.
var ErrDiffer = errors.New("the stores differ")

// Compare returns ErrDiffer, naming the kinds, unless the digests are equal.
func Compare(a, b []KindDigest) error {
	for i := range a {
		if i >= len(b) || a[i] != b[i] {
			return fmt.Errorf("%w in %s: %d records here, %d there", ErrDiffer, a[i].Kind, a[i].Count, b[min(i, len(b)-1)].Count)
		}
	}
	return nil
}
