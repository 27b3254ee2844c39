package users

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"strings"
	"time"

	"github.com/keyturn/keyturn/internal/audit"
	"github.com/keyturn/keyturn/internal/devices"
	"github.com/keyturn/keyturn/internal/mail"
	"github.com/keyturn/keyturn/internal/refusal"
	"github.com/keyturn/keyturn/internal/strictjson"
)

// Notices are the decisions of which the owner of an account is told by a letter to its
// address.
type Notices string

// The Notices. The zero value is for none.
const (
	AllNotices    Notices = "all"     // what changed in the account, and log-ins from what is new
	ChangeNotices Notices = "changes" // what changed in the account
)

// noticedActions are the changes of accounts that owe a letter.
var noticedActions = map[audit.Action]mail.Kind{
	audit.PasswordChanged: mail.Password,
	audit.PasswordReset:   mail.Password,
	audit.ResetForced:     mail.Forced,
	audit.ResetRedeemed:   mail.Password,
	audit.FactorEnrolled:  mail.Factor,
	audit.FactorRemoved:   mail.Factor,
	audit.RecoveryRenewed: mail.Factor,
	audit.UserClosed:      mail.Closed,
}

// decidedOn is the record on which a notice was decided.
type decidedOn struct{ UserID, SessionID string }

// notice returns the letter that a change of an account owes, or nil.
func (s *Service) notice(ctx context.Context, before, after User, e audit.Event) json.RawMessage {
	kind := noticedActions[e.Action]
	if s.Notices == "" || kind == "" || after.Email == "" {
		return nil
	}
	l := mail.Letter{Kind: kind, To: after.Email, Language: after.locale(), Values: where(ctx, after.UpdatedAt)}
	if kind == mail.Factor {
		l.Values["change"] = changeOf(before, after)
	}
	return owed(l, decidedOn{UserID: after.UID})
}

// changeOf is how a change of the second factors is called in a letter.
func changeOf(before, after User) string {
	for _, f := range after.Factors.List {
		if before.Factors.Find(f.ID) < 0 {
			return string(f.Kind) + "_added"
		}
	}
	for _, f := range before.Factors.List {
		if after.Factors.Find(f.ID) < 0 {
			return string(f.Kind) + "_removed"
		}
	}
	return "recovery_renewed"
}

// where returns what a letter tells of a request: nothing that who sent it could choose.
func where(ctx context.Context, at time.Time) map[string]string {
	from := audit.RequestFrom(ctx)
	return map[string]string{"time": at.UTC().Format("2006-01-02 15:04 UTC"), "device": devices.Known(from.UserAgent), "address": from.IP}
}

func owed(l mail.Letter, on decidedOn) json.RawMessage {
	l.Data, _ = json.Marshal(on)
	text, _ := json.Marshal([]mail.Letter{l}) // texts can always be encoded
	return text
}

// LoginNotice returns the letter that a log-in of u owes, whose session is to be id at the
// client of that name (none at the page), or nil unless it is from a device or a place
// that is new. Once the log-in stands call remember, which has them be known. LoginNotice
// reads once; what cannot be read is new.
func (s *Service) LoginNotice(ctx context.Context, u User, id, client string, at time.Time) (notice json.RawMessage, remember func(context.Context)) {
	if s.Notices != AllNotices || u.Email == "" {
		return nil, func(context.Context) {}
	}
	sight, err := s.Devices.Look(ctx, u.UID, audit.RequestFrom(ctx))
	if sight.New || err != nil {
		l := mail.Letter{Kind: mail.Device, To: u.Email, Language: u.locale(), Values: where(ctx, at)}
		l.Values["client"] = client
		notice = owed(l, decidedOn{UserID: u.UID, SessionID: id})
	}
	return notice, func(ctx context.Context) {
		ctx, cancel := audit.Outlast(ctx)
		defer cancel()
		_ = s.Devices.Remember(ctx, sight) // else it is new once more
	}
}

