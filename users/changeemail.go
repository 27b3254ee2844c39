package users

import (
	"context"
	"encoding/json"
	"errors"
	"time"

	"github.com/google/uuid"

	"github.com/keyturn/keyturn/internal/audit"
	"github.com/keyturn/keyturn/internal/decision"
	"github.com/keyturn/keyturn/internal/mail"
	"github.com/keyturn/keyturn/internal/refusal"
	"github.com/keyturn/keyturn/internal/throttle"
)

// changePrefix begins the tokens of links that give an account another address.
const changePrefix = "kt_ec_"

// emailAsked is the address that an account is to have.
type emailAsked struct {
	decidedOn
	Email string
	// Change is the account's EmailChange: of several links the last one counts.
	Change  string
	Expires time.Time
}

// AskEmail asks for another address for the account uid, for its user, whose request
// came in the given session. The account has it once the link of a letter to it is opened
// (see Confirm); its former address, if there is one, is told of that at once. AskEmail
// takes the same steps and returns the same whether another account has the address or
// not: PrepareLetter looks at that, without anybody waiting (U1). It also returns nil if
// too many letters were asked for to that address, and writes none then. It is carried
// through even if the caller hangs up (F9). The error is ErrNotFound, a refusal
// (Unacceptable; Throttled for a network or an account that asks too often), ErrConflict,
// decision.ErrNotRecorded, decision.ErrUnfinished or from the store.
func (s *Service) AskEmail(ctx context.Context, uid, session, email, language string) error {
	ctx, cancel := audit.Outlast(ctx)
	defer cancel()
	event := audit.Event{Action: audit.LetterAsked, UserID: uid, UserEmail: presented(email), SessionID: session, Detail: string(mail.Change)}
	address, key, err := EmailKey(email)
	if err == nil {
		_, err = s.Throttle.Begin(ctx, "")
	}
	var ofAccount, ofAddress *throttle.Attempt
	if err == nil {
		ofAccount, err = s.Letters.BeginLetter(ctx, "account "+uid) // no address has a space
	}
	if err != nil {
		return s.conclude(ctx, event, err)
	}
	if ofAddress, err = s.Letters.BeginLetter(ctx, key); err == nil {
		err = s.askEmail(ctx, event, address, language)
	} else if err = s.conclude(ctx, event, err); refusal.Is(err, refusal.Throttled) {
		return nil
	}
	if err != nil && !errors.Is(err, decision.ErrUnfinished) {
		ofAccount.Withdraw(ctx)
		ofAddress.Withdraw(ctx)
	}
	return err
}

func (s *Service) askEmail(ctx context.Context, event audit.Event, address, language string) error {
	event.Outcome = audit.Success
	_, event, err := s.reviseOwing(ctx, event, false, func(u *User, e *audit.Event) error {
		e.UserEmail = address
		if u.Disabled {
			return ErrConflict // which ended the session that asks
		}
		u.EmailChange = uuid.NewString()
		return nil
	}, func(ctx context.Context, _, u User, e audit.Event) json.RawMessage {
		return s.changeLetters(ctx, u, e, language)
	})
	if err == nil || decision.Concluded(err) {
		return err
	}
	return s.conclude(ctx, event, err)
}

// changeLetters returns those to both ends: one with a link to the new address, and one
// that tells the former of it.
func (s *Service) changeLetters(ctx context.Context, u User, e audit.Event, language string) json.RawMessage {
	asked, _ := json.Marshal(emailAsked{decidedOn{UserID: u.UID}, e.UserEmail, u.EmailChange, u.UpdatedAt.Add(linkLife)})
	letters := []mail.Letter{{Kind: mail.Change, To: e.UserEmail, Language: language, Data: asked, Until: s.Post.Now().Add(linkLife - time.Hour)}}
	if _, key, err := EmailKey(e.UserEmail); err == nil && u.Email != "" && u.EmailKey != key {
		told := where(ctx, u.UpdatedAt)
		told["email"] = e.UserEmail
		letters = append(letters, mail.Letter{Kind: mail.Changed, To: u.Email, Language: u.locale(), Data: asked, Values: told})
	}
	text, _ := json.Marshal(letters) // texts and times can always be encoded
	return text
}

// prepareChange makes the link of a letter to the address that an account is to have, or
// has the letter say that there is an account with it. The error is of noLetter if the
// link would not count any more.
func (s *Service) prepareChange(ctx context.Context, l *mail.Letter) error {
	if err := s.prepareNotice(ctx, l); err != nil {
		return err
	}
	var asked emailAsked
	if err := json.Unmarshal(l.Data, &asked); err != nil {
		return err
	}
	u, err := s.Store.UserByID(ctx, asked.UserID)
	if err != nil {
		return err
	}
	if u.EmailChange != asked.Change {
		return errVoid
	}
	other, err := ByEmail(ctx, s.Store, asked.Email)
	switch {
	case err == nil && other.UID != asked.UserID:
		l.Kind, l.To = mail.Taken, other.Email
		return nil
	case err != nil && !errors.Is(err, ErrNotFound):
		return err
	}
	l.Token, err = s.sealLink(changePrefix, l.Data)
	return err
}

// confirmChange gives an account the address to which the link with the token was sent.
// Its sessions go on. A one-time token, which its former address may have been sent by
// whomever, is void.
func (s *Service) confirmChange(ctx context.Context, token string) (User, error) {
	var asked emailAsked
	err := s.openLink(changePrefix, token, &asked)
	if err == nil && !s.good(asked.Expires) {
		err = errResetToken
	}
	event := audit.Event{Action: audit.UserChanged, UserID: asked.UserID, UserEmail: asked.Email}
	if err != nil {
		return User{}, s.conclude(ctx, event, err)
	}
	u, _, err := s.change(ctx, event, asked.UserID, false, func(u *User, e *audit.Event) error {
		before := *u
		if u.EmailChange != asked.Change || u.Disabled {
			return errResetToken
		}
		if err := (Profile{Email: &asked.Email}).apply(u); err != nil {
			return err
		}
		if err := s.namesFree(ctx, before, *u); err != nil {
			return err
		}
		u.VerifiedEmail, u.EmailChange = u.Email, ""
		u.voidReset()
		e.Detail = "email: " + u.Email
		var err error
		e.Count, err = s.Sessions.CountSessionsOf(ctx, u.UID, "")
		return err
	})
	return u, err
}
