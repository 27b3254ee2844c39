package oauth

import (
	"cmp"
	"context"
	"errors"
	"net/http"
	"slices"
	"strings"
	"time"

	"github.com/google/uuid"

	"github.com/keyturn/keyturn/internal/audit"
	"github.com/keyturn/keyturn/internal/clients"
	"github.com/keyturn/keyturn/internal/decision"
	"github.com/keyturn/keyturn/internal/factors"
	"github.com/keyturn/keyturn/internal/refusal"
	"github.com/keyturn/keyturn/users"
)

const (
	challengePrefix = "kt_lc_"
	// challengeTTL is how long a log-in waits for its second factor.
	challengeTTL = 10 * time.Minute
	// byCode is the second factor that a code proves (RFC 8176 §2).
	byCode = "otp"
)

// challenge is a log-in whose password was right and whose second factor is due,
// sealed for its way through the client. It is stored nowhere: the session that it may
// begin, whose id it bears, stands for that it was answered.
type challenge struct {
	SessionID string `json:"s"`
	// ClientID is empty for a browser's log-in at the page.
	ClientID string `json:"c"`
	UserID   string `json:"u"`
	Epoch    int64  `json:"e"`
	// Expires is when the challenge does, in milliseconds.
	Expires int64 `json:"x"`
	// Secret is that of an authenticator app which is to be enrolled, if one is; the
	// factor then has the id Factor.
	Secret []byte `json:"k,omitempty"`
	Factor string `json:"f,omitempty"`
	// Adding says that who is logged in adds the app: no log-in is finished by it.
	Adding bool `json:"a,omitempty"`
}

func (s *Service) newChallenge(user users.User, clientID string) challenge {
	return challenge{
		SessionID: uuid.NewString(), ClientID: clientID, UserID: user.UID, Epoch: user.Epoch,
		Expires: s.families.latest().Add(challengeTTL).UnixMilli(),
	}
}

func (c challenge) enrolling() challenge {
	c.Secret, c.Factor = factors.NewSecret(), uuid.NewString()
	return c
}

// due refuses until the challenge is answered, and says what an app is set up with.
func (s *Service) due(c challenge, user users.User, e *refusal.Error) *refusal.Error {
	e.Challenge = s.families.challenges.seal(c)
	if c.Secret != nil {
		e.Secret, e.URI = factors.Text(c.Secret), factors.URI(c.Secret, s.Name(), cmp.Or(user.Email, user.Username))
	}
	return e
}

// factorDue refuses a log-in whose password was right until a code comes with the
// challenge: of a second factor that the account has, or is to have.
func (s *Service) factorDue(user users.User, clientID string) *refusal.Error {
	c := s.newChallenge(user, clientID)
	if user.Factors.Due() {
		return s.due(c, user, &refusal.Error{
			Code: refusal.NeedsFactor, Reason: audit.ReasonFactorDue,
			Text: "The account has a second factor. Send a code of it, or a recovery code, with the challenge.",
		})
	}
	return s.due(c.enrolling(), user, &refusal.Error{Code: refusal.NeedsEnrolment, Reason: audit.ReasonEnrolmentDue})
}

// MultiFactor is the acr of a log-in with a second factor.
const MultiFactor = "http://schemas.openid.net/pape/policies/2007/06/multi-factor"

// needsFactor reports whether a log-in of the user to the client goes with a second
// factor alone; asked is the acr_values of its request.
func (s *Service) needsFactor(user users.User, client clients.Client, asked string) bool {
	return client.RequireFactor || slices.Contains(strings.Fields(asked), MultiFactor) ||
		slices.ContainsFunc(s.settings.RequireFactor, func(role string) bool { return role == "*" || slices.Contains(user.Roles, role) })
}

// Unaskable describes why the password grant is refused for an account with a
// second factor.
const Unaskable = "The account has a second factor, or needs one, which this grant cannot ask for."

var unaskable = refusal.New(refusal.BadGrant, audit.ReasonFactorDue, Unaskable)

// openChallenge returns a challenge of the client that is not over.
func (s *Service) openChallenge(sealed, clientID string) (c challenge, e *refusal.Error) {
	over := refusal.New(refusal.BadChallenge, audit.ReasonBadChallenge, "")
	if s.families.challenges.open(sealed, &c) != nil || c.ClientID != clientID {
		return challenge{}, over
	}
	if s.families.latest().UnixMilli() >= c.Expires || s.families.ahead(time.UnixMilli(c.Expires).Add(-challengeTTL)) {
		return c, over
	}
	return c, nil
}

