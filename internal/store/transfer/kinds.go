package transfer

import (
	"cmp"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"slices"
	"time"

	"github.com/keyturn/keyturn/internal/audit"
	"github.com/keyturn/keyturn/internal/clients"
	"github.com/keyturn/keyturn/internal/outbox"
	"github.com/keyturn/keyturn/internal/store"
	"github.com/keyturn/keyturn/keys"
	"github.com/keyturn/keyturn/oauth"
	"github.com/keyturn/keyturn/users"
)

// pageSize is how many records are read and written at once.
const pageSize = 500

// item is one record: its id, which is the sort key, the record, and its
// contents in a form that does not depend on the store.
type item struct {
	id       string
	record   any
	contents []byte
	expires  time.Time // zero: never
}

// over reports whether the record, if any, has expired.
func (i *item) over() bool { return i != nil && !i.expires.IsZero() && !i.expires.After(time.Now()) }

// kind is one kind of record, and how stores keep it.
type kind struct {
	name string
	// read returns a page of records whose ids are above after, by id, and the
	// last id; nothing at the end. It omits records that have expired at now,
	// because a store may remove them at any moment.
	read func(ctx context.Context, s store.Store, after string, now time.Time) (page []item, last string, err error)
	// put stores records in place of existing ones.
	put func(ctx context.Context, s store.Store, records []any) error
	// remove removes a record; nil if records are removed only by expiring.
	remove func(ctx context.Context, s store.Store, record any) error
	// size selects the number of records from a store's sizes; nil if there are
	// few.
	size func(store.Sizes) int64
}

// kinds returns the kinds of all records of a store but the throttle's
// counters, which matter for minutes only. The audit anchors come first,
// because they show which deployment a copy is of, even an unfinished one.
func kinds() []kind {
	return []kind{
		{
			name: "audit anchors",
			read: whole(anchorsByChain, func(a audit.Anchor) string { return a.Chain }),
			put:  each(store.Store.SetAnchor),
		},
		{
			name: "keys",
			read: whole(keysBySeq, func(r keys.Record) string { return fmt.Sprintf("%020d", r.Seq) }),
			put:  put(func(r *store.Records) *[]keys.Record { return &r.Keys }),
		},
		{
			name: "clients",
			read: pages(store.Store.ListClients, func(c clients.Client) string { return c.ID }, nil),
			put:  put(func(r *store.Records) *[]clients.Client { return &r.Clients }),
			size: func(s store.Sizes) int64 { return s.Clients },
		},
		{
			name:   "users",
			read:   pages(store.Store.ListUsers, func(u users.User) string { return u.UID }, nil),
			put:    put(func(r *store.Records) *[]users.User { return &r.Users }),
			size:   func(s store.Sizes) int64 { return s.Users },
			remove: removeUser,
		},
		{
			name: "sessions",
			read: pages(store.Store.AllFamilies, func(f oauth.Family) string { return f.ID }, func(f oauth.Family) time.Time { return f.PurgeAt }),
			put:  put(func(r *store.Records) *[]oauth.Family { return &r.Families }),
			size: func(s store.Sizes) int64 { return s.Families },
		},
		{
			name:   "messages",
			read:   pages(store.Store.Messages, func(m outbox.Message) string { return m.ID }, nil),
			put:    put(func(r *store.Records) *[]outbox.Message { return &r.Messages }),
			remove: removeMessage,
		},
		{
			name: "denied tokens",
			read: pages(store.Store.DeniedTokens, func(d oauth.DeniedToken) string { return d.JTI }, func(d oauth.DeniedToken) time.Time { return d.ExpireAt }),
			put:  put(func(r *store.Records) *[]oauth.DeniedToken { return &r.Denied }),
			size: func(s store.Sizes) int64 { return s.Denied },
		},
	}
}

