package users

import (
	"bytes"
	"context"
	"crypto/sha256"
	"encoding/json"
	"errors"
	"fmt"
	"strings"
	"time"

	"github.com/google/uuid"

	"github.com/keyturn/keyturn/internal/audit"
	"github.com/keyturn/keyturn/internal/decision"
	"github.com/keyturn/keyturn/internal/mail"
	"github.com/keyturn/keyturn/internal/refusal"
)

// lateLetter is how late a letter for a forgotten password is still sent, whose link is
// then good for a while yet.
const lateLetter = 25 * time.Minute

// AskReset writes a letter by which whoever reads the mail of an address can set a new
// password for its account. It takes the same steps and returns the same whether there is
// such an account, whether it may have a password, and however many letters were asked
// for: PrepareLetter looks at the account later, without anybody waiting (U1). It is
// carried through even if the caller hangs up (F9). The error
// is a refusal (Unacceptable; Throttled for a network that asks too often),
// decision.ErrNotRecorded, decision.ErrUnfinished or from the store.
func (s *Service) AskReset(ctx context.Context, email, language string) error {
	ctx, cancel := audit.Outlast(ctx)
	defer cancel()
	l := mail.Letter{Kind: mail.Reset, Language: language}
	var key string
	var err error
	if l.To, key, err = EmailKey(email); err == nil {
		_, err = s.Throttle.Begin(ctx, "")
	}
	if err != nil {
		return s.conclude(ctx, asked(l, email), err)
	}
	if err := s.aboutReset(&l, false); err != nil {
		return err
	}
	return s.ask(ctx, key, l)
}

func (s *Service) aboutReset(l *mail.Letter, byOperator bool) (err error) {
	now := s.moment()
	l.Until = s.Post.Now().Add(lateLetter)
	l.Data, err = json.Marshal(resetAsked{newResetSecret(), now.Latest.Add(letterLife), now.Confirmed, byOperator})
	return err
}

// SendLetter writes a letter to the user of the account uid, for an operator: mail.Reset,
// to set a new password, or mail.Confirm, to confirm the address. The error is
// ErrNotFound, a refusal (Unacceptable: the account has no address, or is disabled),
// decision.ErrNotRecorded, decision.ErrUnfinished or from the store.
func (s *Service) SendLetter(ctx context.Context, uid string, kind mail.Kind, language string) error {
	u, err := s.Store.UserByID(ctx, uid)
	switch {
	case err == nil && u.Email == "":
		err = refuse("email", "is what the account lacks: give it one first")
	case err == nil && u.Disabled:
		err = refusal.New(refusal.Unacceptable, audit.ReasonDisabledUser, "The account is disabled: enable it first.")
	}
	l := mail.Letter{Kind: kind, To: u.Email, Language: language}
	event := asked(l, l.To)
	event.UserID = uid
	switch {
	case err != nil:
	case kind == mail.Reset:
		err = s.aboutReset(&l, true)
	default:
		l.Until = s.Post.Now().Add(linkLife - time.Hour)
		l.Data, err = json.Marshal(pendingAddress{u.UID, u.Email, s.now().Add(linkLife)})
	}
	if err != nil {
		return s.conclude(ctx, event, err)
	}
	return s.write(ctx, l, event)
}

// asked is the event of a letter that somebody asked for.
func asked(l mail.Letter, email string) audit.Event {
	return audit.Event{Action: audit.LetterAsked, UserEmail: presented(email), Detail: string(l.Kind)}
}

// ask writes a letter to the address with the key, and records that it was asked for. Of
// more letters than one address is sent it records that they are not, and returns nil too.
func (s *Service) ask(ctx context.Context, key string, l mail.Letter) error {
	event := asked(l, l.To)
	attempt, err := s.Letters.BeginLetter(ctx, key)
	if err == nil {
		if err = s.write(ctx, l, event); err == nil || errors.Is(err, decision.ErrUnfinished) {
			return err
		}
		if attempt.Withdraw(ctx); errors.Is(err, decision.ErrNotRecorded) {
			return err
		}
	}
	if err = s.conclude(ctx, event, err); refusal.Is(err, refusal.Throttled) {
		return nil
	}
	return err
}

// askedEvent is the event of a letter that is not in the log for certain.
type askedEvent struct {
	Event   audit.Event
	Request audit.Request
}

// write writes a letter that stands with its event. The letter owes the event until it is
// told; where the log does not know whether it wrote it, the letter owes a failure.
func (s *Service) write(ctx context.Context, l mail.Letter, event audit.Event) (err error) {
	l.ID = uuid.NewString()
	event.ID, event.Outcome = l.ID, audit.Success
	owed := askedEvent{event, audit.RequestFrom(ctx)}
	if l.Asked, err = json.Marshal(owed); err != nil {
		return err
	}
	err = s.Post.WriteIf(ctx, l, func(ctx context.Context) ([]byte, error) {
		err := s.conclude(ctx, event, nil)
		if !errors.Is(err, audit.ErrInDoubt) {
			return nil, err
		}
		owed.Event.After = s.Now().UTC()
		asked, failed := json.Marshal(owed)
		return asked, errors.Join(err, failed)
	})
	if errors.Is(err, mail.ErrLeft) {
		return fmt.Errorf("%w: %w", decision.ErrUnfinished, err)
	}
	return err
}

