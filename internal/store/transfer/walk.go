package transfer

import (
	"context"
	"time"

	"github.com/keyturn/keyturn/internal/store"
)

// walk iterates over the records of one kind in one store, by id.
type walk struct {
	kind  kind
	store store.Store
	now   time.Time
	after string
	page  []item
	ended bool
}

// peek returns the current record, or nil at the end.
func (w *walk) peek(ctx context.Context) (*item, error) {
	for len(w.page) == 0 && !w.ended {
		page, last, err := w.kind.read(ctx, w.store, w.after, w.now)
		if err != nil {
			return nil, err
		}
		w.page, w.after, w.ended = page, last, last == ""
	}
	if len(w.page) == 0 {
		return nil, nil
	}
	return &w.page[0], nil
}

// step advances to the next record.
func (w *walk) step() { w.page = w.page[1:] }

// pair holds the records of two stores under one id; nil for a missing one.
type pair struct{ a, b *item }

func (p pair) id() string {
	if p.a != nil {
		return p.a.id
	}
	return p.b.id
}

// equal reports whether both stores have the same record.
func (p pair) equal() bool {
	return p.a != nil && p.b != nil && string(p.a.contents) == string(p.b.contents)
}

// swept reports whether only one of the stores has the record and it has expired
// since the walk began: the other store may have removed it.
func (p pair) swept() bool { return p.a == nil && p.b.over() || p.b == nil && p.a.over() }

// sideBySide calls visit for every id of a kind that either store has, in order,
// except for swept records.
func sideBySide(ctx context.Context, k kind, a, b store.Store, now time.Time, visit func(pair) error) error {
	wa, wb := walk{kind: k, store: a, now: now}, walk{kind: k, store: b, now: now}
	for {
		x, err := wa.peek(ctx)
		if err != nil {
			return err
		}
		y, err := wb.peek(ctx)
		if err != nil {
			return err
		}
		if x == nil && y == nil {
			return nil
		}
		if x != nil && y != nil && x.id != y.id {
			if x.id < y.id {
				y = nil
			} else {
				x = nil
			}
		}
		if p := (pair{x, y}); !p.swept() {
			if err := visit(p); err != nil {
				return err
			}
		}
		if x != nil {
			wa.step()
		}
		if y != nil {
			wb.step()
		}
	}
}
