package oauth

import (
	"net/http"

	"github.com/keyturn/keyturn/internal/audit"
	"github.com/keyturn/keyturn/internal/problem"
	"github.com/keyturn/keyturn/internal/refusal"
)

// userInfo is the answer of OpenID Connect Core §5.3.2.
type userInfo struct {
	Subject string `json:"sub"`
	email
	profile
}

// UserInfoClaims lists the claims that the UserInfo endpoint can answer.
func UserInfoClaims() []string {
	return []string{"sub", "email", "email_verified", "name", "given_name", "family_name", "preferred_username", "updated_at"}
}

// UserInfo is the UserInfo endpoint: claims about the user of a bearer token
// with the scope openid; e-mail and profile as their scopes were granted.
func (s *Service) UserInfo(w http.ResponseWriter, r *http.Request) {
	info, e := s.userInfo(r)
	if e != nil {
		problem.Refuse(w, e)
		return
	}
	writeJSON(w, http.StatusOK, info)
}

func (s *Service) userInfo(r *http.Request) (userInfo, *refusal.Error) {
	c, e := s.bearer(r, func(c claims) *refusal.Error {
		if c.Session == "" || !c.hasScope("openid") {
			return refusal.New(refusal.BeyondToken, audit.ReasonScopeNotGranted, "")
		}
		return s.forIssuer(c)
	})
	if e != nil {
		return userInfo{}, e
	}
	ctx := r.Context()
	user, err := s.users.ByID(ctx, c.Subject)
	if err != nil {
		// The token is live, so an account that is not there is no answer.
		e = refusal.Undecided(audit.ReasonStore, err)
	}
	info := userInfo{Subject: user.UID}
	if c.hasScope("email") {
		info.email = emailOf(user.Email, user.EmailVerified())
	}
	if c.hasScope("profile") {
		info.profile = profileOf(user)
	}
	return info, s.Conclude(ctx, audit.Event{
		Action: audit.UserInfoRead, UserID: c.Subject, ClientID: c.ClientID, SessionID: c.Session, TokenID: c.ID,
	}, e)
}
