package auditreport

import (
	"bytes"
	"context"
	"fmt"
	"path/filepath"
	"testing"
	"time"

	"github.com/keyturn/keyturn/internal/audit"
)

var dawn = time.Date(2026, 11, 23, 6, 0, 0, 0, time.UTC)

// scribe writes a log with the real writer and a clock of its own.
type scribe struct {
	t    testing.TB
	path string
	log  *audit.Log
	now  time.Time
}

func newScribe(t testing.TB) *scribe {
	t.Helper()
	s := &scribe{t: t, path: filepath.Join(t.TempDir(), "audit.log"), now: dawn}
	s.open()
	return s
}

// open begins a chain.
func (s *scribe) open() {
	s.t.Helper()
	log, err := audit.Open(audit.Options{Sink: s.path, Node: "login-1", Version: "1.0.0", Now: func() time.Time { return s.now }})
	if err != nil {
		s.t.Fatal(err)
	}
	s.log = log
	s.t.Cleanup(func() { _ = log.Close() })
}

func (s *scribe) close() {
	s.t.Helper()
	if err := s.log.Close(); err != nil {
		s.t.Fatal(err)
	}
}

// write records an event at the scribe's time, and lets a second pass.
func (s *scribe) write(ip, agent string, e audit.Event) {
	s.t.Helper()
	ctx := context.Background()
	if ip != "" {
		ctx = audit.WithRequest(ctx, audit.Request{ID: "r", IP: ip, UserAgent: agent})
	}
	if err := s.log.Record(ctx, e); err != nil {
		s.t.Fatal(err)
	}
	s.now = s.now.Add(time.Second)
}

func (s *scribe) login(user, ip, agent string) {
	s.t.Helper()
	s.write(ip, agent, audit.Event{
		Action: audit.TokenIssued, Outcome: audit.Success, Grant: "password", UserID: "id-" + user, UserEmail: user,
		ClientID: "shop-app", SessionID: "session-" + user, TokenID: "j", Scope: "openid",
	})
}

func (s *scribe) refuse(user, ip, agent string, reason audit.Reason) {
	s.t.Helper()
	s.write(ip, agent, audit.Event{Action: audit.TokenRefused, Grant: "password", UserEmail: user, ClientID: "shop-app", Reason: reason})
}

func (s *scribe) refresh(user, ip, agent string, generation int64) {
	s.t.Helper()
	s.write(ip, agent, audit.Event{
		Action: audit.TokenRefreshed, Outcome: audit.Success, Grant: "refresh_token", UserID: "id-" + user, ClientID: "shop-app",
		SessionID: "session-" + user, HasGeneration: true, Generation: generation, Presented: generation - 1,
	})
}

const (
	phone   = "ShopApp/4.2 (Android 16; Pixel 9)"
	desktop = "Mozilla/5.0 (X11; Linux x86_64; rv:140.0) Gecko/20100101 Firefox/140.0"
)

// quietDay is a day of people who log in and work.
func (s *scribe) quietDay() {
	s.t.Helper()
	s.write("", "", audit.Event{Action: audit.ServerStarted, Outcome: audit.Success})
	s.write("", "", audit.Event{Action: audit.KeyActivated, Outcome: audit.Success, KeyID: "k-2026-11"})
	begin := s.now
	for hour := range 12 {
		s.now = begin.Add(time.Duration(hour) * time.Hour)
		people := []int{1, 3, 6, 9, 8, 5, 6, 8, 7, 4, 2, 1}[hour]
		for i := range people {
			user := fmt.Sprintf("user%d@example.org", (hour*7+i*3)%20)
			ip := fmt.Sprintf("203.0.113.%d", 10+(hour*7+i*3)%20)
			if i%4 == 3 {
				s.refuse(user, ip, phone, audit.ReasonWrongPassword)
			}
			s.login(user, ip, phone)
			for g := range int64(5) {
				s.refresh(user, ip, phone, g+1)
			}
			s.now = s.now.Add(4 * time.Minute)
		}
	}
}

