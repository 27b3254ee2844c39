package users

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/google/uuid"

	"github.com/keyturn/keyturn/internal/audit"
	"github.com/keyturn/keyturn/internal/decision"
	"github.com/keyturn/keyturn/internal/passwords"
	"github.com/keyturn/keyturn/internal/refusal"
	"github.com/keyturn/keyturn/internal/throttle"
)

// Service decides everything about accounts. Its methods are safe for
// concurrent use, on any number of replicas over one store.
//
// Each of them writes exactly one audit event per call, whether it succeeds or
// refuses (A1), except Authenticate, Still and ByID: their callers decide more
// than these do, and write the event. Where an event cannot be written the
// error is decision.ErrNotRecorded, and nothing has changed; or, of what takes rights
// away, decision.ErrOwed, and the event is written later (A3). A change that has
// begun is carried to its end, whoever hangs up (F9).
type Service struct {
	// Store keeps the accounts.
	Store Store
	// Throttle slows guessing; nil lets it pass.
	Throttle *throttle.Throttle
	// Hasher hashes and verifies the passwords.
	Hasher *passwords.Hasher
	// Policy judges new passwords.
	Policy Policy
	// Sessions ends the sessions of an account.
	Sessions Sessions
	// IsClient reports whether a client has the id; nil asks nobody.
	IsClient func(ctx context.Context, id string) (bool, error)
	// Audit takes the events.
	Audit audit.Recorder
	// Now is the clock; time.Now if nil.
	Now func() time.Time

	kinds *passwords.Kinds
}

// NewService checks that s has what it needs and returns it.
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

// NewUser is an account to be made.
type NewUser struct {
	// Email may be empty where an operator makes the account and it has a
	// username; see EmailKey.
	Email string
	// Username is optional beside an address, see UsernameKey.
	Username string
	// FirstName and LastName are optional, of at most 100 characters.
	FirstName string
	LastName  string
	// Password must please the Policy.
	Password string
	// Roles and Claims are an operator's to give: SignUp ignores them.
	Roles  []string
	Claims string
}

// SignUp makes an account for whoever asks. It returns the account, or
// a refusal (Unacceptable, Throttled, Busy), ErrEmailTaken, ErrUsernameTaken,
// decision.ErrNotRecorded or the store's error.
//
// A taken address is told: whoever signs up has to learn it, and no e-mail is
// sent that could say it in private. It is told only after the password was
// hashed, as late as a success, and counts as a failed attempt of the network,
// as a taken username does: so addresses cannot be found by the thousand, nor
// tried without leaving an account behind for each that was free.
func (s *Service) SignUp(ctx context.Context, n NewUser) (User, error) {
	n.Roles, n.Claims = nil, ""
	u, err := s.signUp(ctx, n)
	return s.created(ctx, audit.UserSignedUp, n.Email, u, err)
}

func (s *Service) signUp(ctx context.Context, n NewUser) (User, error) {
	if _, _, err := EmailKey(n.Email); err != nil {
		return User{}, err
	}
	u, err := s.prepare(n)
	if err != nil {
		return User{}, err
	}
	if err := s.Policy.Check(n.Password, u); err != nil {
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

// Add makes an account on an operator's behalf: SignUp without the throttle.
func (s *Service) Add(ctx context.Context, n NewUser) (User, error) {
	u, err := s.prepare(n)
	if err == nil {
		err = s.Policy.Check(n.Password, u)
	}
	if err == nil {
		u, err = s.insert(ctx, audit.UserAdded, u, n.Password)
	}
	return s.created(ctx, audit.UserAdded, n.Email, u, err)
}

// ByID returns an account or ErrNotFound. It writes no event.
func (s *Service) ByID(ctx context.Context, uid string) (User, error) {
	return s.Store.UserByID(ctx, uid)
}

// prepare checks everything but the password.
func (s *Service) prepare(n NewUser) (User, error) {
	now := s.now()
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

// create makes an account that has all it needs. A refusal is still to be
// written to the log.
func (s *Service) create(ctx context.Context, action audit.Action, u User) (User, error) {
	if err := s.kinds.Announce(ctx, u.PasswordHash, s.now()); err != nil {
		return User{}, err
	}
	event := audit.Event{Action: action, Outcome: audit.Success, UserID: u.UID, UserEmail: u.Email}
	err := s.maker().Add(ctx, decision.Change[User]{Event: event, After: u}, func(err error) bool { return s.isUnborn(ctx, u, err) })
	if err != nil {
		return User{}, err
	}
	return u, nil
}

// isUnborn reports whether err is that an account still to be born has a name of u's.
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

// created returns how the making of an account ended, having written what the
// log has not been told yet.
func (s *Service) created(ctx context.Context, action audit.Action, email string, u User, err error) (User, error) {
	if err != nil && !decision.Concluded(err) {
		err = s.conclude(ctx, audit.Event{Action: action, UserEmail: presented(email)}, err)
	}
	return u, err
}

// conclude writes the event of a decision that ended with err, and returns
// err, or decision.ErrNotRecorded with the cause if the event could not be written.
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

// presented bounds an address as it was sent, for the audit log.
func presented(email string) string { return email[:min(len(email), maxEmailBytes)] }