// tellAsked writes the event that a letter owes, if it does, as a failure if the letter
// came to nothing.
func (s *Service) tellAsked(ctx context.Context, l *mail.Letter, void bool) error {
	if l.Asked == nil {
		return nil
	}
	var owed askedEvent
	if err := json.Unmarshal(l.Asked, &owed); err != nil {
		return err
	}
	owed.Event.Retold = true
	if void {
		owed.Event.Outcome, owed.Event.Reason = audit.Failure, audit.ReasonConflict
	}
	if err := s.Audit.Record(audit.WithRequest(ctx, owed.Request), owed.Event); err != nil {
		return fmt.Errorf("%w: %w", decision.ErrNotRecorded, err)
	}
	l.Asked = nil
	return nil
}

// GiveUpLetter tells that a letter could not be sent, or that it came to nothing before its
// own event was told.
func (s *Service) GiveUpLetter(ctx context.Context, l mail.Letter, cause error) error {
	if l.Asked != nil {
		return s.tellAsked(ctx, &l, true)
	}
	return s.Audit.Record(ctx, audit.Event{
		Action: audit.LetterUndelivered, Outcome: audit.Failure, Reason: audit.ReasonUndelivered, UserEmail: l.To, Detail: strings.TrimSpace(string(l.Kind) + ": " + cause.Error()),
	})
}

// PrepareLetter completes a letter that is about to be sent, at each try, with what opens
// an account: nobody has that before. It first tells that the letter was asked for, where
// who asked could not. It reports whether there is anybody to send it to.
func (s *Service) PrepareLetter(ctx context.Context, l *mail.Letter) (bool, error) {
	err := s.tellAsked(ctx, l, false)
	if err != nil {
		return false, err
	}
	switch l.Kind {
	case mail.Reset:
		err = s.prepareReset(ctx, l)
	case mail.SignUp:
		err = s.prepareSignUp(ctx, l)
	case mail.Confirm:
		err = s.prepareConfirm(ctx, l)
	case mail.Changed, mail.Password, mail.Forced, mail.Factor, mail.Closed, mail.Device, mail.Reuse:
		err = s.prepareNotice(ctx, l)
	case mail.Change:
		err = s.prepareChange(ctx, l)
	}
	if _, gone := noLetter(err); gone {
		return false, nil
	}
	return err == nil, err
}

var (
	// errVoid means that a letter came to nothing before it was sent.
	errVoid = fmt.Errorf("%w", ErrConflict)
	// errNoPassword means that a disabled account is sent nothing that opens it.
	errNoPassword error = refusal.New(refusal.NotFound, audit.ReasonDisabledUser, "")

	noLetter = refusal.Among(ErrNotFound, errVoid, errNoPassword)
)

// resetAsked is the token that a letter is to have. It is the same at each try.
type resetAsked struct {
	Secret []byte
	// Expires is letterLife after the latest clock's time when the letter was asked for,
	// and Confirmed the other clock's time then.
	Expires, Confirmed time.Time
	ByOperator         bool
}

func (r resetAsked) moment() Moment { return Moment{r.Expires.Add(-letterLife), r.Confirmed} }

// prepareReset makes the token of a letter valid, unless it is. The error is of noLetter
// if there is no account that it could be for, or none any more: a later letter, a new
// password, another address or a disabling made it void. It is mail.ErrLost if nothing
// tells when the letter was asked for, so that it might overtake a later one.
func (s *Service) prepareReset(ctx context.Context, l *mail.Letter) error {
	var asked resetAsked
	if err := json.Unmarshal(l.Data, &asked); err != nil {
		return err
	}
	at, known := s.timeOf(asked.moment())
	if !known {
		return fmt.Errorf("%w: a clock that was ahead dated it", mail.ErrLost)
	}
	u, err := ByEmail(ctx, s.Store, l.To)
	if errors.Is(err, ErrNotFound) {
		return s.conclude(ctx, audit.Event{Action: audit.ResetIssued, UserEmail: l.To}, ErrNotFound)
	}
	if err != nil {
		return err
	}
	l.To, l.Token = u.Email, resetToken(asked.Secret, u.UID)
	if hash := sha256.Sum256(asked.Secret); bytes.Equal(hash[:], u.Mailed.Hash) && s.mailedLive(u) && !u.Disabled {
		return nil
	}
	if !s.latest().Before(at.Add(letterLife)) {
		return mail.ErrLater // its Until goes by the clock that no jump moves
	}
	_, _, err = s.change(ctx, audit.Event{Action: audit.ResetIssued}, u.UID, false, func(u *User, e *audit.Event) (err error) {
		e.Detail, err = s.mail(u, asked, l.To)
		return err
	})
	return err
}

// prepareConfirm makes the link of a letter by which the address of an account is
// confirmed. The error is of noLetter if it is not the account's any more.
func (s *Service) prepareConfirm(ctx context.Context, l *mail.Letter) error {
	var p pendingAddress
	if err := json.Unmarshal(l.Data, &p); err != nil {
		return err
	}
	u, err := s.Store.UserByID(ctx, p.UID)
	switch {
	case err != nil:
		return err
	case u.Disabled:
		return errNoPassword
	case u.Email != p.Email:
		return errVoid
	}
	l.Token, err = s.sealLink(addressPrefix, l.Data)
	return err
}
