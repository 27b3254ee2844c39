package server_test

import (
	"strings"
	"testing"
	"time"

	"github.com/keyturn/keyturn/internal/store"
	"github.com/keyturn/keyturn/internal/store/mongodb"
	"github.com/keyturn/keyturn/internal/store/mongodb/mongotest"
	"github.com/keyturn/keyturn/internal/store/storetest"
)

// TestF6_F7_SessionsThatDoNotEndAreNotSaidToHave changes a password, redeems a
// one-time token and ends sessions while the store refuses to end any: each answer
// says that it stands and what is left, and not to send it again. The next that
// settles decisions ends them; it does not wait for who gave up. One write that
// fails is made up for at once.
func TestF6_F7_SessionsThatDoNotEndAreNotSaidToHave(t *testing.T) {
	t.Parallel()
	stores := map[string]func(t *testing.T) store.Store{
		"SQLite": func(t *testing.T) store.Store { return openSQLite(t) },
		"MongoDB": func(t *testing.T) store.Store {
			st, err := mongodb.Open(t.Context(), mongotest.URI(t), mongodb.Options{AcceptRisk: true})
			must(t, err)
			t.Cleanup(func() { must(t, st.Close()) })
			return st
		},
	}
	const next = "another long sentence"
	asks := map[string]struct {
		send func(w faultyWorld, held tokens) (status int, body, retry string)
		says string
	}{
		"password": {func(w faultyWorld, held tokens) (int, string, string) {
			rec := w.sendJSON("POST", "/auth/password", held.Access, map[string]string{"current_password": password, "new_password": next})
			return rec.Code, rec.Body.String(), rec.Header().Get("Retry-After")
		}, "The password is changed, and only the new one counts; your other sessions are still being ended."},
		"reset": {func(w faultyWorld, _ tokens) (int, string, string) {
			token, _, err := w.users.IssueReset(t.Context(), w.uid, time.Hour, false)
			must(t, err)
			rec := w.sendJSON("POST", "/auth/reset", "", map[string]string{"token": token, "new_password": next})
			return rec.Code, rec.Body.String(), rec.Header().Get("Retry-After")
		}, "The password is changed, and only the new one counts; the sessions begun before are still being ended."},
		"end others": {func(w faultyWorld, held tokens) (int, string, string) {
			rec := w.sendJSON("DELETE", "/auth/sessions", held.Access, nil)
			return rec.Code, rec.Body.String(), rec.Header().Get("Retry-After")
		}, "It is decided and stands;"},
	}
	for on, open := range stores {
		for name, ask := range asks {
			t.Run(on+"/"+name, func(t *testing.T) {
				t.Parallel()
				w := faultyWorldOn(t, storetest.NewFaulty(open(t)))
				refreshed := func(held tokens) tokens {
					rec := w.post("/oauth/token", values{"grant_type": {"refresh_token"}, "refresh_token": {held.Refresh}})
					if rec.Code != 200 {
						return tokens{}
					}
					return read[tokens](t, rec, 200)
				}
				held, other := w.login(), w.login()
				refuse := func(times int) {
					w.faulty.Inject(func(method string) storetest.Fault {
						if method != "RevokeFamiliesOfUser" || times == 0 {
							return storetest.None
						}
						times--
						return storetest.Fails
					})
				}
				refuse(-1)
				status, body, retry := ask.send(w, held)
				if status != 503 || !strings.Contains(body, ask.says) || !strings.Contains(body, "#still-being-carried-out") || retry != "" {
					t.Errorf("answered %d, Retry-After %q: %s", status, retry, body)
				}
				if other = refreshed(other); other.Refresh == "" {
					t.Error("the other session has ended: the test shows nothing")
				}
				refuse(0)
				if n, err := w.users.SettleDecisions(t.Context()); n != 1 || err != nil {
					t.Errorf("settled %d, %v", n, err)
				}
				if refreshed(other).Refresh != "" {
					t.Error("the other session lives on")
				}
				w.journal.take()

				must(t, w.users.ResetPassword(t.Context(), w.uid, password))
				held, other = w.login(), w.login()
				refuse(1)
				if status, body, _ := ask.send(w, held); status != 200 {
					t.Errorf("after one write that failed: answered %d: %s", status, body)
				}
				if refreshed(other).Refresh != "" {
					t.Error("after one write that failed the other session lives on")
				}
			})
		}
	}
}
