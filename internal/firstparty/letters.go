package firstparty

import (
	"cmp"
	"net/http"

	"github.com/keyturn/keyturn/internal/audit"
	"github.com/keyturn/keyturn/internal/problem"
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
	err := h.Users.AskReset(r.Context(), body.Email, cmp.Or(body.Language, problem.Field(r, "Accept-Language")))
	h.answerCall(w, r, err, http.StatusAccepted, said{"If the address has an account, a letter is on its way"})
}
