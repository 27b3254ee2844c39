package oauth

import (
	"cmp"
	"context"
	"encoding/json"
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
	// byCode is what a code proves beside the password (RFC 8176 §2).
	byCode = "otp"
)

// challenge is a log-in whose password was right and whose second factor is due,
// sealed for its way through the client. It is stored nowhere: the session that it may
// begin, whose id it bears, stands for that it was answered.
type challenge struct {
	SessionID string `json:"s"`
	// ClientID is empty for a browser's log-in at the page.
	ClientID string `json:"c"`
	// UserID is empty for a log-in by a passkey alone, which says whose it is.
	UserID string `json:"u"`
	Epoch  int64  `json:"e"`
	// Expires is when the challenge does, in milliseconds.
	Expires int64 `json:"x"`
	// Secret is that of an authenticator app which is to be enrolled, or a passkey in its
	// place, if one is; the factor then has the id Factor.
	Secret []byte `json:"k,omitempty"`
	Factor string `json:"f,omitempty"`
	// Adding says that who is logged in adds the factor: no log-in is finished by it.
	Adding bool `json:"a,omitempty"`
}

// FactorAnswer is what a user answers a challenge with: a code or, in Passkey, a
// PublicKeyCredential in JSON (WebAuthn §5.1). Name is what a factor that is enrolled is
// called.
type FactorAnswer struct {
	Challenge, Code, Name string
	Passkey               []byte
}

