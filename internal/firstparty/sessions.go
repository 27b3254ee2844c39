package firstparty

import (
	"net/http"
	"time"

	"github.com/keyturn/keyturn/internal/audit"
	"github.com/keyturn/keyturn/internal/clients"
	"github.com/keyturn/keyturn/oauth"
)

type tokensAnswer struct {
	Message string `json:"message,omitempty"`
	oauth.TokenAnswer
	User     *userName `json:"user,omitempty"`
	Recovery []string  `json:"recovery_codes,omitempty"`
}

type userName struct {
	Email         string `json:"email"`
	EmailVerified bool   `json:"email_verified"`
	UID           string `json:"uid"`
}

// unread returns the event of a token request that could not be read.
func (h *Handlers) unread(grant string) audit.Event {
	return audit.Event{Action: audit.TokenRefused, Grant: grant, ClientID: h.OAuth.FirstPartyClient()}
}

// LogIn answers POST /auth/login.
func (h *Handlers) LogIn(w http.ResponseWriter, r *http.Request) {
	var body struct {
		Email    string `json:"email"`
		Password string `json:"password"`
	}
	if !h.read(w, r, h.unread(clients.GrantPassword), &body) {
		return
	}
	tokens, e := h.OAuth.LogIn(r, body.Email, body.Password)
	answer(w, e, http.StatusOK, loggedIn(tokens))
}

// AskPasskey answers GET /auth/login/passkey with what a browser asks for a passkey by.
func (h *Handlers) AskPasskey(w http.ResponseWriter, _ *http.Request) {
	var made passkeyQuestion
	made.Challenge, made.Options = h.OAuth.AskPasskey(h.OAuth.FirstPartyClient())
	write(w, http.StatusOK, made)
}

// LogInByFactor answers POST /auth/login/factor: a code for the challenge that a log-in
// was answered, or what a passkey signed.
func (h *Handlers) LogInByFactor(w http.ResponseWriter, r *http.Request) {
	a, ok := h.readAnswer(w, r, h.unread(clients.GrantPassword))
	if !ok {
		return
	}
	tokens, e := h.OAuth.LogInByFactor(r, a)
	answer(w, e, http.StatusOK, loggedIn(tokens))
}

func loggedIn(tokens oauth.Tokens) tokensAnswer {
	return tokensAnswer{
		Message: "Login successful", TokenAnswer: tokens.TokenAnswer, User: &userName{Email: tokens.Email, EmailVerified: tokens.EmailVerified, UID: tokens.UserID}, Recovery: tokens.Recovery,
	}
}

// Refresh answers POST /auth/refresh.
func (h *Handlers) Refresh(w http.ResponseWriter, r *http.Request) {
	var body struct {
		RefreshToken string `json:"refresh_token"`
	}
	if !h.read(w, r, h.unread(clients.GrantRefreshToken), &body) {
		return
	}
	tokens, e := h.OAuth.Refresh(r, body.RefreshToken)
	answer(w, e, http.StatusOK, tokens.TokenAnswer)
}

// LogOut answers POST /auth/logout. It ends the session of the access token.
func (h *Handlers) LogOut(w http.ResponseWriter, r *http.Request, by oauth.Caller) {
	answer(w, h.OAuth.LogOut(r.Context(), by), http.StatusNoContent, nil)
}

// EndSession answers DELETE /auth/sessions/ID for one of the caller's sessions.
func (h *Handlers) EndSession(w http.ResponseWriter, r *http.Request, by oauth.Caller) {
	answer(w, h.OAuth.EndSession(r.Context(), by, r.PathValue("id")), http.StatusNoContent, nil)
}

// EndOtherSessions answers DELETE /auth/sessions. It ends every session of the
// caller but the current one.
func (h *Handlers) EndOtherSessions(w http.ResponseWriter, r *http.Request, by oauth.Caller) {
	n, err := h.Users.EndOtherSessions(r.Context(), by.UserID, by.SessionID, by.ClientID)
	h.answerCall(w, r, err, http.StatusOK, struct {
		Ended int `json:"ended"`
	}{n})
}

type session struct {
	ID         string    `json:"id"`
	ClientID   string    `json:"client_id"`
	CreatedAt  time.Time `json:"created_at"`
	LastUsedAt time.Time `json:"last_used_at"`
	ExpiresAt  time.Time `json:"expires_at"`
	IP         string    `json:"ip,omitempty"`
	UserAgent  string    `json:"user_agent,omitempty"`
	Current    bool      `json:"current"`
}

// Sessions answers GET /auth/sessions with the caller's live sessions, newest
// first.
func (h *Handlers) Sessions(w http.ResponseWriter, r *http.Request, by oauth.Caller) {
	families, e := h.OAuth.Sessions(r.Context(), by)
	list := make([]session, len(families))
	for i, f := range families {
		list[i] = session{
			ID: f.ID, ClientID: f.ClientID, CreatedAt: f.CreatedAt, LastUsedAt: f.RotatedAt, ExpiresAt: f.IdleExpiresAt,
			IP: f.FirstIP, UserAgent: f.FirstUserAgent, Current: f.ID == by.SessionID,
		}
	}
	answer(w, e, http.StatusOK, struct {
		Sessions []session `json:"sessions"`
	}{list})
}
