package report

import (
	"fmt"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/keyturn/keyturn/internal/audit"
	"github.com/keyturn/keyturn/internal/audit/audittest"
	"github.com/keyturn/keyturn/internal/audit/verify"
)

func TestIncident(t *testing.T) {
	s := audittest.NewScribe(t)
	s.QuietDay()
	s.IncidentNight()
	r := reportOf(t, s)

	if c := (Counts{Logins: 63, Failed: 136, Throttled: 30, Refreshes: 308, Reuses: 2, Refused: 24, Other: 10}); r.Totals != c {
		t.Errorf("totals %+v, want %+v", r.Totals, c)
	}
	var sum Counts
	for _, slot := range r.Timeline.Steps {
		sum.add(slot.Counts)
	}
	if sum != r.Totals || len(r.Timeline.Steps) > maxSteps {
		t.Errorf("the timeline has %+v in %d steps", sum, len(r.Timeline.Steps))
	}
	if len(r.Reuses.Rows) != 2 {
		t.Fatalf("%d reuses", len(r.Reuses.Rows))
	}
	thief, victim := r.Reuses.Rows[0].By, r.Reuses.Rows[0].Before
	if thief.IP != "198.51.100.23" || thief.Agent != audittest.Desktop || victim.IP != "203.0.113.13" || victim.Agent != audittest.Phone || victim.At.IsZero() {
		t.Errorf("the sides are %+v and %+v", thief, victim)
	}
	if u := r.Reuses.Rows[0]; u.Generation != 7 || u.Presented != 4 || u.User != "user3@example.org" || u.Session == "" {
		t.Errorf("%+v", u)
	}
	if u := r.Unproven; u.Total != 1 || u.Rows[0].By.IP != "198.51.100.24" || u.Rows[0].Before.IP != "203.0.113.17" {
		t.Errorf("bound tokens without their keys: %+v", u)
	}
	if f := r.Sources.Rows[0]; f.IP != "198.51.100.66" || f.Failed != 60 || f.Throttled != 30 || f.Accounts != 60 || f.Logins != 1 {
		t.Errorf("the first source is %+v", f)
	}
	if a := r.Accounts.Rows[0]; a.Name != "grace@example.org" || a.Failed != 25 || a.Sources != 25 || a.Logins != 0 || !a.Exists {
		t.Errorf("the first account is %+v", a)
	}
	if c := r.Clients.Rows; len(c) != 1 || c[0].ID != "billing" || c[0].Failed != 22 {
		t.Errorf("clients: %+v", c)
	}
	var devices []string
	for _, d := range r.Devices.Rows {
		devices = append(devices, fmt.Sprint(d.User, " ", d.IP, " ", d.Elsewhere))
	}
	if !slices.Equal(devices, []string{"user3@example.org 198.51.100.23 true"}) {
		t.Errorf("devices: %q", devices)
	}
	checkChanges(t, "keys", r.Keys, "key-activated", "key-created", "key-revoked")
	checkChanges(t, "administration", r.Admin, "user-added", "key-revoked", "user-disabled", "client-secret-turned", "password-reset", "sessions-ended")
	if len(r.Servers.Rows) != 1 || !r.Servers.Rows[0].Stopped || r.Commands != 1 {
		t.Errorf("servers %+v and %d commands", r.Servers, r.Commands)
	}
	if len(r.Silences) != maxSilence || r.Silences[0].length() < 4*time.Hour {
		t.Errorf("silences: %+v", r.Silences)
	}
	if l := r.Losses; l.Events != 37 || l.Total != 1 || l.Rows[0].Events != 37 || !strings.Contains(l.Rows[0].Detail, "no space left") || l.Rows[0].Node == "" {
		t.Errorf("losses: %+v", l)
	}
	for _, f := range r.Refusals.Rows {
		if f.Action == audit.EventsLost {
			t.Error("a loss is counted as a refusal")
		}
	}
	checkFindings(t, r, "! 37 events were lost", "! 2 spent refresh tokens",
		"! user3@example.org, session user3@example.org/4: presented from 198.51.100.0/24, used last from 203.0.113.0/24.",
		"! user3@example.org, session user3@example.org/4: presented", "! 1 bound refresh token came without its key.",
		"! user7@example.org, session user7@example.org/4: presented from 198.51.100.0/24, used last from 203.0.113.0/24.", "! 198.51.100.66 tried 60 accounts and then logged in once, last as user31@example.org (session", "Only the log itself",
		"grace@example.org was tried from 25", "Clients failed 22", "1 login came from a device", "1 signing key was revoked")
}

