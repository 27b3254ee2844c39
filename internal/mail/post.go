package mail

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"strings"
	"time"

	"github.com/google/uuid"

	"github.com/keyturn/keyturn/internal/outbox"
	"github.com/keyturn/keyturn/keys"
)

const (
	// LetterKind is the kind of the messages of the outbox that are letters.
	LetterKind = "letter"
	// SealLetters names the use of a sealer of Masters that keeps them: they have links
	// that open accounts.
	SealLetters = "keyturn/letter/v1"
	// mostLetters bounds how many wait at once, and mostOwed those and what decisions
	// owe, for which nobody who asks for letters can take the room.
	mostLetters = 10_000
	mostOwed    = 2 * mostLetters
	// mostLanguage bounds what names the language of one, in bytes.
	mostLanguage = 200
)

// ErrLost is wrapped by an error of Post.Prepare after which no other try would succeed:
// the letter is given up.
var ErrLost = fmt.Errorf("it cannot be sent (%w)", outbox.ErrFinal)

// ErrLater is an error of Post.Prepare for a letter that is over by a clock that may be
// wrong: it waits.
var ErrLater = fmt.Errorf("it is over by a clock that may be wrong (%w)", outbox.ErrDeferred)

// Post puts letters into the outbox and sends what is there. It is safe for concurrent
// use.
type Post struct {
	Carrier Carrier
	Words   *Words
	Box     *outbox.Box
	Sealer  *keys.Sealer
	// From is the address that letters come from, Domain the right side of their ids.
	From, Domain string
	// Prepare completes a letter that is about to be sent, at each try, and reports
	// whether it is to be sent at all.
	Prepare func(ctx context.Context, l *Letter) (bool, error)
	// GiveUp tells that a letter could not be sent. If it fails, the letter is kept.
	GiveUp func(ctx context.Context, l Letter, cause error) error
	// Now is the time that no wrong clock moves (T1).
	Now func() time.Time
}

// Write puts l, which a decision owes, into the outbox, unless a letter with its ID is
// there. The ID is best that of the decision's event: then the decision may be carried
// through twice. If the outbox is full l is given up: nobody is to wait for it.
func (p *Post) Write(ctx context.Context, l Letter) error {
	err := p.write(ctx, l, mostOwed, func(context.Context) error { return nil })
	if errors.Is(err, outbox.ErrFull) {
		return p.GiveUp(ctx, l, err)
	}
	return err
}

// WriteIf is Write for a letter that is a decision of its own: it is sent only if record,
// which records that, returns nil. If the letter is there already, record is called and
// nothing is added.
func (p *Post) WriteIf(ctx context.Context, l Letter, record func(context.Context) error) error {
	return p.write(ctx, l, mostLetters, record)
}

func (p *Post) write(ctx context.Context, l Letter, most int, record func(context.Context) error) error {
	l.Language = l.Language[:min(len(l.Language), mostLanguage)]
	text, err := json.Marshal(l)
	if err != nil {
		return err
	}
	sealed, err := p.Sealer.Seal(text, []byte(l.ID))
	if err != nil {
		return err
	}
	// Each domain is a destination, so that one whose server defers keeps up no other.
	_, domain, _ := strings.Cut(l.To, "@")
	m := outbox.Message{ID: "letter:" + l.ID, Kind: LetterKind, To: "mail " + strings.ToLower(domain), Payload: sealed}
	var recorded error
	called := false
	_, err = p.Box.Add(ctx, m, most, func(ctx context.Context) (bool, error) {
		called = true
		recorded = record(ctx)
		return recorded == nil, nil
	})
	switch {
	case called && recorded == nil:
		return nil // if its lease could not be ended, it ends by itself
	case !called && err == nil:
		recorded = record(ctx)
	}
	return errors.Join(recorded, err)
}

// Kind is how the outbox sends letters.
func (p *Post) Kind() outbox.Kind { return outbox.Kind{Send: p.send, GiveUp: p.giveUp} }

func (p *Post) send(ctx context.Context, m outbox.Message) error {
	l, err := p.open(m)
	if err != nil {
		return fmt.Errorf("%w: %w", outbox.ErrFinal, err)
	}
	if !l.Until.IsZero() && p.Now().After(l.Until) {
		return fmt.Errorf("%w: what it says is over", outbox.ErrFinal)
	}
	if p.Prepare != nil {
		if send, err := p.Prepare(ctx, &l); err != nil || !send {
			return err
		}
	}
	said, err := p.Words.put(l)
	if err != nil {
		return fmt.Errorf("%w: %w", outbox.ErrFinal, err)
	}
	said.ID, said.From = uuid.NewSHA1(uuid.Nil, []byte(l.ID)).String()+"@"+p.Domain, p.From
	return p.Carrier.Send(ctx, said)
}

func (p *Post) giveUp(ctx context.Context, m outbox.Message, cause error) error {
	l, err := p.open(m)
	return p.GiveUp(ctx, l, errors.Join(cause, err))
}

func (p *Post) open(m outbox.Message) (l Letter, err error) {
	text, err := p.Sealer.Open(m.Payload, []byte(strings.TrimPrefix(m.ID, "letter:")))
	if err == nil {
		err = json.Unmarshal(text, &l)
	}
	return l, err
}
