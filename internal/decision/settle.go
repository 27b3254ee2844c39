package decision

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"time"

	"github.com/keyturn/keyturn/internal/audit"
)

const (
	// Grace is how long a decision is left to the process that began it.
	Grace = 5 * time.Second
	// maxAhead is how far ahead the clock of that process may be.
	maxAhead = time.Minute
	// settleBatch bounds the decisions that one Settle finishes.
	settleBatch = 256
)

// Settle carries forward decisions that were left unfinished by a process that
// died, or that could not reach the store or the log. It returns how many it
// finished. It continues after a failed one and returns the errors joined. Call
// it about every second on every server, and at the start of a command.
func (m *Maker[T]) Settle(ctx context.Context) (int, error) {
	_, settled, err := m.carryOn(ctx)
	return settled, err
}

// carryOn is like Settle, and also returns how many decisions it found.
func (m *Maker[T]) carryOn(ctx context.Context) (found, settled int, err error) {
	pending, err := m.Records.Pending(ctx, settleBatch)
	if err != nil {
		return 0, 0, fmt.Errorf("find decisions under way: %w", err)
	}
	ctx, cancel := context.WithTimeout(ctx, maxHang)
	defer cancel()
	var errs []error
	for _, r := range pending {
		if ctx.Err() != nil {
			break // the next time
		}
		switch done, err := m.settle(ctx, r); {
		case err != nil:
			errs = append(errs, err)
		case done:
			settled++
		}
	}
	return len(pending), settled, errors.Join(errs...)
}

// settle carries one decision forward, unless it still belongs to another
// process.
func (m *Maker[T]) settle(ctx context.Context, r T) (bool, error) {
	s, err := m.Records.Held(&r).read()
	if err != nil {
		return false, err
	}
	// A record dated by a clock that runs ahead must not stay open for ever.
	if age := m.Now().Sub(s.At); age < Grace && age > -maxAhead {
		return false, nil
	}
	if !s.Told && m.away() && (s.After != nil || s.Followed || !m.Records.follows(s.Event.Action)) {
		return false, nil // it is for another, whose log takes it, and who is not to wait
	}
	ctx, cancel := audit.Outlast(audit.WithRequest(ctx, s.Request))
	defer cancel()
	p := &proposal[T]{slot: s, held: r}
	if s.After != nil && m.retreats(r) {
		err = m.disown(ctx, p, s.spoken(m.Now()))
	}
	if err == nil {
		err = m.takeUp(ctx, p)
	}
	if err != nil {
		if _, refused := m.Records.Refused(err); refused {
			return false, nil // another process was faster
		}
		return false, err
	}
	if p.After == nil && !p.Told {
		err = m.owed(ctx, p)
	} else {
		err = m.forward(ctx, p)
	}
	if err != nil {
		return false, fmt.Errorf("decision %s (%s): %w", s.ID, s.Event.Action, err)
	}
	return true, nil
}

// away reports whether the log is known to take no event.
func (m *Maker[T]) away() bool {
	log, is := m.Audit.(interface {
		Away() (why error, stands bool)
	})
	if !is {
		return false
	}
	why, stands := log.Away()
	return why != nil && !stands
}

// takeUp ensures that only one process carries a decision on, and that the one
// that began it no longer withdraws it.
func (m *Maker[T]) takeUp(ctx context.Context, p *proposal[T]) error {
	p.after = p.held
	if p.After != nil {
		var after T // none of what held has
		if err := json.Unmarshal(p.After, &after); err != nil {
			return fmt.Errorf("decision %s cannot be read: %w", p.ID, err)
		}
		p.after = after
	}
	p.Rev++
	p.At, p.Event.Retold = m.Now().UTC(), true
	next := p.held
	h := m.Records.Held(&next)
	if err := p.fill(h); err != nil {
		return err
	}
	if err := m.Records.Replace(ctx, p.held, next); err != nil {
		return err
	}
	h.Version++
	p.held = next
	return nil
}

// forward writes the event unless it is certainly in the log, and makes the
// change unless it was made.
func (m *Maker[T]) forward(ctx context.Context, p *proposal[T]) error {
	if !p.Told {
		if err := m.tell(ctx, p); err != nil {
			m.leave(ctx, p)
			return err
		}
	}
	return m.finish(ctx, p)
}