// ReuseNotice returns the letter that the end of the session id of an account owes, which
// two parties used at the client of that name, or nil.
func (s *Service) ReuseNotice(ctx context.Context, uid, id, client string, at time.Time, previous audit.Use) json.RawMessage {
	if s.Notices == "" {
		return nil
	}
	l := mail.Letter{Kind: mail.Reuse, Values: where(ctx, at)}
	l.Values["client"] = client
	l.Values["device"] = both(devices.Known(previous.UserAgent), l.Values["device"])
	l.Values["address"] = both(previous.IP, l.Values["address"])
	return owed(l, decidedOn{UserID: uid, SessionID: id})
}

func both(a, b string) string {
	if a == b || a == "" || b == "" {
		return max(a, b)
	}
	return a + " / " + b
}

// errNoMail means that this process, which has no settings of mail, leaves a letter to one
// that has.
var errNoMail = errors.New("letters are left to the servers")

// Notify writes the letters that the decision id owes. It may be called again. Of more
// letters of a kind than one account is sent in a day it writes none.
func (s *Service) Notify(ctx context.Context, id string, notice json.RawMessage) error {
	var letters []mail.Letter
	if err := json.Unmarshal(notice, &letters); err != nil {
		return fmt.Errorf("the notice of %s cannot be read: %w", id, err)
	}
	switch {
	case s.Post == nil && s.Mailless:
		return nil // the settings changed
	case s.Post == nil:
		return errNoMail
	}
	for i, l := range letters {
		if l.ID = id; i > 0 {
			l.ID += "/" + string(l.Kind)
		}
		if err := s.writeOwed(ctx, l); err != nil {
			return err
		}
	}
	return nil
}

func (s *Service) writeOwed(ctx context.Context, l mail.Letter) error {
	var on decidedOn
	if err := json.Unmarshal(l.Data, &on); err != nil {
		return fmt.Errorf("the letter %s cannot be read: %w", l.ID, err)
	}
	if l.To == "" {
		u, err := s.Store.UserByID(ctx, on.UserID)
		if errors.Is(err, ErrNotFound) || err == nil && u.Email == "" {
			return nil
		}
		if err != nil {
			return err
		}
		l.To, l.Language = u.Email, u.locale()
	}
	if l.Kind == mail.Change || l.Kind == mail.Changed { // AskEmail has counted them
		return s.Post.Write(ctx, l)
	}
	attempt, err := s.Letters.BeginNotice(ctx, on.UserID, string(l.Kind))
	if refusal.Is(err, refusal.Throttled) {
		return nil
	}
	if err != nil {
		return err
	}
	if err = s.Post.Write(ctx, l); err != nil {
		attempt.Withdraw(ctx)
	}
	return err
}

// errUndecided keeps a letter from being sent while its decision may be carried out by
// another, who would write it once more.
var errUndecided = errors.New("its decision is being carried out")

// prepareNotice waits for the decision of a notice.
func (s *Service) prepareNotice(ctx context.Context, l *mail.Letter) error {
	var on decidedOn
	if err := json.Unmarshal(l.Data, &on); err != nil {
		return err
	}
	owes := false
	var err error
	id, _, _ := strings.Cut(l.ID, "/")
	if on.SessionID != "" {
		owes, err = s.Sessions.OwesNotice(ctx, on.SessionID, id)
	} else {
		var u User
		u, err = s.Store.HeldUser(ctx, on.UserID)
		owes = u.OwesNotice(id)
	}
	switch {
	case errors.Is(err, ErrNotFound):
		return nil
	case err == nil && owes:
		return errUndecided
	}
	return err
}

// locale returns the tag of the user's language, if the operator gave one, or "".
func (u User) locale() string {
	var claims map[string]json.RawMessage
	var tag string
	if strictjson.Unmarshal([]byte(u.Claims), &claims) == nil {
		_ = json.Unmarshal(claims["locale"], &tag)
	}
	return strings.TrimSpace(tag)
}
