package oauth

import (
	"context"
	"errors"
	"net/http"
	"slices"
	"time"

	"github.com/keyturn/keyturn/internal/audit"
	"github.com/keyturn/keyturn/internal/decision"
	"github.com/keyturn/keyturn/internal/problem"
	"github.com/keyturn/keyturn/internal/refusal"
)

// The /auth routes are the same service as plain JSON, for the deployment's own
// apps. They act for the client that the setting first_party_client names.

// firstPartyClient returns the client that the /auth routes act for.
func (s *Service) firstPartyClient(ctx context.Context) (Client, *refusal.Error) {
	client, err := s.store.ClientByID(ctx, s.settings.FirstPartyClient)
	if err != nil && !errors.Is(err, ErrNoClient) {
		return Client{}, refusal.Undecided(audit.ReasonStore, err)
	}
	return client, inForce(client)
}

// inForce refuses a client that is not there or disabled. The first-party
// client proves itself by being named in the settings.
func inForce(client Client) *refusal.Error {
	switch {
	case client.ID == "":
		return clientRefused(audit.ReasonUnknownClient)
	case client.Disabled:
		return clientRefused(audit.ReasonDisabledClient)
	}
	return nil
}

type loginBody struct {
	Email    string `json:"email"`
	Password string `json:"password"`
}

type loginAnswer struct {
	Message      string    `json:"message,omitempty"`
	AccessToken  string    `json:"access_token"`
	RefreshToken string    `json:"refresh_token,omitempty"`
	TokenType    string    `json:"token_type"`
	ExpiresIn    int64     `json:"expires_in"`
	User         *userName `json:"user,omitempty"`
}

type userName struct {
	Email string `json:"email"`
	UID   string `json:"uid"`
}

func (i issued) loginAnswer() loginAnswer {
	t := i.answer()
	return loginAnswer{AccessToken: t.AccessToken, RefreshToken: t.RefreshToken, TokenType: t.TokenType, ExpiresIn: t.ExpiresIn}
}

// Login answers POST /auth/login.
func (s *Service) Login(w http.ResponseWriter, r *http.Request) {
	s.firstParty(w, r, GrantPassword, func(ctx context.Context, event *audit.Event) (loginAnswer, issued, *refusal.Error) {
		client, e := s.firstPartyClient(ctx)
		if e == nil {
			e = s.mayUse(client, GrantPassword)
		}
		if e != nil {
			return loginAnswer{}, issued{}, e
		}
		var body loginBody
		if e := problem.ReadJSON(r, &body); e != nil {
			return loginAnswer{}, issued{}, e
		}
		out, e := s.passwordGrant(ctx, ask{client: client}, body.Email, body.Password, event)
		if e != nil {
			return loginAnswer{}, issued{}, e
		}
		answer := out.loginAnswer()
		answer.Message = "Login successful"
		answer.User = &userName{Email: out.email, UID: out.family.UserID}
		return answer, out, nil
	})
}

// Refresh answers POST /auth/refresh.
func (s *Service) Refresh(w http.ResponseWriter, r *http.Request) {
	s.firstParty(w, r, GrantRefreshToken, func(ctx context.Context, event *audit.Event) (loginAnswer, issued, *refusal.Error) {
		var body refreshBody
		if e := problem.ReadJSON(r, &body); e != nil {
			return loginAnswer{}, issued{}, e
		}
		out, e := s.refreshGrant(ctx, s.settings.FirstPartyClient, inForce, ask{}, body.RefreshToken, event)
		return out.loginAnswer(), out, e
	})
}

type refreshBody struct {
	RefreshToken string `json:"refresh_token"`
}

// firstParty runs one grant for the first-party client and answers in the
// manner of the /auth routes.
func (s *Service) firstParty(w http.ResponseWriter, r *http.Request, grant string, run func(context.Context, *audit.Event) (loginAnswer, issued, *refusal.Error)) {
	ctx := r.Context()
	event := audit.Event{Action: audit.TokenRefused, Grant: grant, ClientID: s.settings.FirstPartyClient}
	answer, out, e := run(ctx, &event)
	if e = s.settle(ctx, out, &event, e); e != nil {
		problem.Refuse(w, e)
		return
	}
	writeJSON(w, http.StatusOK, answer)
}

// Caller is who bears the access token of a first-party request.
type Caller struct {
	UserID, SessionID, ClientID, TokenID string
}

// FirstParty wraps a handler of the /auth routes that needs a user: it demands
// a live access token of the first-party client.
func (s *Service) FirstParty(next func(http.ResponseWriter, *http.Request, Caller)) http.HandlerFunc {
	return func(w http.ResponseWriter, r *http.Request) {
		c, ok := s.bearer(w, r, func(c claims) (audit.Reason, bool) {
			return audit.ReasonForeignClient, c.Session != "" && c.ClientID == s.settings.FirstPartyClient
		})
		if ok {
			next(w, r, Caller{UserID: c.Subject, SessionID: c.Session, ClientID: c.ClientID, TokenID: c.ID})
		}
	}
}

