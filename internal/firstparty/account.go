package firstparty

import (
	"errors"
	"net/http"
	"time"

	"github.com/keyturn/keyturn/internal/audit"
	"github.com/keyturn/keyturn/internal/decision"
	"github.com/keyturn/keyturn/internal/refusal"
	"github.com/keyturn/keyturn/oauth"
	"github.com/keyturn/keyturn/users"
)

// account is the part of an account that its user sees.
type account struct {
	UID           string    `json:"uid"`
	Email         string    `json:"email"`
	EmailVerified bool      `json:"email_verified"`
	Username      string    `json:"username,omitempty"`
	FirstName     string    `json:"first_name,omitempty"`
	LastName      string    `json:"last_name,omitempty"`
	CreatedAt     time.Time `json:"created_at"`
}

func accountOf(u users.User) account {
	return account{UID: u.UID, Email: u.Email, EmailVerified: u.EmailVerified(), Username: u.Username, FirstName: u.FirstName, LastName: u.LastName, CreatedAt: u.CreatedAt}
}

// SignUp answers POST /auth/signup.
func (h *Handlers) SignUp(w http.ResponseWriter, r *http.Request) {
	var body struct {
		Email     string `json:"email"`
		Username  string `json:"username,omitempty"`
		FirstName string `json:"first_name,omitempty"`
		LastName  string `json:"last_name,omitempty"`
		Password  string `json:"password"`
		Language  string `json:"language,omitempty"`
	}
	if !h.read(w, r, audit.Event{Action: audit.UserSignedUp}, &body) {
		return
	}
	n := users.NewUser{
		Email: body.Email, Username: body.Username, FirstName: body.FirstName, LastName: body.LastName, Password: body.Password,
	}
	if h.Users.Post != nil {
		err := h.Users.AskSignUp(r.Context(), n, languageOf(r, body.Language))
		h.answerCall(w, r, err, http.StatusAccepted, said{"A letter is on its way to the address; open its link to go on"})
		return
	}
	u, err := h.Users.SignUp(r.Context(), n)
	h.answerCall(w, r, err, http.StatusCreated, signedUp(u))
}

type newAccount struct {
	Message string  `json:"message"`
	User    account `json:"user"`
}

func signedUp(u users.User) newAccount { return newAccount{"Sign-up successful", accountOf(u)} }

// Me answers GET /auth/me.
func (h *Handlers) Me(w http.ResponseWriter, r *http.Request, by oauth.Caller) {
	u, e := h.own(r, by)
	answer(w, e, http.StatusOK, accountOf(u))
}

// ChangePassword answers POST /auth/password. The caller's session goes on;
// every other session ends.
func (h *Handlers) ChangePassword(w http.ResponseWriter, r *http.Request, by oauth.Caller) {
	var body struct {
		Current string `json:"current_password"`
		New     string `json:"new_password"`
	}
	if !h.read(w, r, audit.Event{Action: audit.PasswordChanged, UserID: by.UserID, SessionID: by.SessionID}, &body) {
		return
	}
	err := h.Users.ChangePassword(r.Context(), by.UserID, body.Current, body.New, by.SessionID)
	h.answerCall(w, r, ofNewPassword(err, "your other sessions are still being ended"), http.StatusOK, said{"Password changed; your other sessions have ended"})
}

// ResetPassword answers POST /auth/reset: the holder of an operator's one-time
// token sets a new password. Every session of the account ends.
func (h *Handlers) ResetPassword(w http.ResponseWriter, r *http.Request) {
	var body struct {
		Token string `json:"token"`
		New   string `json:"new_password"`
	}
	if !h.read(w, r, audit.Event{Action: audit.ResetRedeemed}, &body) {
		return
	}
	err := h.Users.RedeemReset(r.Context(), body.Token, body.New)
	h.answerCall(w, r, ofNewPassword(err, "the sessions begun before are still being ended"), http.StatusOK, said{"Password changed; log in with the new one"})
}

// ofNewPassword renames the field of a refusal to the name in these bodies. For
// ErrToFollow it says that the password is changed, and what is left to do.
func ofNewPassword(err error, left string) error {
	var e *refusal.Error
	if errors.Is(err, decision.ErrToFollow) {
		return &refusal.Error{Code: refusal.Unfinished, Reason: audit.ReasonUnavailable, Cause: err, Text: "The password is changed, and only the new one counts; " + left + "."}
	}
	if !errors.As(err, &e) || e.Field != "password" {
		return err
	}
	named := *e
	named.Field = "new_password"
	return &named
}