// incident is a night on which everything happens.
func (s *scribe) incident() {
	s.t.Helper()
	s.now = dawn.Add(16 * time.Hour)
	for i := range 60 {
		s.refuse(fmt.Sprintf("user%d@example.org", i), "198.51.100.66", "python-requests/2.32", []audit.Reason{audit.ReasonUnknownUser, audit.ReasonWrongPassword}[i/20%2])
		if i%2 == 1 {
			s.refuse(fmt.Sprintf("user%d@example.org", i), "198.51.100.66", "python-requests/2.32", audit.ReasonThrottled)
		}
		s.now = s.now.Add(40 * time.Second)
	}
	s.login("user31@example.org", "198.51.100.66", "python-requests/2.32")
	for i := range 25 {
		s.refuse("grace@example.org", fmt.Sprintf("192.0.2.%d", i+1), "curl/8.5.0", audit.ReasonWrongPassword)
	}
	s.login("user3@example.org", "198.51.100.23", desktop)
	for i := range 2 {
		s.write("198.51.100.23", desktop, audit.Event{
			Action: audit.TokenReuse, Reason: audit.ReasonReusedToken, Grant: "refresh_token", UserID: "id-user3@example.org", ClientID: "shop-app",
			SessionID: "session-user3@example.org", HasGeneration: true, Generation: int64(7 + i), Presented: 4,
			Previous: audit.Use{At: s.now.Add(-9 * time.Minute), IP: "203.0.113.13", UserAgent: phone},
		})
	}
	for range 22 {
		s.write("198.51.100.70", "Go-http-client/2.0", audit.Event{Action: audit.TokenRefused, ClientID: "billing", Reason: audit.ReasonWrongClientSecret})
	}
	s.write("", "", audit.Event{Action: audit.KeyCreated, Outcome: audit.Success, KeyID: "k-2026-12", Reason: audit.ReasonStandby})
	s.write("", "", audit.Event{Action: audit.ServerStopped, Outcome: audit.Success})
	s.close()
	s.now = dawn.Add(21 * time.Hour)
	s.open()
	s.write("", "", audit.Event{Action: audit.KeyRevoked, Outcome: audit.Success, KeyID: "k-2026-11", Detail: "laptop of an operator was stolen"})
	s.write("", "", audit.Event{Action: audit.UserDisabled, Outcome: audit.Success, UserID: "id-user31@example.org", UserEmail: "user31@example.org", Count: 1})
	s.write("", "", audit.Event{Action: audit.ClientSecretTurned, Outcome: audit.Success, ClientID: "billing"})
	s.write("", "", audit.Event{Action: audit.PasswordReset, Reason: audit.ReasonUnknownUser, UserID: "grace"})
	s.write("", "", audit.Event{Action: audit.SessionsEnded, Outcome: audit.Success, UserID: "id-user3@example.org", Reason: audit.ReasonLoggedOutByOperator, Count: 2})
	s.close()
}

// read makes the report of the scribe's log, checked.
func (s *scribe) read() *Report {
	s.t.Helper()
	b := NewBuilder(time.Time{}, time.Time{})
	checked, err := audit.VerifyEach([]string{s.path}, audit.VerifyOptions{}, func(line []byte) error { b.Add(line); return nil })
	r := b.Report()
	r.Integrity = Integrity{Checked: true, Report: checked}
	if err != nil {
		s.t.Fatal(err)
	}
	r.Made, r.Files = dawn.Add(24*time.Hour), []string{"keyturn-audit.log"}
	r.Conclude()
	return r
}

func pageOf(t testing.TB, r *Report) string {
	t.Helper()
	var b bytes.Buffer
	if err := r.WriteHTML(&b); err != nil {
		t.Fatal(err)
	}
	return b.String()
}