// Logout answers POST /auth/logout: it ends the session of the access token.
func (s *Service) Logout(w http.ResponseWriter, r *http.Request, by Caller) {
	s.endSession(w, r, by, by.SessionID, audit.ReasonLogout)
}

// EndSession answers DELETE /auth/sessions/ID for a session of the caller's.
func (s *Service) EndSession(w http.ResponseWriter, r *http.Request, by Caller) {
	s.endSession(w, r, by, r.PathValue("id"), audit.ReasonEndedByUser)
}

func (s *Service) endSession(w http.ResponseWriter, r *http.Request, by Caller, id string, reason audit.Reason) {
	ctx := r.Context()
	event := audit.Event{
		Action: audit.SessionEnded, Outcome: audit.Success, UserID: by.UserID, ClientID: by.ClientID, SessionID: id, Reason: reason,
	}
	f, err := s.store.FamilyByID(ctx, id)
	ended := false
	if err == nil && f.UserID == by.UserID {
		_, ended, err = s.sessions().end(ctx, s.audit, f, reason.String(), event)
	} else if err == nil {
		err = ErrNoFamily
	}
	switch {
	case errors.Is(err, ErrNoFamily):
		event.Outcome, event.SessionID, event.Reason = audit.Failure, "", audit.ReasonUnknownSession
		s.answer(w, r, event, func() { problem.Write(w, problem.NotFound, "You have no such session.") })
	case decision.Concluded(err):
		s.concluded(w, r, err)
	case err != nil:
		event.Outcome = audit.Failure
		s.storeFailed(w, r, event, err)
	case ended:
		w.WriteHeader(http.StatusNoContent)
	default: // it had ended before
		s.answer(w, r, event, func() { w.WriteHeader(http.StatusNoContent) })
	}
}

// concluded answers for a decision that was not carried out to its end, and of
// which the audit log is told no more.
func (s *Service) concluded(w http.ResponseWriter, r *http.Request, err error) {
	s.onError(r.Context(), err)
	if errors.Is(err, decision.ErrOwed) {
		problem.Refuse(w, &refusal.Error{Text: "It is done; the audit log, which could not be written, will be told later."})
		return
	}
	problem.Unavailable(w)
}

// EndOtherSessions answers DELETE /auth/sessions: every session of the caller
// ends but the one that asks.
func (s *Service) EndOtherSessions(w http.ResponseWriter, r *http.Request, by Caller) {
	n, err := s.users.EndOtherSessions(r.Context(), by.UserID, by.SessionID, by.ClientID)
	if err != nil {
		s.concluded(w, r, err)
		return
	}
	writeJSON(w, http.StatusOK, struct {
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

// maxSessions bounds how many sessions are listed at once.
const maxSessions = 100

// Sessions answers GET /auth/sessions: the caller's live sessions, newest first.
func (s *Service) Sessions(w http.ResponseWriter, r *http.Request, by Caller) {
	event := audit.Event{Action: audit.SessionsListed, UserID: by.UserID, ClientID: by.ClientID, SessionID: by.SessionID}
	families, err := s.store.FamiliesOfUser(r.Context(), by.UserID, s.now(), maxSessions)
	if err != nil {
		s.storeFailed(w, r, event, err)
		return
	}
	list := make([]session, 0, len(families))
	for f := range slices.Values(families) {
		list = append(list, session{
			ID: f.ID, ClientID: f.ClientID, CreatedAt: f.CreatedAt, LastUsedAt: f.RotatedAt, ExpiresAt: f.IdleExpiresAt,
			IP: f.LastIP, UserAgent: f.LastUserAgent, Current: f.ID == by.SessionID,
		})
	}
	event.Outcome, event.Count = audit.Success, len(list)
	s.answer(w, r, event, func() {
		writeJSON(w, http.StatusOK, struct {
			Sessions []session `json:"sessions"`
		}{list})
	})
}

// answer writes the event and, only if that worked, the answer (A3).
func (s *Service) answer(w http.ResponseWriter, r *http.Request, event audit.Event, reply func()) {
	if s.record(r.Context(), event) != nil {
		problem.Unavailable(w)
		return
	}
	reply()
}

func (s *Service) storeFailed(w http.ResponseWriter, r *http.Request, event audit.Event, err error) {
	s.onError(r.Context(), err)
	event.Reason, event.ID = audit.ReasonStore, decision.IDOf(err)
	s.answer(w, r, event, func() { problem.Unavailable(w) })
}
