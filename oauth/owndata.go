package oauth

import (
	"context"
	"encoding/json"
	"strings"
	"time"

	"github.com/keyturn/keyturn/internal/audit"
	"github.com/keyturn/keyturn/internal/factors"
	"github.com/keyturn/keyturn/internal/refusal"
)

// maxDataSessions bounds the sessions in what is given to a user as all there is.
const maxDataSessions = 1000

// Data is all that is kept about a user, but for secrets.
type Data struct {
	UID               string          `json:"uid"`
	Email             string          `json:"email,omitempty"`
	EmailVerified     bool            `json:"email_verified"`
	Username          string          `json:"username,omitempty"`
	FirstName         string          `json:"first_name,omitempty"`
	LastName          string          `json:"last_name,omitempty"`
	Roles             []string        `json:"roles,omitempty"`
	Claims            json.RawMessage `json:"claims,omitempty"`
	CreatedAt         time.Time       `json:"created_at"`
	UpdatedAt         time.Time       `json:"updated_at"`
	PasswordChangedAt time.Time       `json:"password_changed_at"`
	Factors           []DataFactor    `json:"factors"`
	Recovery          int             `json:"recovery_codes_left"`
	Grants            []DataGrant     `json:"grants"`
	Sessions          []DataSession   `json:"sessions"`
}

// DataFactor is a second factor in Data.
type DataFactor struct {
	ID         string       `json:"id"`
	Kind       factors.Kind `json:"kind"`
	Name       string       `json:"name,omitempty"`
	CreatedAt  time.Time    `json:"created_at"`
	LastUsedAt time.Time    `json:"last_used_at,omitzero"`
}

// DataGrant is in Data what the user lets a client have.
type DataGrant struct {
	ClientID  string    `json:"client_id"`
	Scope     string    `json:"scope"`
	GrantedAt time.Time `json:"granted_at"`
}

// DataSession is a live session in Data; the browser's has no client.
type DataSession struct {
	ID         string    `json:"id"`
	ClientID   string    `json:"client_id,omitempty"`
	Scope      string    `json:"scope,omitempty"`
	CreatedAt  time.Time `json:"created_at"`
	LastUsedAt time.Time `json:"last_used_at"`
	ExpiresAt  time.Time `json:"expires_at"`
	IP         string    `json:"ip,omitempty"`
	UserAgent  string    `json:"user_agent,omitempty"`
}

// DataOf returns all that is kept about the caller, and records that.
func (s *Service) DataOf(ctx context.Context, by Caller) (Data, *refusal.Error) {
	event := audit.Event{Action: audit.UserRead, UserID: by.UserID, ClientID: by.ClientID, SessionID: by.SessionID, Detail: "all that is kept"}
	d, err := s.dataOf(ctx, by.UserID)
	var e *refusal.Error
	if err != nil {
		// The caller's session is live, so a missing account is a failure of the store.
		e = refusal.Undecided(audit.ReasonStore, err)
	}
	return d, s.Conclude(ctx, event, e)
}

func (s *Service) dataOf(ctx context.Context, uid string) (Data, error) {
	u, err := s.users.ByID(ctx, uid)
	if err != nil {
		return Data{}, err
	}
	families, err := s.store.FamiliesOfUser(ctx, uid, s.now(), maxDataSessions)
	if err != nil {
		return Data{}, err
	}
	d := Data{
		UID: u.UID, Email: u.Email, EmailVerified: u.EmailVerified(), Username: u.Username, FirstName: u.FirstName, LastName: u.LastName, Roles: u.Roles, Claims: json.RawMessage(u.Claims),
		CreatedAt: u.CreatedAt, UpdatedAt: u.UpdatedAt, PasswordChangedAt: u.PasswordChangedAt,
		Factors: []DataFactor{}, Recovery: len(u.Factors.Recovery), Grants: []DataGrant{}, Sessions: []DataSession{},
	}
	for _, f := range u.Factors.List {
		d.Factors = append(d.Factors, DataFactor{f.ID, f.Kind, f.Name, f.CreatedAt, f.LastUsedAt})
	}
	for _, c := range u.Consents {
		d.Grants = append(d.Grants, DataGrant{c.ClientID, strings.Join(c.Scope, " "), c.GivenAt})
	}
	for _, f := range families {
		d.Sessions = append(d.Sessions, DataSession{f.ID, f.ClientID, strings.Join(f.Scope, " "), f.CreatedAt, f.RotatedAt, f.IdleExpiresAt, f.FirstIP, f.FirstUserAgent})
	}
	return d, nil
}
