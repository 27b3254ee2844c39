package users

import (
	"context"
	"encoding/json"
	"errors"
	"strings"
	"time"

	"github.com/keyturn/keyturn/internal/audit"
	"github.com/keyturn/keyturn/internal/base64url"
	"github.com/keyturn/keyturn/internal/mail"
)

const (
	// SealLinks names the use of a sealer of Masters that makes the tokens of links.
	SealLinks = "keyturn/link/v1"
	// linkLife is how long a link to confirm something by is good, since its letter was
	// asked for.
	linkLife = 24 * time.Hour
	// maxLinkToken bounds what is taken for a token, in bytes.
	maxLinkToken = 4 << 10
)

// The tokens of links by their beginning, by which secret scanners recognise them too.
const (
	signUpPrefix  = "kt_su_"
	addressPrefix = "kt_ea_"
)

// pendingAccount is an account that is made when its link is opened. Nothing of it is
// stored before: the link itself has it, sealed.
type pendingAccount struct {
	Email, Username, FirstName, LastName string
	Hash                                 string
	Expires                              time.Time
}

// pendingAddress is the address of an account that its link confirms.
type pendingAddress struct {
	UID, Email string
	Expires    time.Time
}

// MakesAccount reports whether the token is of a link that makes an account.
func MakesAccount(token string) bool { return strings.HasPrefix(token, signUpPrefix) }

// ChangesAddress reports whether the token is of a link that gives an account another
// address.
func ChangesAddress(token string) bool { return strings.HasPrefix(token, changePrefix) }

// LinkAddress returns the address that the token of a letter's link is about, and whether
// Confirm may take the token. It reads the token alone and spends nothing.
func (s *Service) LinkAddress(token string) (address string, good bool) {
	for _, prefix := range []string{signUpPrefix, addressPrefix, changePrefix} {
		var link struct {
			Email   string
			Expires time.Time
		}
		if s.openLink(prefix, token, &link) == nil {
			return link.Email, s.good(link.Expires)
		}
	}
	return "", false
}

// AskSignUp is SignUp where letters can be sent: the account is made once a link in a
// letter to its address is opened (see Confirm). AskSignUp takes the same steps and
// returns the same whether the address has an account or not; the letter says it to its
// owner. That a username is taken it tells. The error is as SignUp's, but for
// ErrEmailTaken.
func (s *Service) AskSignUp(ctx context.Context, n NewUser, language string) error {
	ctx, cancel := audit.Outlast(ctx)
	defer cancel()
	l, key, err := s.signUpLetter(ctx, n)
	if err != nil {
		_, err = s.created(ctx, audit.UserSignedUp, n.Email, User{}, err)
		return err
	}
	l.Language = language
	return s.ask(ctx, key, l)
}

func (s *Service) signUpLetter(ctx context.Context, n NewUser) (l mail.Letter, key string, err error) {
	n.Roles, n.Claims = nil, ""
	if _, _, err := EmailKey(n.Email); err != nil {
		return l, "", err
	}
	u, err := n.account(s.Policy, s.now())
	if err != nil {
		return l, "", err
	}
	if err := s.Hasher.Crowded(); err != nil {
		return l, "", err
	}
	if _, err := s.Throttle.Begin(ctx, ""); err != nil {
		return l, "", err
	}
	if _, err := s.Store.UserByUsernameKey(ctx, u.UsernameKey); !errors.Is(err, ErrNotFound) {
		if err == nil {
			err = ErrUsernameTaken
		}
		return l, "", err
	}
	hash, err := s.Hasher.Hash(ctx, n.Password)
	if err != nil {
		return l, "", err
	}
	data, err := json.Marshal(pendingAccount{u.Email, u.Username, u.FirstName, u.LastName, hash, s.now().Add(linkLife)})
	return mail.Letter{Kind: mail.SignUp, To: u.Email, Data: data, Until: s.Post.Now().Add(linkLife - time.Hour)}, u.EmailKey, err
}

// prepareSignUp makes the link of a letter, or has it say that the address is taken.
func (s *Service) prepareSignUp(ctx context.Context, l *mail.Letter) error {
	u, err := ByEmail(ctx, s.Store, l.To)
	switch {
	case err == nil:
		l.Kind, l.To = mail.Taken, u.Email
	case errors.Is(err, ErrNotFound):
		l.Token, err = s.sealLink(signUpPrefix, l.Data)
	}
	return err
}

