package report

import (
	"fmt"
	"testing"
	"time"

	"github.com/keyturn/keyturn/internal/audit"
	"github.com/keyturn/keyturn/internal/audit/audittest"
)

// TestABreakInOverTwoReplicas reads the logs of two replicas: guesses on the one,
// and the login that they led to on the other, whose log begins earlier.
func TestABreakInOverTwoReplicas(t *testing.T) {
	one, other := audittest.NewScribe(t), audittest.NewScribe(t)
	other.Login("grace@example.org", "203.0.113.9", audittest.Desktop)
	other.Login("ada@example.org", "203.0.113.1", audittest.Phone)
	for one.Now = one.Now.Add(time.Hour); one.Now.Before(audittest.Dawn.Add(time.Hour + 30*time.Second)); {
		one.Refuse("ada@example.org", "192.0.2.1", "curl/8.5.0", audit.ReasonWrongPassword)
	}
	other.Now = one.Now.Add(-time.Second)
	other.Login("ada@example.org", "192.0.2.1", "curl/8.5.0")
	other.Now = audittest.Dawn.Add(2 * time.Hour)
	other.Login("ada@example.org", "198.51.100.7", audittest.Desktop)
	one.Now = audittest.Dawn.Add(90 * time.Minute)
	one.Login("ada@example.org", "198.51.100.7", audittest.Desktop)
	one.Close()
	other.Close()
	for _, files := range [][]string{{one.Path, other.Path}, {other.Path, one.Path}} {
		r := reportOfFiles(t, files...)
		s, a := r.Sources.Rows[0], r.Accounts.Rows[0]
		if s.Failed != 30 || s.Logins != 1 || a.Logins != 3 {
			t.Errorf("the source is %+v, the account %+v", s, a)
		}
		checkFindings(t, r, "! 192.0.2.1 failed 30 times and then logged in once, last as ada@example.org (session ada@example.org/2, network 192.0.2.0/24).", "Only the log itself", "2 logins came from a device")
		if d := r.Devices.Rows; len(d) != 2 || !d[1].At.Equal(audittest.Dawn.Add(90*time.Minute)) {
			t.Errorf("the new devices are %+v", d)
		}
	}
}

// TestALoginBeforeTheGuessesIsNoBreakIn reads the logs of two replicas, the later
// one first: somebody logged in on the one, and an hour later their address began
// to guess on the other.
func TestALoginBeforeTheGuessesIsNoBreakIn(t *testing.T) {
	b := NewBuilder(time.Time{}, time.Time{})
	add := func(at time.Time, action, outcome string) {
		b.Add(fmt.Appendf(nil, `{"@timestamp":%q,"event":{"action":%q,"outcome":%q,"reason":"wrong_password"},"keyturn":{"grant_type":"password"},`+
			`"user":{"email":"ada@example.org"},"source":{"ip":"192.0.2.1"}}`, at.Format(time.RFC3339), action, outcome))
	}
	dawn := audittest.Dawn
	for n := range 30 {
		add(dawn.Add(time.Hour+time.Duration(n)*time.Second), "token-refused", "failure")
	}
	add(dawn, "token-issued", "success")
	add(dawn.Add(time.Hour-time.Second), "token-refused", "failure")
	r := b.Report()
	r.Conclude()
	s, a := r.Sources.Rows[0], r.Accounts.Rows[0]
	if s.Failed != 31 || s.Logins != 0 || a.Logins != 0 {
		t.Errorf("the source is %+v, the account %+v", s, a)
	}
	if want := dawn.Add(time.Hour - time.Second); !s.First.Equal(want) || !s.Last.Equal(dawn.Add(time.Hour+29*time.Second)) {
		t.Errorf("from %s to %s", s.First, s.Last)
	}
	for _, f := range r.Findings {
		if f.Alarm {
			t.Errorf("an alarm: %s", f.Text)
		}
	}
	add(dawn.Add(2*time.Hour), "token-issued", "success")
	if r := b.Report(); r.Sources.Rows[0].Logins != 1 {
		t.Error("a login after the guesses is not counted")
	}
}
