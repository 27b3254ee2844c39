package decision

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"slices"
)

// maxCarried bounds the decisions that a record remembers as carried on.
const maxCarried = 16

// carried returns the ids of the newest decisions on the record that others than their
// makers carried on. The text of the slot keeps them, of a free one too: their makers may
// still wait for their logs, and have to be told that they stand.
func (h Held) carried() []string {
	var text struct{ Carried []string }
	if json.Unmarshal(h.Slot, &text) != nil {
		return nil // no decision has been carried on
	}
	return text.Carried
}

// release empties the slot but for what was carried on.
func (h *Held) release(carried []string) error {
	h.SlotID, h.Slot = "", nil
	if len(carried) == 0 {
		return nil
	}
	text, err := json.Marshal(struct{ Carried []string }{carried})
	if err != nil {
		return fmt.Errorf("decision: %w", err)
	}
	h.Slot = text
	return nil
}

// withCarried returns ids with id as the newest.
func withCarried(ids []string, id string) []string {
	ids = append(slices.Clone(ids), id)
	return ids[max(0, len(ids)-maxCarried):]
}

// errRecordGone is the errGone of a record that is no longer there.
var errRecordGone = fmt.Errorf("%w: neither is its record", errGone)

// errDisowned means that others took the process that made a decision for dead.
var errDisowned = errors.New("its maker took too long")

// gone returns what became of a proposal that the record no longer holds, as found says,
// after its event was written and a step failed with cause. errElsewhere means that it
// stands. If it was overtaken, gone tells the log so. doubtful says that this process
// may have made the change itself.
//
// Where that cannot be known, gone adds nothing to the log: who carried it on or overtook
// it has told it later than this process, and that counts.
func (m *Maker[T]) gone(ctx context.Context, p *proposal[T], found, cause error, doubtful bool) error {
	h := m.Records.Held(&p.held)
	switch lost := errors.Is(found, errRecordGone); {
	case p.After != nil && m.retreats(p.held):
		return conclude(ErrNotRecorded, errDisowned) // and told so by who did it
	case p.After == nil, lost && (p.Ends || h.Unborn):
		return errElsewhere
	case lost:
		return concluded{found}
	case slices.Contains(h.carried(), p.ID), m.Records.Same(p.held, p.after):
		return errElsewhere
	case doubtful, len(h.carried()) >= maxCarried:
		return conclude(ErrUnfinished, cause)
	}
	return m.refute(ctx, p, cause)
}