// answerChallenge returns the account of a challenge once a code of its second factor
// was spent, and tells event whose it is. With a factor that was enrolled come its
// recovery codes, if it is the first. The caller begins the session with the id of the
// challenge, which one alone can.
func (s *Service) answerChallenge(ctx context.Context, c challenge, code string, event *audit.Event) (users.User, []string, *refusal.Error) {
	event.UserID = c.UserID
	if _, err := s.store.HeldFamily(ctx, c.SessionID); !errors.Is(err, ErrNoFamily) {
		if err != nil {
			return users.User{}, nil, refusal.Undecided(audit.ReasonStore, err)
		}
		return users.User{}, nil, refusal.New(refusal.BadChallenge, audit.ReasonBadChallenge, "")
	}
	user, err := s.users.ByID(ctx, c.UserID)
	switch {
	case errors.Is(err, users.ErrNotFound):
		return users.User{}, nil, refusal.New(refusal.BadChallenge, audit.ReasonBadChallenge, "")
	case err != nil:
		return users.User{}, nil, refusal.Undecided(audit.ReasonStore, err)
	}
	event.UserEmail = user.Email
	if c.Adding || user.Epoch != c.Epoch || user.Disabled || (c.Secret != nil) == user.Factors.Due() {
		return users.User{}, nil, refusal.New(refusal.BadChallenge, audit.ReasonAccountChanged, "")
	}
	var recovery []string
	if c.Secret == nil {
		err = s.users.UseFactor(ctx, user, code)
	} else {
		recovery, err = s.users.EnrolTOTP(ctx, user, c.Factor, c.Secret, "", code)
	}
	return user, recovery, s.again(c, user, refusalOf(err))
}

// again has a refusal of a code say once more what the app is set up with.
func (s *Service) again(c challenge, user users.User, e *refusal.Error) *refusal.Error {
	if c.Secret == nil || e == nil || e.Code != refusal.WrongCode {
		return e
	}
	once := *e
	return s.due(c, user, &once)
}

// LogInWithCode finishes a log-in whose second factor was due.
func (s *Service) LogInWithCode(r *http.Request, challenge, code string) (Tokens, *refusal.Error) {
	q := s.firstPartyRequest(clients.GrantPassword)
	q.challenge, q.code = challenge, code
	return s.firstPartyGrant(r, q)
}

// finishLogin begins the session of an answered challenge.
func (s *Service) finishLogin(ctx context.Context, q *tokenRequest) (issued, *refusal.Error) {
	c, e := s.openChallenge(q.challenge, q.client.ID)
	if e != nil {
		return issued{}, e
	}
	scope, aud, e := q.reach(func(scope []string) []string { return s.settings.reach(q.client, scope) })
	if e != nil {
		return issued{}, e
	}
	user, recovery, e := s.answerChallenge(ctx, c, q.code, &q.event)
	if e != nil {
		return issued{}, e
	}
	family := s.families.begin(ctx, q.client, user, scope, aud)
	family.ID, family.Factor = c.SessionID, byCode
	out, e := s.login(ctx, q, user, family)
	if e != nil && errors.Is(e.Cause, ErrFamilyExists) {
		return issued{}, refusal.New(refusal.BadChallenge, audit.ReasonBadChallenge, "")
	}
	out.recovery = recovery
	return out, e
}

// methods are how the user of a session proved who they are (RFC 8176).
func (f Family) methods() []string {
	if f.Factor == "" {
		return []string{"pwd"}
	}
	return []string{"pwd", f.Factor, "mfa"}
}

// class is how well the user of a session proved who they are (OpenID Connect Core §2),
// or empty if by the password alone.
func (f Family) class() string {
	if f.Factor == "" {
		return ""
	}
	return MultiFactor
}

// Name is what authenticator apps call the deployment.
func (s *Service) Name() string { return s.settings.Name }

// Fresh refuses what needs a log-in of a moment ago (RFC 9470).
func (s *Service) Fresh(by Caller) *refusal.Error {
	if s.families.latest().Sub(by.AuthTime) <= refusal.FreshLogin {
		return nil
	}
	return refusal.New(refusal.StaleLogin, audit.ReasonStaleLogin, "")
}

// SetUp is what an authenticator app is set up with, to be the second factor ID.
type SetUp struct{ ID, Challenge, Secret, URI string }

// BeginEnrolment returns what an authenticator app of a user who is logged in is set up
// with. Nothing is stored until a code of it comes.
func (s *Service) BeginEnrolment(user users.User) SetUp {
	c := s.newChallenge(user, "").enrolling()
	c.Adding = true
	e := s.due(c, user, &refusal.Error{})
	return SetUp{c.Factor, e.Challenge, e.Secret, e.URI}
}

// Enrol adds the app of a challenge to the account of who is logged in, by a code of it.
// It returns recovery codes with the first factor.
func (s *Service) Enrol(ctx context.Context, by Caller, challenge, name, code string) ([]string, *refusal.Error) {
	recovery, user, e := s.enrol(ctx, by, challenge, name, code)
	if e == nil {
		return recovery, nil
	}
	event := audit.Event{Action: audit.FactorEnrolled, UserID: by.UserID, UserEmail: user.Email, SessionID: by.SessionID}
	return nil, s.Conclude(ctx, event, e)
}

func (s *Service) enrol(ctx context.Context, by Caller, challenge, name, code string) ([]string, users.User, *refusal.Error) {
	if e := s.Fresh(by); e != nil {
		return nil, users.User{}, e
	}
	user, err := s.users.ByID(ctx, by.UserID)
	if err != nil {
		return nil, user, decision.Refusal(err)
	}
	c, e := s.openChallenge(challenge, "")
	if e == nil && (!c.Adding || c.UserID != user.UID) {
		e = refusal.New(refusal.BadChallenge, audit.ReasonBadChallenge, "")
	}
	if e != nil {
		return nil, user, e
	}
	recovery, err := s.users.EnrolTOTP(ctx, user, c.Factor, c.Secret, name, code)
	return recovery, user, s.again(c, user, decision.Refusal(err))
}
