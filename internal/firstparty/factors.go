package firstparty

import (
	"encoding/json"
	"net/http"
	"time"

	"github.com/keyturn/keyturn/internal/audit"
	"github.com/keyturn/keyturn/internal/factors"
	"github.com/keyturn/keyturn/internal/refusal"
	"github.com/keyturn/keyturn/oauth"
	"github.com/keyturn/keyturn/users"
)

type factor struct {
	ID         string       `json:"id"`
	Kind       factors.Kind `json:"kind"`
	Name       string       `json:"name,omitempty"`
	CreatedAt  time.Time    `json:"created_at"`
	LastUsedAt time.Time    `json:"last_used_at,omitzero"`
}

// Factors answers GET /auth/factors.
func (h *Handlers) Factors(w http.ResponseWriter, r *http.Request, by oauth.Caller) {
	u, e := h.own(r, by)
	list := make([]factor, len(u.Factors.List))
	for i, f := range u.Factors.List {
		list[i] = factor{f.ID, f.Kind, f.Name, f.CreatedAt, f.LastUsedAt}
	}
	answer(w, e, http.StatusOK, struct {
		Factors  []factor `json:"factors"`
		Recovery int      `json:"recovery_codes_left"`
	}{list, len(u.Factors.Recovery)})
}

// SetUpApp answers GET /auth/factors/totp with what an authenticator app is set up with.
func (h *Handlers) SetUpApp(w http.ResponseWriter, r *http.Request, by oauth.Caller) {
	if !h.fresh(w, r, by, audit.FactorEnrolled) {
		return
	}
	u, e := h.own(r, by)
	made := h.OAuth.BeginEnrolment(u)
	answer(w, e, http.StatusOK, struct {
		ID        string `json:"id"`
		Challenge string `json:"challenge"`
		Secret    string `json:"secret"`
		URI       string `json:"otpauth_uri"`
	}{made.ID, made.Challenge, made.Secret, made.URI})
}

// SetUpPasskey answers GET /auth/factors/passkey with what a browser makes a passkey by.
func (h *Handlers) SetUpPasskey(w http.ResponseWriter, r *http.Request, by oauth.Caller) {
	if !h.fresh(w, r, by, audit.FactorEnrolled) {
		return
	}
	u, e := h.own(r, by)
	made := h.OAuth.BeginEnrolment(u)
	answer(w, e, http.StatusOK, passkeyQuestion{made.ID, made.Challenge, made.Options})
}

// passkeyQuestion is what a browser is to ask a passkey, or to make one by.
type passkeyQuestion struct {
	ID        string          `json:"id,omitempty"`
	Challenge string          `json:"challenge"`
	Options   json.RawMessage `json:"public_key"`
}

// factorAnswer is an answer to a challenge, by a code or by a passkey, and what a factor
// that is added by it is called.
type factorAnswer struct {
	Challenge string          `json:"challenge"`
	Code      string          `json:"code,omitempty"`
	Passkey   json.RawMessage `json:"credential,omitempty"`
	Name      string          `json:"name,omitempty"`
}

// readAnswer is read for an answer.
func (h *Handlers) readAnswer(w http.ResponseWriter, r *http.Request, event audit.Event) (oauth.FactorAnswer, bool) {
	var a factorAnswer
	if !h.read(w, r, event, &a) {
		return oauth.FactorAnswer{}, false
	}
	if string(a.Passkey) == "null" {
		a.Passkey = nil
	}
	if a.Code != "" || a.Passkey != nil {
		return oauth.FactorAnswer{Challenge: a.Challenge, Code: a.Code, Name: a.Name, Passkey: a.Passkey}, true
	}
	e := refusal.New(refusal.Malformed, audit.ReasonMalformedBody, `The body is not the JSON object expected: the member "code" is missing or empty, and "credential" too.`)
	e.Field = "code"
	answer(w, h.Conclude(r.Context(), event, e), 0, nil)
	return oauth.FactorAnswer{}, false
}

type recovery struct {
	Message string   `json:"message"`
	Codes   []string `json:"recovery_codes,omitempty"`
}

// AddFactor answers POST /auth/factors: the app is in force once a code of it came, a
// passkey once it was made. With the first factor it answers the recovery codes.
func (h *Handlers) AddFactor(w http.ResponseWriter, r *http.Request, by oauth.Caller) {
	a, ok := h.readAnswer(w, r, audit.Event{Action: audit.FactorEnrolled, UserID: by.UserID})
	if !ok {
		return
	}
	codes, e := h.OAuth.Enrol(r.Context(), by, a)
	answer(w, e, http.StatusCreated, recovery{"The second factor is in force", codes})
}

// RemoveFactor answers DELETE /auth/factors/ID.
func (h *Handlers) RemoveFactor(w http.ResponseWriter, r *http.Request, by oauth.Caller) {
	if h.fresh(w, r, by, audit.FactorRemoved) {
		h.answerCall(w, r, h.Users.RemoveFactor(r.Context(), by.UserID, r.PathValue("id")), http.StatusNoContent, nil)
	}
}

// RenewRecoveryCodes answers POST /auth/recovery-codes.
func (h *Handlers) RenewRecoveryCodes(w http.ResponseWriter, r *http.Request, by oauth.Caller) {
	if !h.fresh(w, r, by, audit.RecoveryRenewed) {
		return
	}
	codes, err := h.Users.RenewRecoveryCodes(r.Context(), by.UserID)
	h.answerCall(w, r, err, http.StatusOK, recovery{"The former recovery codes have ended", codes})
}

// fresh refuses a caller who logged in too long ago, and records that.
func (h *Handlers) fresh(w http.ResponseWriter, r *http.Request, by oauth.Caller, action audit.Action) bool {
	e := h.OAuth.Fresh(by)
	if e != nil {
		answer(w, h.Conclude(r.Context(), audit.Event{Action: action, UserID: by.UserID}, e), 0, nil)
	}
	return e == nil
}

// own returns the caller's account, and records that it was read.
func (h *Handlers) own(r *http.Request, by oauth.Caller) (users.User, *refusal.Error) {
	var e *refusal.Error
	u, err := h.Users.ByID(r.Context(), by.UserID)
	if err != nil {
		// The token is live, so a missing account is a failure of the store.
		e = refusal.Undecided(audit.ReasonStore, err)
	}
	event := audit.Event{Action: audit.UserRead, UserID: by.UserID, SessionID: by.SessionID, ClientID: by.ClientID}
	return u, h.Conclude(r.Context(), event, e)
}