// Confirm does what the token of a letter's link is for: it makes the account that
// somebody signed up for, of whom it wants the password, so that nobody is talked into an
// account of somebody else's; or it confirms the address of an account, or gives one the
// address that its user asked for. It reports whether it made one. A link to confirm an
// address can be opened again, one to change it cannot. The error is errResetToken, a
// refusal (BadCredentials, Busy), ErrEmailTaken, which a link that was opened before leads
// to, ErrUsernameTaken, ErrNotFound, ErrConflict, decision.ErrNotRecorded or from the
// store.
func (s *Service) Confirm(ctx context.Context, token, password string) (u User, made bool, err error) {
	switch {
	case strings.HasPrefix(token, addressPrefix):
		u, err = s.confirmAddress(ctx, token)
		return u, false, err
	case strings.HasPrefix(token, changePrefix):
		u, err = s.confirmChange(ctx, token)
		return u, false, err
	}
	var p pendingAccount
	err = s.openLink(signUpPrefix, token, &p)
	if err == nil && !s.good(p.Expires) {
		err = errResetToken
	}
	if err == nil {
		err = s.knows(ctx, p, password)
	}
	if err == nil {
		n := NewUser{Email: p.Email, Username: p.Username, FirstName: p.FirstName, LastName: p.LastName}
		u, err = n.withoutPassword(s.now())
	}
	if err == nil {
		u.PasswordHash, u.VerifiedEmail = p.Hash, u.Email
		u, err = s.create(ctx, audit.UserSignedUp, u)
	}
	u, err = s.created(ctx, audit.UserSignedUp, p.Email, u, err)
	return u, err == nil, err
}

// knows checks the password that an account is to have.
func (s *Service) knows(ctx context.Context, p pendingAccount, password string) error {
	if err := s.Hasher.Crowded(); err != nil {
		return err
	}
	attempt, err := s.Throttle.Begin(ctx, p.Email)
	if err != nil {
		return err
	}
	found, err := s.Hasher.Verify(ctx, p.Hash, password, true, nil)
	switch {
	case err != nil:
		attempt.Withdraw(ctx)
		return err
	case !found.Match:
		return wrong(audit.ReasonWrongPassword, "")
	}
	attempt.Withdraw(ctx)
	return nil
}

func (s *Service) confirmAddress(ctx context.Context, token string) (User, error) {
	var p pendingAddress
	err := s.openLink(addressPrefix, token, &p)
	if err == nil && !s.good(p.Expires) {
		err = errResetToken
	}
	if err != nil {
		return User{}, s.conclude(ctx, audit.Event{Action: audit.EmailVerified, UserID: p.UID, UserEmail: p.Email}, err)
	}
	u, _, err := s.change(ctx, audit.Event{Action: audit.EmailVerified}, p.UID, false, func(u *User, _ *audit.Event) error {
		if u.Email != p.Email {
			return errResetToken // the account has another by now
		}
		u.VerifiedEmail = u.Email
		return nil
	})
	return u, err
}

// good reports whether a link that expires then is good. One that has longer than any was
// made by a clock that was ahead (T1).
func (s *Service) good(expires time.Time) bool {
	left := expires.Sub(s.Now())
	return left > 0 && left <= linkLife+time.Minute
}

func (s *Service) sealLink(prefix string, data []byte) (string, error) {
	sealed, err := s.Links.Seal(data, []byte(prefix))
	return prefix + base64url.Encode(sealed), err
}

// openLink puts into v what the token of a link has, or returns errResetToken.
func (s *Service) openLink(prefix, token string, v any) error {
	encoded, ok := strings.CutPrefix(token, prefix)
	if !ok || len(token) > maxLinkToken {
		return errResetToken
	}
	sealed, err := base64url.Decode(encoded)
	if err != nil {
		return errResetToken
	}
	text, err := s.Links.Open(sealed, []byte(prefix))
	if err != nil || json.Unmarshal(text, v) != nil {
		return errResetToken
	}
	return nil
}