// pages returns a read function for a listing with pages.
func pages[T any](
	list func(s store.Store, ctx context.Context, after string, limit int) ([]T, error), id func(T) string, expires func(T) time.Time,
) func(context.Context, store.Store, string, time.Time) ([]item, string, error) {
	return func(ctx context.Context, s store.Store, after string, now time.Time) ([]item, string, error) {
		records, err := list(s, ctx, after, pageSize)
		if err != nil || len(records) == 0 {
			return nil, "", err
		}
		page := make([]item, 0, len(records))
		for _, r := range records {
			if expires != nil && !expires(r).After(now) {
				continue
			}
			i, err := newItem(id(r), r)
			if err != nil {
				return nil, "", err
			}
			if expires != nil {
				i.expires = expires(r)
			}
			page = append(page, i)
		}
		return page, id(records[len(records)-1]), nil
	}
}

// whole returns a read function for a listing of few records without pages.
func whole[T any](list func(context.Context, store.Store) ([]T, error), id func(T) string) func(context.Context, store.Store, string, time.Time) ([]item, string, error) {
	return func(ctx context.Context, s store.Store, after string, _ time.Time) ([]item, string, error) {
		records, err := list(ctx, s)
		if err != nil || after != "" || len(records) == 0 {
			return nil, "", err
		}
		slices.SortFunc(records, func(a, b T) int { return cmp.Compare(id(a), id(b)) })
		page := make([]item, len(records))
		for n, r := range records {
			if page[n], err = newItem(id(r), r); err != nil {
				return nil, "", err
			}
		}
		return page, page[len(page)-1].id, nil
	}
}

func keysBySeq(ctx context.Context, s store.Store) ([]keys.Record, error) {
	live, err := s.Keys(ctx)
	if err != nil {
		return nil, err
	}
	archived, err := s.ArchivedKeys(ctx)
	return slices.Concat(live, archived), err
}

func anchorsByChain(ctx context.Context, s store.Store) ([]audit.Anchor, error) {
	return s.Anchors(ctx)
}

// put returns a function that writes records of one kind together.
func put[T any](of func(*store.Records) *[]T) func(context.Context, store.Store, []any) error {
	return func(ctx context.Context, s store.Store, records []any) error {
		var batch store.Records
		list := of(&batch)
		for _, r := range records {
			*list = append(*list, r.(T))
		}
		return s.Put(ctx, batch)
	}
}

// each returns a function that writes records one by one.
func each[T any](write func(s store.Store, ctx context.Context, r T) error) func(context.Context, store.Store, []any) error {
	return func(ctx context.Context, s store.Store, records []any) error {
		for _, r := range records {
			if err := write(s, ctx, r.(T)); err != nil {
				return err
			}
		}
		return nil
	}
}

func removeUser(ctx context.Context, s store.Store, record any) error {
	u, err := s.HeldUser(ctx, record.(users.User).UID)
	if err == nil {
		err = s.RemoveUser(ctx, u)
	}
	if errors.Is(err, users.ErrNotFound) {
		return nil
	}
	return err
}

func removeMessage(ctx context.Context, s store.Store, record any) error {
	return s.RemoveMessage(ctx, record.(outbox.Message))
}

// newItem returns a record as an item. In its contents empty and absent lists
// are equal, and the count of writes in one store is omitted.
func newItem(id string, r any) (item, error) {
	same := r
	switch v := r.(type) {
	case clients.Client:
		v.Grants, v.Scope, v.Audience, v.DefaultScope = some(v.Grants), some(v.Scope), some(v.Audience), some(v.DefaultScope)
		v.Claims = some(v.Claims)
		if len(v.SecretHash) == 0 {
			v.SecretHash = nil
		}
		same = v
	case users.User:
		v.Roles = some(v.Roles)
		if len(v.ResetHash) == 0 {
			v.ResetHash = nil
		}
		if len(v.Mailed.Hash) == 0 {
			v.Mailed.Hash = nil
		}
		same = v
	case oauth.Family:
		v.Scope, v.Audience = some(v.Scope), some(v.Audience)
		same = v
	case keys.Record:
		v.Version = 0
		if len(v.Sealed) == 0 {
			v.Sealed = nil
		}
		same = v
	}
	contents, err := json.Marshal(same)
	return item{id: id, record: r, contents: contents}, err
}

func some(list []string) []string {
	if list == nil {
		return []string{}
	}
	return list
}
