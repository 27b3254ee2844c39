package transfer

import (
	"context"
	"time"

	"github.com/keyturn/keyturn/internal/store"
)

// walk goes through the records of one kind in one store, in the order of
// their ids.
type walk struct {
	kind  kind
	store store.Store
	now   time.Time
	after string
	page  []item
	ended bool
}

// peek returns the record at which the walk stands; nil at the end.
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

// step moves on.
func (w *walk) step() { w.page = w.page[1:] }

// pair is what two stores hold under one id; nil where they hold nothing.
type pair struct{ a, b *item }

func (p pair) id() string {
	if p.a != nil {
		return p.a.id
	}
	return p.b.id
}

// equal reports whether both hold the same.
func (p pair) equal() bool {
	return p.a != nil && p.b != nil && string(p.a.contents) == string(p.b.contents)
}

// swept reports whether only one of the stores holds the record and that has
// expired since the walk began: the other has removed it, as a store may.
func (p pair) swept() bool { return p.a == nil && p.b.over() || p.b == nil && p.a.over() }

// sideBySide calls visit for every id of a kind that either store has, in order,
// but for what one of them has swept meanwhile.
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
