package auditreport

import (
	"fmt"
	"testing"
	"time"

	"github.com/keyturn/keyturn/internal/audit/audittest"
)

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
