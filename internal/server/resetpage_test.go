package server_test

import (
	"net/url"
	"strings"
	"testing"
	"time"
)

// TestAResetPageTellsWhatCanBeNoToken at once, and asks the store nothing. Without mail it
// speaks of no letter.
func TestAResetPageTellsWhatCanBeNoToken(t *testing.T) {
	for mailed, says := range map[bool]string{true: "Have another letter sent", false: "Ask whoever gave it to you"} {
		w := newFaultyWorld(t)
		if mailed {
			w.mailed()
		}
		b := w.browser()
		token, _, err := w.users.IssueReset(t.Context(), w.uid, time.Hour, false)
		must(t, err)
		w.faulty.Inject(nil)
		for _, bad := range []string{"", "x", token[:len(token)-1], token + "AAAA", token + "\n", token + "\x00", strings.Repeat("a", 9000), "kt_pr_" + strings.Repeat("A", 4<<10)} {
			rec := b.get("/account/reset?token=" + url.QueryEscape(bad))
			if body := rec.Body.String(); rec.Code != 403 || !strings.Contains(body, says) || strings.Contains(body, "new_password") {
				t.Errorf("mail %v: %d for %.20q", mailed, rec.Code, bad)
			}
		}
		if asked := w.faulty.Asked(); len(asked) != 0 {
			t.Errorf("the store is asked %v", asked)
		}
		action, form := formOn(t, b.get("/account/reset?token="+token))
		form.Set("new_password", long)
		if rec := b.post(action, form); rec.Code != 200 {
			t.Errorf("mail %v: %d", mailed, rec.Code)
		}
		if rec := b.post(action, form); rec.Code != 403 || !strings.Contains(rec.Body.String(), says) || strings.Contains(rec.Body.String(), "new_password") {
			t.Errorf("mail %v, used: %d %s", mailed, rec.Code, rec.Body)
		}
	}
}