func checkChanges(t *testing.T, name string, l List[Change], want ...audit.Action) {
	t.Helper()
	var got []audit.Action
	for _, c := range l.Rows {
		got = append(got, c.Action)
	}
	if !slices.Equal(got, want) || l.Total != int64(len(want)) {
		t.Errorf("%s: %q, want %q", name, got, want)
	}
}

// checkFindings expects these beginnings, ! for an alarm, and no other.
func checkFindings(t *testing.T, r *Report, want ...string) {
	t.Helper()
	var got []string
	for _, f := range r.Findings {
		text := f.Text
		if f.Alarm {
			text = "! " + text
		}
		got = append(got, text)
	}
	if len(got) != len(want) {
		t.Errorf("findings %q, want %q", got, want)
		return
	}
	for i := range want {
		if !strings.HasPrefix(got[i], want[i]) {
			t.Errorf("finding %q, want %q", got[i], want[i])
		}
	}
}

// TestQuietLogRaisesNoAlarm reads a day on which people mistype and log in.
func TestQuietLogRaisesNoAlarm(t *testing.T) {
	s := audittest.NewScribe(t)
	s.QuietDay()
	s.Close()
	r := reportOf(t, s)
	checkFindings(t, r, "Only the log itself")
	if r.Sources.Rows == nil || r.Totals.Failed == 0 {
		t.Error("nobody mistyped")
	}
}

func TestPeriod(t *testing.T) {
	s := audittest.NewScribe(t)
	for range 10 {
		s.Login("ada@example.org", "192.0.2.1", audittest.Phone)
	}
	s.Close()
	b := NewBuilder(audittest.Dawn.Add(2*time.Second), audittest.Dawn.Add(5*time.Second))
	if err := verify.Lines([]string{s.Path}, func(line []byte) error { b.Add(line); return nil }); err != nil {
		t.Fatal(err)
	}
	b.Add([]byte("nonsense"))
	r := b.Report()
	if r.Events != 3 || r.Outside != 7 || r.Unread != 1 || r.Totals.Logins != 3 {
		t.Errorf("%d events, %d outside, %d unread", r.Events, r.Outside, r.Unread)
	}
	if !r.First.Equal(audittest.Dawn.Add(2*time.Second)) || !r.Last.Equal(audittest.Dawn.Add(4*time.Second)) {
		t.Errorf("from %v to %v", r.First, r.Last)
	}
	r = NewBuilder(time.Time{}, time.Time{}).Report()
	r.Conclude()
	if page := pageOf(t, r); !strings.Contains(page, "There is no event") || !strings.Contains(page, "was not checked") {
		t.Error("an empty report does not say so")
	}
}

func TestClockSetBackAndEndsAreSeen(t *testing.T) {
	s := audittest.NewScribe(t)
	s.Write("", "", audit.Event{Action: audit.ServerStarted, Outcome: audit.Success})
	s.Login("ada@example.org", "192.0.2.1", audittest.Phone)
	s.Now = s.Now.Add(-time.Hour)
	s.Login("ada@example.org", "192.0.2.1", audittest.Phone)
	s.Close()
	r := reportOf(t, s)
	if row := r.Servers.Rows[0]; row.Back != 1 || row.Stopped {
		t.Errorf("%+v", row)
	}
	checkFindings(t, r, "Only the log itself", "The clock of")
}
