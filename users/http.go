package users

import (
	"encoding/json"
	"net/http"
	"time"

	"github.com/keyturn/keyturn/internal/audit"
	"github.com/keyturn/keyturn/internal/problem"
	"github.com/keyturn/keyturn/internal/refusal"
)

// HTTP answers the /auth routes that are about the account itself.
type HTTP struct {
	Users *Service
	Audit audit.Recorder
	// OnError takes what went wrong inside and is not for the caller's eyes.
	OnError func(r *http.Request, err error)
}

type signUpBody struct {
	Email     string `json:"email"`
	Username  string `json:"username"`
	FirstName string `json:"first_name"`
	LastName  string `json:"last_name"`
	Password  string `json:"password"`
}

// account is what a user is shown of their account.
type account struct {
	UID       string    `json:"uid"`
	Email     string    `json:"email"`
	Username  string    `json:"username,omitempty"`
	FirstName string    `json:"first_name,omitempty"`
	LastName  string    `json:"last_name,omitempty"`
	CreatedAt time.Time `json:"created_at"`
}

func accountOf(u User) account {
	return account{UID: u.UID, Email: u.Email, Username: u.Username, FirstName: u.FirstName, LastName: u.LastName, CreatedAt: u.CreatedAt}
}

// SignUp answers POST /auth/signup.
func (h *HTTP) SignUp(w http.ResponseWriter, r *http.Request) {
	var body signUpBody
	if !h.read(w, r, audit.Event{Action: audit.UserSignedUp}, &body) {
		return
	}
	u, err := h.Users.SignUp(r.Context(), NewUser{
		Email: body.Email, Username: body.Username, FirstName: body.FirstName, LastName: body.LastName, Password: body.Password,
	})
	if err != nil {
		h.refuse(w, r, err)
		return
	}
	write(w, http.StatusCreated, struct {
		Message string  `json:"message"`
		User    account `json:"user"`
	}{"Sign-up successful", accountOf(u)})
}

// Me answers GET /auth/me for the user uid, in the session and by the client
// named.
func (h *HTTP) Me(w http.ResponseWriter, r *http.Request, uid, session, client string) {
	u, err := h.Users.ByID(r.Context(), uid)
	event := audit.Event{Action: audit.UserRead, UserID: uid, SessionID: session, ClientID: client}
	if err == nil {
		event.Outcome = audit.Success
	} else {
		// The token was live, so an account that is not there is no answer.
		event.Reason, err = audit.ReasonStore, refusal.Undecided(audit.ReasonStore, err)
	}
	if recordErr := h.record(r, event); recordErr != nil {
		err = recordErr
	}
	if err != nil {
		h.refuse(w, r, err)
		return
	}
	write(w, http.StatusOK, accountOf(u))
}

type passwordBody struct {
	Current string `json:"current_password"`
	New     string `json:"new_password"`
}

// ChangePassword answers POST /auth/password: the session that asks goes on,
// every other one ends.
func (h *HTTP) ChangePassword(w http.ResponseWriter, r *http.Request, uid, session string) {
	var body passwordBody
	if !h.read(w, r, audit.Event{Action: audit.PasswordChanged, UserID: uid, SessionID: session}, &body) {
		return
	}
	if err := h.Users.ChangePassword(r.Context(), uid, body.Current, body.New, session); err != nil {
		h.refuse(w, r, err)
		return
	}
	write(w, http.StatusOK, struct {
		Message string `json:"message"`
	}{"Password changed; your other sessions have ended"})
}

type resetBody struct {
	Token string `json:"token"`
	New   string `json:"new_password"`
}

// ResetPassword answers POST /auth/reset: whoever has the one-time token that
// an operator made sets a new password; every session of the account ends.
func (h *HTTP) ResetPassword(w http.ResponseWriter, r *http.Request) {
	var body resetBody
	if !h.read(w, r, audit.Event{Action: audit.ResetRedeemed}, &body) {
		return
	}
	if err := h.Users.RedeemReset(r.Context(), body.Token, body.New); err != nil {
		h.refuse(w, r, err)
		return
	}
	write(w, http.StatusOK, struct {
		Message string `json:"message"`
	}{"Password changed; log in with the new one"})
}

// read decodes the body; a body that cannot be used is a refusal like any
// other and leaves its event.
func (h *HTTP) read(w http.ResponseWriter, r *http.Request, event audit.Event, v any) bool {
	bad := problem.ReadJSON(r, v)
	if bad == nil {
		return true
	}
	event.Reason = bad.Reason
	if err := h.record(r, event); err != nil {
		h.refuse(w, r, err)
		return false
	}
	problem.Refuse(w, bad)
	return false
}

// record writes an event, also for a caller that hung up.
func (h *HTTP) record(r *http.Request, event audit.Event) error {
	ctx, cancel := audit.Outlast(r.Context())
	defer cancel()
	return h.Audit.Record(ctx, event)
}

// refuse answers err and hands what callers may not see to OnError.
func (h *HTTP) refuse(w http.ResponseWriter, r *http.Request, err error) {
	e := refusal.Of(err)
	if e.Code == refusal.Unavailable {
		h.OnError(r, err)
	}
	problem.Refuse(w, e)
}

func write(w http.ResponseWriter, status int, v any) {
	body, err := json.Marshal(v)
	if err != nil {
		problem.Write(w, problem.Internal, "")
		return
	}
	w.Header().Set("Content-Type", "application/json")
	w.WriteHeader(status)
	// An error here means that the caller has gone.
	_, _ = w.Write(body)
}