// answered is what an answer to a challenge came to: whose it was, what they proved, and
// their recovery codes if a first factor was enrolled.
type answered struct {
	user     users.User
	methods  string
	recovery []string
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

// due refuses until the challenge is answered, and says what an app is set up with, and
// how a passkey is used or made.
func (s *Service) due(c challenge, user users.User, e *refusal.Error) *refusal.Error {
	e.Challenge = s.families.challenges.seal(c)
	ceremony := s.ceremony(e.Challenge, c)
	if c.Secret == nil {
		e.Options = ceremony.Request(user.Factors)
		return e
	}
	name := cmp.Or(user.Email, user.Username)
	e.Secret, e.URI = factors.Text(c.Secret), factors.URI(c.Secret, s.Name(), name)
	e.Options = ceremony.Creation(user.UID, name, user.Factors)
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
	return client.RequireFactor || user.Factors.Required || slices.Contains(strings.Fields(asked), MultiFactor) ||
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

// answerChallenge judges the answer to a challenge, and tells event whose it is. A code
// is spent then. The caller begins the session with the id of the challenge, which one
// alone can.
func (s *Service) answerChallenge(ctx context.Context, c challenge, a FactorAnswer, event *audit.Event) (answered, *refusal.Error) {
	event.UserID = c.UserID
	if _, err := s.store.HeldFamily(ctx, c.SessionID); !errors.Is(err, ErrNoFamily) {
		if err != nil {
			return answered{}, refusal.Undecided(audit.ReasonStore, err)
		}
		return answered{}, refusal.New(refusal.BadChallenge, audit.ReasonBadChallenge, "")
	}
	if c.UserID == "" {
		return s.answerAlone(ctx, c, a, event)
	}
	user, err := s.users.ByID(ctx, c.UserID)
	switch {
	case errors.Is(err, users.ErrNotFound):
		return answered{}, refusal.New(refusal.BadChallenge, audit.ReasonBadChallenge, "")
	case err != nil:
		return answered{}, refusal.Undecided(audit.ReasonStore, err)
	}
	event.UserEmail = user.Email
	if c.Adding || user.Epoch != c.Epoch || user.Disabled || (c.Secret != nil) == user.Factors.Due() {
		return answered{}, refusal.New(refusal.BadChallenge, audit.ReasonAccountChanged, "")
	}
	by := answered{user: user, methods: byCode}
	switch {
	case c.Secret != nil:
		by.methods, by.recovery, err = s.enrolFactor(ctx, c, user, a)
	case a.Passkey != nil:
		by.methods, err = s.usePasskey(ctx, c, user, a, factors.ParseAssertion(a.Passkey), event)
		by.methods = "pwd " + by.methods
	default:
		err = s.users.UseFactor(ctx, user, a.Code)
	}
	return by, s.again(c, user, refusalOf(err))
}

// enrolFactor adds the factor of a challenge to the account of a user, and returns what
// that proved.
func (s *Service) enrolFactor(ctx context.Context, c challenge, user users.User, a FactorAnswer) (methods string, recovery []string, err error) {
	if a.Passkey != nil {
		return s.enrolPasskey(ctx, c, user, a)
	}
	recovery, err = s.users.EnrolTOTP(ctx, user, c.Factor, c.Secret, a.Name, a.Code)
	return byCode, recovery, err
}

// again has a refusal of a code or a passkey, after which the challenge can be answered
// all the same, say once more how.
func (s *Service) again(c challenge, user users.User, e *refusal.Error) *refusal.Error {
	if e == nil || e.Code != refusal.WrongCode && !e.Temporary() {
		return e
	}
	once := *e
	return s.due(c, user, &once)
}

// LogInByFactor finishes a log-in whose second factor was due, or one by a passkey alone.
func (s *Service) LogInByFactor(r *http.Request, answer FactorAnswer) (Tokens, *refusal.Error) {
	q := s.firstPartyRequest(clients.GrantPassword)
	q.answer = answer
	return s.firstPartyGrant(r, q)
}

// finishLogin begins the session of an answered challenge.
func (s *Service) finishLogin(ctx context.Context, q *tokenRequest) (issued, *refusal.Error) {
	c, e := s.openChallenge(q.answer.Challenge, q.client.ID)
	if e != nil {
		return issued{}, e
	}
	scope, aud, e := q.reach(func(scope []string) []string { return s.settings.reach(q.client, scope) })
	if e != nil {
		return issued{}, e
	}
	by, e := s.answerChallenge(ctx, c, q.answer, &q.event)
	if e != nil {
		return issued{}, e
	}
	family := s.families.begin(ctx, q.client, by.user, scope, aud)
	family.ID, family.Factor = c.SessionID, by.methods
	out, e := s.login(ctx, q, by.user, family)
	if e != nil && errors.Is(e.Cause, ErrFamilyExists) {
		return issued{}, refusal.New(refusal.BadChallenge, audit.ReasonBadChallenge, "")
	}
	out.recovery = by.recovery
	return out, e
}

// methods are how the user of a session proved who they are (RFC 8176).
func (f Family) methods() []string {
	switch f.Factor {
	case "":
		return []string{"pwd"}
	case byCode:
		return []string{"pwd", byCode, "mfa"}
	}
	return append(strings.Fields(f.Factor), "mfa")
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

// SetUp is what an authenticator app, or a passkey, is set up with, to be the second
// factor ID. Options are those of a passkey, nil where there are none.
type SetUp struct {
	ID, Challenge, Secret, URI string
	Options                    json.RawMessage
}

// BeginEnrolment returns what a second factor of a user who is logged in is set up
// with. Nothing is stored until it has proved itself.
func (s *Service) BeginEnrolment(user users.User) SetUp {
	c := s.newChallenge(user, "").enrolling()
	c.Adding = true
	e := s.due(c, user, &refusal.Error{})
	return SetUp{c.Factor, e.Challenge, e.Secret, e.URI, e.Options}
}

// Enrol adds the app of a challenge to the account of who is logged in, by a code of it,
// or the passkey that was made for it. It returns recovery codes with the first factor.
func (s *Service) Enrol(ctx context.Context, by Caller, a FactorAnswer) ([]string, *refusal.Error) {
	recovery, user, e := s.enrol(ctx, by, a)
	if e == nil {
		return recovery, nil
	}
	event := audit.Event{Action: audit.FactorEnrolled, UserID: by.UserID, UserEmail: user.Email, SessionID: by.SessionID}
	return nil, s.Conclude(ctx, event, e)
}

func (s *Service) enrol(ctx context.Context, by Caller, a FactorAnswer) ([]string, users.User, *refusal.Error) {
	if e := s.Fresh(by); e != nil {
		return nil, users.User{}, e
	}
	user, err := s.users.ByID(ctx, by.UserID)
	if err != nil {
		return nil, user, decision.Refusal(err)
	}
	c, e := s.openChallenge(a.Challenge, "")
	if e == nil && (!c.Adding || c.UserID != user.UID) {
		e = refusal.New(refusal.BadChallenge, audit.ReasonBadChallenge, "")
	}
	if e != nil {
		return nil, user, e
	}
	_, recovery, err := s.enrolFactor(ctx, c, user, a)
	return recovery, user, s.again(c, user, decision.Refusal(err))
}
