package users

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/google/uuid"

	"github.com/keyturn/keyturn/internal/audit"
	"github.com/keyturn/keyturn/internal/decision"
	"github.com/keyturn/keyturn/internal/devices"
	"github.com/keyturn/keyturn/internal/mail"
	"github.com/keyturn/keyturn/internal/passwords"
	"github.com/keyturn/keyturn/internal/refusal"
	"github.com/keyturn/keyturn/internal/throttle"
	"github.com/keyturn/keyturn/keys"
)

// Service decides everything about accounts. Its methods are safe for concurrent use,
// on any number of replicas over one store.
//
// Each method writes exactly one audit event per call, for a success or a refusal
// (A1), except Authenticate, Still and ByID, whose callers decide more and write the
// event. If an event cannot be written, the error is decision.ErrNotRecorded and
// nothing has changed. A change that takes rights away instead returns
// decision.ErrOwed, and its event is written later (A3). A change that has begun is
// completed even if the caller hangs up (F9).
type Service struct {
	// Store keeps the accounts.
	Store Store
	// Throttle slows guessing; if nil, nothing is throttled.
	Throttle *throttle.Throttle
	// Hasher hashes and verifies the passwords.
	Hasher *passwords.Hasher
	// Policy judges new passwords.
	Policy Policy
	// Sessions ends the sessions of an account.
	Sessions Sessions
	// Sealer keeps the secrets of second factors (see SealFactors); if nil, none can be
	// enrolled or used, only removed.
	Sealer *keys.Sealer
	// Post writes letters; if nil, there are none. Letters bounds how many are written to
	// one address at the asking of whoever asks.
	Post    *mail.Post
	Letters *throttle.Throttle
	// Notices are the letters that decisions owe to the owners of accounts, Devices what
	// accounts were used from. Mailless says that no process has a Post: what is owed
	// since before the settings changed is not written.
	Notices  Notices
	Devices  *devices.Memory
	Mailless bool
	// Links makes the tokens of links in letters (see SealLinks).
	Links *keys.Sealer
	// Holder returns who has an id in any case, "a client" or "another account", or
	// "". If nil, ids are compared with those of accounts alone, as they are written.
	Holder func(id string) (string, error)
	// DeletionGrace is how long an account that its user closed can be given back.
	DeletionGrace time.Duration
	// Audit receives the events.
	Audit audit.Recorder
	// Now is the clock; time.Now if nil. Confirmed is the time that no wrong clock moves
	// (T1); if nil, it is Now.
	Now       func() time.Time
	Confirmed func() time.Time

	kinds *passwords.Kinds
}

// NewService returns s as a Service, or an error if a dependency is missing.
func NewService(s Service) (*Service, error) {
	if s.Store == nil || s.Hasher == nil || s.Sessions == nil || s.Audit == nil {
		return nil, errors.New("users service needs a store, a hasher, sessions and an audit log")
	}
	if s.Policy.MinLength != 0 && s.Policy.MinLength < LeastMinLength || s.Policy.MinLength > passwords.MaxBytes {
		return nil, fmt.Errorf("password minimum length of %d: %d to %d are accepted, or 0 for %d",
			s.Policy.MinLength, LeastMinLength, passwords.MaxBytes, defaultMinLength)
	}
	if s.Now == nil {
		s.Now = time.Now
	}
	s.kinds = passwords.NewKinds(s.Store)
	return &s, nil
}

// NewUser is an account to be created.
type NewUser struct {
	// Email may be empty if an operator creates the account and it has a username;
	// see EmailKey.
	Email string
	// Username is optional beside an address; see UsernameKey.
	Username string
	// FirstName and LastName are optional, of at most 100 characters.
	FirstName string
	LastName  string
	// Password must meet the Policy.
	Password string
	// Roles and Claims can only be given by an operator: SignUp ignores them.
	Roles  []string
	Claims string
}

// SignUp creates an account for anyone. The error is a refusal (Unacceptable,
// Throttled, Busy), ErrEmailTaken, ErrUsernameTaken, decision.ErrNotRecorded or from
// the store.
//
// SignUp tells that an address is taken, because the caller has to learn it, and no
// e-mail is sent that could say so in private. It tells so only after the password
// was hashed, as late as a success, and counts that as a failed attempt of the
// network, and likewise for a taken username. So addresses cannot be enumerated by
// the thousand, and each try of a free address leaves an account behind.
func (s *Service) SignUp(ctx context.Context, n NewUser) (User, error) {
	n.Roles, n.Claims = nil, ""
	u, err := s.signUp(ctx, n)
	return s.created(ctx, audit.UserSignedUp, n.Email, u, err)
}

