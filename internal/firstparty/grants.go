package firstparty

import (
	"net/http"
	"net/url"
	"strings"
	"time"

	"github.com/keyturn/keyturn/internal/audit"
	"github.com/keyturn/keyturn/internal/refusal"
	"github.com/keyturn/keyturn/oauth"
)

type grant struct {
	ClientID  string    `json:"client_id"`
	Scope     string    `json:"scope"`
	GrantedAt time.Time `json:"granted_at"`
}

// Grants answers GET /auth/grants with what the caller lets clients have.
func (h *Handlers) Grants(w http.ResponseWriter, r *http.Request, by oauth.Caller) {
	event := audit.Event{Action: audit.ConsentsListed, UserID: by.UserID, SessionID: by.SessionID, ClientID: by.ClientID}
	u, err := h.Users.ByID(r.Context(), by.UserID)
	var e *refusal.Error
	if err != nil {
		// The token is live, so a missing account is a failure of the store.
		e = refusal.Undecided(audit.ReasonStore, err)
	}
	list := make([]grant, len(u.Consents))
	for i, c := range u.Consents {
		list[i] = grant{c.ClientID, strings.Join(c.Scope, " "), c.GivenAt}
	}
	event.Count = len(list)
	answer(w, h.Conclude(r.Context(), event, e), http.StatusOK, struct {
		Grants []grant `json:"grants"`
	}{list})
}

// WithdrawGrant answers DELETE /auth/grants/ID: what the client may have is taken back,
// and the caller's sessions with it end.
func (h *Handlers) WithdrawGrant(w http.ResponseWriter, r *http.Request, by oauth.Caller) {
	id, err := url.PathUnescape(r.PathValue("id"))
	if err != nil {
		id = r.PathValue("id") // the id of no client
	}
	_, err = h.Users.WithdrawConsent(r.Context(), by.UserID, id, audit.ReasonEndedByUser)
	h.answerCall(w, r, err, http.StatusNoContent, nil)
}
