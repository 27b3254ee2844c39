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

// ErrLeft is wrapped by an error of Post.WriteIf after which the letter may be sent
// nevertheless: what was not recorded could not be taken back.
var ErrLeft = errors.New("the letter is left in the outbox")

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
	// whether it is to be sent at all. What a letter has Asked it settles first, and takes
	// away.
	Prepare func(ctx context.Context, l *Letter) (bool, error)
	// GiveUp tells that a letter could not be sent, or what it still has Asked. If it
	// fails, the letter is kept.
	GiveUp func(ctx context.Context, l Letter, cause error) error
	// Now is the time that no wrong clock moves (T1).
	Now func() time.Time
}

// Write puts l, which a decision owes, into the outbox, unless a letter with its ID is
// there. The ID is best that of the decision's event: then the decision may be carried
// through twice. If the outbox is full l is given up: nobody is to wait for it.
func (p *Post) Write(ctx context.Context, l Letter) error {
	err := p.write(ctx, l, mostOwed, func(context.Context) ([]byte, error) { return nil, nil })
	if errors.Is(err, outbox.ErrFull) {
		return p.GiveUp(ctx, l, err)
	}
	return err
}

// WriteIf is Write for a letter that is a decision of its own: it is sent only if record,
// which records that, succeeds. Until then the letter has its Asked, by which Prepare
// carries it on if this process dies, or record takes as long. Of a letter whose record
// fails nothing is left, unless record also returns what it owes instead: then it is given
// up. If the letter is there already, record is called and nothing is added.
func (p *Post) WriteIf(ctx context.Context, l Letter, record func(context.Context) (asked []byte, err error)) error {
	return p.write(ctx, l, mostLetters, record)
}

// over is when a letter was over that is to be given up: no version sends it.
var over = time.Unix(0, 0)

func (p *Post) write(ctx context.Context, l Letter, most int, record func(context.Context) ([]byte, error)) error {
	l.Language = l.Language[:min(len(l.Language), mostLanguage)]
	sealed, err := p.seal(l)
	if err != nil {
		return err
	}
	// Each domain is a destination, so that one whose server defers keeps up no other.
	_, domain, _ := strings.Cut(l.To, "@")
	m := outbox.Message{ID: "letter:" + l.ID, Kind: LetterKind, To: "mail " + strings.ToLower(domain), Payload: sealed}
	var recorded error
	called := false
	_, err = p.Box.Add(ctx, m, most, func(ctx context.Context) ([]byte, error) {
		called = true
		l.Asked, recorded = record(ctx)
		switch {
		case recorded != nil && l.Asked == nil:
			return nil, nil
		case recorded != nil:
			l.Until = over
		}
		return p.seal(l)
	})
	switch {
	case called && (recorded == nil || errors.Is(err, outbox.ErrChanged)):
		return nil // others go on with it, if not at once
	case called && err != nil:
		err = fmt.Errorf("%w: %w", ErrLeft, err)
	case err == nil && !called:
		_, recorded = record(ctx)
	}
	return errors.Join(recorded, err)
}

func (p *Post) seal(l Letter) ([]byte, error) {
	text, err := json.Marshal(l)
	if err != nil {
		return nil, err
	}
	return p.Sealer.Seal(text, []byte(l.ID))
}

// Kind is how the outbox sends letters.
func (p *Post) Kind() outbox.Kind { return outbox.Kind{Send: p.send, GiveUp: p.giveUp} }

func (p *Post) send(ctx context.Context, m *outbox.Message) error {
	l, err := p.open(*m)
	if err != nil {
		return fmt.Errorf("%w: %w", outbox.ErrFinal, err)
	}
	if !l.Until.IsZero() && p.Now().After(l.Until) {
		return fmt.Errorf("%w: what it says is over", outbox.ErrFinal)
	}
	if p.Prepare != nil {
		asked := l
		send, err := p.Prepare(ctx, &l)
		if asked.Asked != nil && l.Asked == nil {
			asked.Asked = nil
			var failed error
			if m.Payload, failed = p.seal(asked); failed != nil {
				return failed
			}
		}
		if err != nil || !send {
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
