package decision

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"slices"
	"time"

	"github.com/keyturn/keyturn/internal/audit"
)

// notice is what people are to be told of the decision with that ID.
type notice struct {
	ID   string
	Text json.RawMessage
}

// errNoticeOwed means that all is done but a notice, which Settle gives.
var errNoticeOwed = errors.New("a notice could not be given yet")

// noticesBut returns the Notices of other decisions than id.
func (s slot) noticesBut(id string) []notice {
	return slices.DeleteFunc(slices.Clone(s.Notices), func(n notice) bool { return n.ID == id })
}

// OwesNotice reports whether the notice of the decision id may still be given by who
// carries that out.
func (h Held) OwesNotice(id string) bool {
	if h.Free() {
		return false
	}
	s, err := h.read()
	return err != nil || len(s.noticesBut(id)) < len(s.Notices)
}

// maxNotify bounds how long a decision is kept by its notices.
const maxNotify = 2 * time.Second

// notify gives the notices of a decision whose event is in the log. It tries once: what
// cannot be given is left to Settle.
func (m *Maker[T]) notify(ctx context.Context, p *proposal[T]) error {
	giving, cancel := context.WithTimeout(ctx, maxNotify)
	defer cancel()
	for len(p.Notices) > 0 {
		err := errNoticeOwed
		if n := p.Notices[0]; m.Records.Notify != nil {
			err = m.Records.Notify(giving, n.ID, n.Text)
		}
		if err != nil {
			ctx, cancel := audit.Outlast(ctx)
			defer cancel()
			p.Told, p.Followed, p.Earlier = true, true, nil
			m.note(ctx, p)
			return fmt.Errorf("%w: %w", errNoticeOwed, err)
		}
		p.Notices = p.Notices[1:]
	}
	return nil
}

// unlessNotice turns errNoticeOwed into success.
func unlessNotice(err error) error {
	if errors.Is(err, errNoticeOwed) {
		return nil
	}
	return err
}

// owesNotices reports whether all of a decision is done but its notices.
func (m *Maker[T]) owesNotices(s slot) bool {
	return s.After == nil && s.Told && !s.Ends && len(s.Notices) > 0 && (s.Followed || !m.Records.follows(s.Event.Action))
}