func (s *Service) signUp(ctx context.Context, n NewUser) (User, error) {
	if _, _, err := EmailKey(n.Email); err != nil {
		return User{}, err
	}
	u, err := n.account(s.Policy, s.now())
	if err != nil {
		return User{}, err
	}
	if err := s.Hasher.Crowded(); err != nil {
		return User{}, err
	}
	attempt, err := s.Throttle.Begin(ctx, "")
	if err != nil {
		return User{}, err
	}
	u, err = s.insert(ctx, audit.UserSignedUp, u, n.Password)
	if !errors.Is(err, ErrEmailTaken) && !errors.Is(err, ErrUsernameTaken) {
		attempt.Withdraw(ctx)
	}
	return u, err
}

// Add creates an account for an operator. It is SignUp without the throttle.
func (s *Service) Add(ctx context.Context, n NewUser) (User, error) {
	u, err := n.account(s.Policy, s.now())
	if err == nil {
		u, err = s.insert(ctx, audit.UserAdded, u, n.Password)
	}
	return s.created(ctx, audit.UserAdded, n.Email, u, err)
}

// ByID returns an account or ErrNotFound. It writes no event.
func (s *Service) ByID(ctx context.Context, uid string) (User, error) {
	return s.Store.UserByID(ctx, uid)
}

// Check returns what keeps a store from ever having such an account, under a policy.
func (n NewUser) Check(p Policy) error {
	_, err := n.account(p, time.Time{})
	return err
}

// account returns the account without its password's hash, or the refusal of a field.
func (n NewUser) account(policy Policy, now time.Time) (User, error) {
	u, err := n.withoutPassword(now)
	if err == nil {
		err = policy.Check(n.Password, u)
	}
	return u, err
}

// withoutPassword is account without its check of the password.
func (n NewUser) withoutPassword(now time.Time) (User, error) {
	u := User{UID: uuid.NewString(), CreatedAt: now, UpdatedAt: now, PasswordChangedAt: now}
	p := Profile{Username: &n.Username, FirstName: &n.FirstName, LastName: &n.LastName}
	if n.Email != "" || n.Username == "" {
		p.Email = &n.Email
	}
	if err := p.apply(&u); err != nil {
		return User{}, err
	}
	if err := u.setClaims(n.Roles, n.Claims); err != nil {
		return User{}, err
	}
	return u, nil
}

func (s *Service) insert(ctx context.Context, action audit.Action, u User, password string) (User, error) {
	hash, err := s.Hasher.Hash(ctx, password)
	if err != nil {
		return User{}, err
	}
	u.PasswordHash = hash
	return s.create(ctx, action, u)
}

// create stores a complete account. The caller has to record a refusal.
func (s *Service) create(ctx context.Context, action audit.Action, u User) (User, error) {
	if err := s.kinds.Announce(ctx, u.PasswordHash, s.now()); err != nil {
		return User{}, err
	}
	u.Mailed.Since = s.moment() // no letter of before is for this account
	event := audit.Event{Action: action, Outcome: audit.Success, UserID: u.UID, UserEmail: u.Email}
	err := s.maker().Add(ctx, decision.Change[User]{Event: event, After: u}, func(err error) bool { return s.isUnborn(ctx, u, err) })
	if err != nil {
		return User{}, err
	}
	return u, nil
}

// isUnborn reports whether err is due to a name of u that only an unborn account has.
func (s *Service) isUnborn(ctx context.Context, u User, err error) bool {
	if !errors.Is(err, ErrEmailTaken) && !errors.Is(err, ErrUsernameTaken) {
		return false
	}
	if _, err := s.Store.UserByEmailKey(ctx, u.EmailKey); !errors.Is(err, ErrNotFound) {
		return false
	}
	_, err = s.Store.UserByUsernameKey(ctx, u.UsernameKey)
	return errors.Is(err, ErrNotFound)
}

// created returns the result of creating an account, and records an error that has no
// event yet.
func (s *Service) created(ctx context.Context, action audit.Action, email string, u User, err error) (User, error) {
	if err != nil && !decision.Concluded(err) {
		err = s.conclude(ctx, audit.Event{Action: action, UserEmail: presented(email)}, err)
	}
	return u, err
}

// conclude writes the event of a decision that ended with err. It returns err, or
// decision.ErrNotRecorded with the cause if the event could not be written.
func (s *Service) conclude(ctx context.Context, event audit.Event, err error) error {
	event.Outcome = audit.Success
	if err != nil {
		event.Outcome, event.Reason, event.ID = audit.Failure, refusal.Of(err).Reason, decision.IDOf(err)
		switch {
		case decision.HungUp(ctx, err):
			event.Reason = audit.ReasonHungUp
		case event.Reason == audit.ReasonUnavailable && event.Detail == "":
			event.Detail = err.Error()
		}
	}
	// A caller that hangs up must not keep the event from being written.
	ctx, cancel := audit.Outlast(ctx)
	defer cancel()
	if recordErr := s.Audit.Record(ctx, event); recordErr != nil {
		return fmt.Errorf("%w: %w", decision.ErrNotRecorded, recordErr)
	}
	return err
}

func (s *Service) now() time.Time { return s.Now().UTC().Truncate(time.Millisecond) }

// presented truncates an address as it was sent, for the audit log.
func presented(email string) string { return email[:min(len(email), maxEmailBytes)] }
