package firstparty

import (
	"cmp"
	"net/http"

	"github.com/keyturn/keyturn/internal/audit"
	"github.com/keyturn/keyturn/internal/problem"
	"github.com/keyturn/keyturn/oauth"
)

// Forgot answers POST /auth/forgot: a letter with a one-time token for /auth/reset. The
// answer is the same whether the address has an account or not.
func (h *Handlers) Forgot(w http.ResponseWriter, r *http.Request) {
	var body struct {
		Email    string `json:"email"`
		Language string `json:"language,omitempty"`
	}
	if !h.read(w, r, audit.Event{Action: audit.LetterAsked}, &body) {
		return
	}
	err := h.Users.AskReset(r.Context(), body.Email, languageOf(r, body.Language))
	h.answerCall(w, r, err, http.StatusAccepted, said{"If the address has an account, a letter is on its way"})
}

// Confirm answers POST /auth/confirm with what the token of a letter was for: an account
// that was signed up for, or an address that is confirmed, or that an account now has.
func (h *Handlers) Confirm(w http.ResponseWriter, r *http.Request) {
	var body struct {
		Token    string `json:"token"`
		Password string `json:"password,omitempty"`
	}
	if !h.read(w, r, audit.Event{Action: audit.UserSignedUp}, &body) {
		return
	}
	u, made, err := h.Users.Confirm(r.Context(), body.Token, body.Password)
	if made {
		h.answerCall(w, r, err, http.StatusCreated, signedUp(u))
		return
	}
	h.answerCall(w, r, err, http.StatusOK, said{"The address is confirmed"})
}

// ChangeEmail answers POST /auth/email: a letter to the address, by whose link the
// account has it. The answer is the same whether another account has it or not.
func (h *Handlers) ChangeEmail(w http.ResponseWriter, r *http.Request, by oauth.Caller) {
	var body struct {
		Email    string `json:"email"`
		Language string `json:"language,omitempty"`
	}
	if !h.fresh(w, r, by, audit.LetterAsked) {
		return
	}
	if !h.read(w, r, audit.Event{Action: audit.LetterAsked, UserID: by.UserID, SessionID: by.SessionID}, &body) {
		return
	}
	err := h.Users.AskEmail(r.Context(), by.UserID, by.SessionID, body.Email, languageOf(r, body.Language))
	h.answerCall(w, r, err, http.StatusAccepted, said{"If the address can be used, a letter is on its way to it; open its link to change over"})
}

// languageOf is the language that was asked for, or what the caller prefers.
func languageOf(r *http.Request, asked string) string {
	return cmp.Or(asked, problem.Field(r, "Accept-Language"))
}
