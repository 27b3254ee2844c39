package firstparty

import (
	"net/http"
	"time"

	"github.com/keyturn/keyturn/internal/audit"
	"github.com/keyturn/keyturn/oauth"
)

// ChangeMe answers POST /auth/me: the names that are there take the place of the user's.
func (h *Handlers) ChangeMe(w http.ResponseWriter, r *http.Request, by oauth.Caller) {
	var body struct {
		FirstName *string `json:"first_name,omitempty"`
		LastName  *string `json:"last_name,omitempty"`
	}
	if !h.read(w, r, audit.Event{Action: audit.UserChanged, UserID: by.UserID, SessionID: by.SessionID}, &body) {
		return
	}
	u, err := h.Users.ChangeNames(r.Context(), by.UserID, by.SessionID, body.FirstName, body.LastName)
	h.answerCall(w, r, err, http.StatusOK, accountOf(u))
}

// MyData answers GET /auth/me/data with all that is kept about the user.
func (h *Handlers) MyData(w http.ResponseWriter, r *http.Request, by oauth.Caller) {
	data, e := h.OAuth.DataOf(r.Context(), by)
	answer(w, e, http.StatusOK, data)
}

// DeleteMe answers DELETE /auth/me.
func (h *Handlers) DeleteMe(w http.ResponseWriter, r *http.Request, by oauth.Caller) {
	if !h.fresh(w, r, by, audit.UserClosed) {
		return
	}
	at, err := h.Users.Close(r.Context(), by.UserID)
	message := "The account is deleted"
	if !at.IsZero() {
		message = "The account is closed, and will be deleted"
	}
	h.answerCall(w, r, err, http.StatusOK, struct {
		Message  string    `json:"message"`
		DeleteAt time.Time `json:"delete_at,omitzero"`
	}{message, at})
}
