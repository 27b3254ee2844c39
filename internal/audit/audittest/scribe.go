package audittest

import (
	"context"
	"fmt"
	"path/filepath"
	"testing"
	"time"

	"github.com/keyturn/keyturn/internal/audit"
	auditlog "github.com/keyturn/keyturn/internal/audit/log"
)

// Dawn is when a Scribe's clock begins: 6 o'clock on a Monday, in UTC.
var Dawn = time.Date(2026, 11, 23, 6, 0, 0, 0, time.UTC)

// Scribe writes a log with the real writer, and a clock that it moves itself.
// It fails the test when it cannot. It is not for concurrent use.
type Scribe struct {
	// Path is the log's file, Now what the next event's time will be.
	Path string
	Now  time.Time

	t      testing.TB
	log    *auditlog.Log
	logins map[string]int // of each user
}

// NewScribe begins a log in a directory of its own. Close ends it.
func NewScribe(t testing.TB) *Scribe {
	t.Helper()
	s := &Scribe{t: t, Path: filepath.Join(t.TempDir(), "keyturn-audit.log"), Now: Dawn, logins: map[string]int{}}
	s.open()
	return s
}

// open begins a chain.
func (s *Scribe) open() {
	s.t.Helper()
	log, err := auditlog.Open(auditlog.Options{Sink: s.Path, Node: "login-1", Version: "1.0.0", Now: func() time.Time { return s.Now }})
	if err != nil {
		s.t.Fatal(err)
	}
	s.log = log
	s.t.Cleanup(func() { _ = log.Close() })
}

// Close ends the chain; the log then stands whole in its file.
func (s *Scribe) Close() {
	s.t.Helper()
	if err := s.log.Close(); err != nil {
		s.t.Fatal(err)
	}
}

// Write records an event of a request, or with no address one that nobody asked
// for, and lets a second pass.
func (s *Scribe) Write(ip, agent string, e audit.Event) {
	s.t.Helper()
	ctx := context.Background()
	if ip != "" {
		ctx = audit.WithRequest(ctx, audit.Request{ID: "r", IP: ip, UserAgent: agent})
	}
	if err := s.log.Record(ctx, e); err != nil {
		s.t.Fatal(err)
	}
	s.Now = s.Now.Add(time.Second)
}

// session is the user's latest.
func (s *Scribe) session(user string) string { return fmt.Sprintf("%s/%d", user, s.logins[user]) }

// Login has a user, named by the e-mail address, begin a session.
func (s *Scribe) Login(user, ip, agent string) {
	s.t.Helper()
	s.logins[user]++
	s.Write(ip, agent, audit.Event{
		Action: audit.TokenIssued, Outcome: audit.Success, Grant: "password", UserID: "id-" + user, UserEmail: user,
		ClientID: "shop-app", SessionID: s.session(user), TokenID: "j", Scope: "openid",
	})
}

// Refuse has a login fail.
func (s *Scribe) Refuse(user, ip, agent string, reason audit.Reason) {
	s.t.Helper()
	s.Write(ip, agent, audit.Event{Action: audit.TokenRefused, Grant: "password", UserEmail: user, ClientID: "shop-app", Reason: reason})
}

// Refresh has a user's latest session refreshed.
func (s *Scribe) Refresh(user, ip, agent string, generation int64) {
	s.t.Helper()
	s.Write(ip, agent, audit.Event{
		Action: audit.TokenRefreshed, Outcome: audit.Success, Grant: "refresh_token", UserID: "id-" + user, ClientID: "shop-app",
		SessionID: s.session(user), HasGeneration: true, Generation: generation, Presented: generation - 1,
	})
}
