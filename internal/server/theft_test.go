package server_test

import (
	"net/http"
	"net/http/httptest"
	"net/url"
	"slices"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/keyturn/keyturn/internal/audit"
	"github.com/keyturn/keyturn/internal/store/mongodb"
	"github.com/keyturn/keyturn/internal/store/mongodb/mongotest"
	"github.com/keyturn/keyturn/internal/store/storetest"
	"github.com/keyturn/keyturn/oauth"
)

// party is somebody who presents tokens: from where, with what, as which client.
type party struct{ ip, agent, client, secret string }

const (
	victimIP, thiefIP       = "198.51.100.7", "203.0.113.66"
	victimAgent, thiefAgent = "Shop/1.0 (iPhone)", "python-requests/2.32"
)

// refresh presents a token.
func (w *world) refresh(by party, token string, more ...string) *httptest.ResponseRecorder {
	form := url.Values{"grant_type": {"refresh_token"}, "refresh_token": {token}}
	for i := 0; i < len(more); i += 2 {
		form.Add(more[i], more[i+1])
	}
	return w.ask(by, form)
}

// ask sends a form to the token endpoint from the party's place.
func (w *world) ask(by party, form url.Values) *httptest.ResponseRecorder {
	if by.secret == "" {
		form.Set("client_id", by.client)
	}
	r := httptest.NewRequest("POST", "/oauth/token", strings.NewReader(form.Encode()))
	r.Header.Set("Content-Type", "application/x-www-form-urlencoded")
	r.Header.Set("X-Forwarded-For", by.ip)
	r.Header.Set("User-Agent", by.agent)
	if by.secret != "" {
		r.SetBasicAuth(by.client, by.secret)
	}
	return w.serve(r)
}

// theft is one way to misuse a token. The victim has logged in and refreshed
// twice: tokens[0] and [1] are spent, [2] is live.
type theft struct {
	name string
	// present is what is sent, by the thief unless it says otherwise.
	present func(w faultyWorld, victim, thief party, held []string) *httptest.ResponseRecorder
	code    string
	reason  string
	// ends says that the session must be over; generations are those in the
	// event, presented and live.
	ends        bool
	generations [2]int64
}

func thefts() []theft {
	plain := func(n int, more ...string) func(faultyWorld, party, party, []string) *httptest.ResponseRecorder {
		return func(w faultyWorld, _, thief party, held []string) *httptest.ResponseRecorder {
			return w.refresh(thief, held[n], more...)
		}
	}
	as := func(client string, n int) func(faultyWorld, party, party, []string) *httptest.ResponseRecorder {
		return func(w faultyWorld, _, thief party, held []string) *httptest.ResponseRecorder {
			thief.client, thief.secret = client, ""
			return w.refresh(thief, held[n])
		}
	}
	late := func(n int) func(faultyWorld, party, party, []string) *httptest.ResponseRecorder {
		return func(w faultyWorld, _, thief party, held []string) *httptest.ResponseRecorder {
			elapse(31 * time.Second)
			return w.refresh(thief, held[n])
		}
	}
	return []theft{
		{"spent, its successor used", plain(0), "invalid_grant", "reused_token", true, [2]int64{0, 2}},
		{"spent, after the window", late(1), "invalid_grant", "reused_token", true, [2]int64{1, 2}},
		{"spent, wider scope", plain(0, "scope", "openid admin"), "invalid_grant", "reused_token", true, [2]int64{0, 2}},
		{"spent, another audience", plain(0, "resource", "https://other.example"), "invalid_grant", "reused_token", true, [2]int64{0, 2}},
		{"spent, from another client", as("page", 0), "invalid_grant", "foreign_client", true, [2]int64{0, 2}},
		{"live, from another client", as("page", 2), "invalid_grant", "foreign_client", true, [2]int64{2, 2}},
		{"live, from a client that there is not", as("nobody", 2), "invalid_client", "unknown_client", false, [2]int64{}},
		{"live, with a wrong secret", func(w faultyWorld, _, thief party, held []string) *httptest.ResponseRecorder {
			thief.secret = "kt_cs_wrong"
			return w.refresh(thief, held[2])
		}, "invalid_client", "wrong_client_secret", false, [2]int64{}},
		{"live, wider scope", plain(2, "scope", "openid admin"), "invalid_scope", "scope_not_allowed", false, [2]int64{}},
		{"live, another audience", plain(2, "resource", "https://other.example"), "invalid_target", "resource_not_allowed", false, [2]int64{}},
		{"of another deployment", func(w faultyWorld, _, thief party, _ []string) *httptest.ResponseRecorder {
			return w.refresh(thief, newWorld(w.t).login().Refresh)
		}, "invalid_grant", "forged_token", false, [2]int64{}},
		{"tampered with", func(w faultyWorld, _, thief party, held []string) *httptest.ResponseRecorder {
			return w.refresh(thief, held[2][:20]+"AAAA"+held[2][24:])
		}, "invalid_grant", "malformed_token", false, [2]int64{}},
		{"an access token", func(w faultyWorld, _, thief party, _ []string) *httptest.ResponseRecorder {
			return w.refresh(thief, w.login().Access)
		}, "invalid_grant", "malformed_token", false, [2]int64{}},
		{"of a session that is gone", func(w faultyWorld, _, thief party, held []string) *httptest.ResponseRecorder {
			_, err := w.store.Sweep(w.t.Context(), time.Now().Add(1000*time.Hour), 100)
			must(w.t, err)
			return w.refresh(thief, held[2])
		}, "invalid_grant", "unknown_session", true, [2]int64{}},
	}
}

// run plays one theft and looks at the answer, the event, and what is left of
// the session.
func (c theft) run(t *testing.T, w faultyWorld) {
	t.Helper()
	victim := party{victimIP, victimAgent, "shop", w.secret}
	thief := party{thiefIP, thiefAgent, "shop", w.secret}
	got := read[tokens](t, w.ask(victim, url.Values{"grant_type": {"password"}, "username": {email}, "password": {password}}), 200)
	held := []string{got.Refresh}
	for range 2 {
		got = read[tokens](t, w.refresh(victim, got.Refresh), 200)
		held = append(held, got.Refresh)
	}
	stood, err := w.store.FamiliesOfUser(t.Context(), w.uid, time.Now(), 1)
	must(t, err)
	rec := c.present(w, victim, thief, held)
	events := w.journal.take()
	answer := read[struct {
		Error string `json:"error"`
	}](t, rec, rec.Code)
	if rec.Code/100 != 4 || answer.Error != c.code {
		t.Errorf("answered with %d %s; want %s", rec.Code, rec.Body, c.code)
	}
	c.checkEvent(t, events[len(events)-1], stood[0])
	c.checkLeft(t, w, stood[0], victim, got)
}

func (c theft) checkEvent(t *testing.T, e audit.Event, stood oauth.Family) {
	t.Helper()
	want := audit.TokenRefused
	if c.ends && c.generations != [2]int64{} {
		want = audit.TokenReuse
	}
	if e.Action != want || e.Reason.String() != c.reason || e.Outcome == audit.Success {
		t.Errorf("event %s, %q; want %s, %q", e.Action, e.Reason, want, c.reason)
	}
	if want != audit.TokenReuse {
		return
	}
	// The other side: where the successor was used last.
	previous := audit.Use{At: stood.RotatedAt, IP: victimIP, UserAgent: victimAgent}
	if e.Presented != c.generations[0] || e.Generation != c.generations[1] || e.Previous != previous || e.SessionID != stood.ID {
		t.Errorf("event %+v; want generations %v and the last use %+v", e, c.generations, previous)
	}
}

// checkLeft presents the victim's own token and looks at the access token.
func (c theft) checkLeft(t *testing.T, w faultyWorld, stood oauth.Family, victim party, got tokens) {
	t.Helper()
	active := read[struct{ Active bool }](t, w.post("/oauth/introspect", url.Values{"token": {got.Access}}), 200).Active
	if active == c.ends {
		t.Errorf("the access token is alive: %v", active)
	}
	if f, err := w.store.FamilyByID(t.Context(), stood.ID); err == nil && (c.ends != !f.RevokedAt.IsZero() || c.ends && f.RevokeReason != c.reason) {
		t.Errorf("the family: ended %v, %q", f.RevokedAt, f.RevokeReason)
	}
	rec := w.refresh(victim, got.Refresh)
	if alive := rec.Code == http.StatusOK; alive == c.ends {
		t.Errorf("the victim's token: %d %s", rec.Code, rec.Body)
	}
}

// TestF3_TheftMatrix plays every misuse that RFC 9700 §4.14 and ASVS 5.0 10.4.5
// are about, over SQLite.
func TestF3_TheftMatrix(t *testing.T) {
	for _, c := range thefts() {
		t.Run(c.name, func(t *testing.T) {
			t.Parallel()
			synctest.Test(t, func(t *testing.T) { c.run(t, newFaultyWorld(t)) })
		})
	}
}

// TestF3_TheftMatrixMongoDB does so over MongoDB, but for what needs time to pass.
func TestF3_TheftMatrixMongoDB(t *testing.T) {
	st, err := mongodb.Open(t.Context(), mongotest.URI(t), mongodb.Options{AcceptRisk: true})
	must(t, err)
	t.Cleanup(func() { must(t, st.Close()) })
	w := faultyWorldOn(t, storetest.NewFaulty(st))
	for _, c := range thefts() {
		if c.name == "spent, after the window" {
			continue
		}
		t.Run(c.name, func(t *testing.T) { c.run(t, w) })
	}
}

// TestF4_AForgedTokenIsTurnedAwayUnread looks at what the store is asked for a
// token that was not made here: never a session.
func TestF4_AForgedTokenIsTurnedAwayUnread(t *testing.T) {
	w, other := newFaultyWorld(t), newWorld(t)
	stranger := other.login().Refresh
	w.faulty.Inject(nil)
	if code, _ := refreshWith(w.world, stranger); code != http.StatusBadRequest {
		t.Errorf("status %d; want 400", code)
	}
	if asked := w.faulty.Asked(); !slices.Equal(asked, []string{"ClientByID"}) {
		t.Errorf("the store was asked for %v", asked)
	}
}

// TestF3_TheFirstPartyRoutesEndNobodysSession: who sends another client's token there
// has mistaken the address.
func TestF3_TheFirstPartyRoutesEndNobodysSession(t *testing.T) {
	w := newWorld(t)
	theirs := byPage(w)
	if rec := w.sendJSON("POST", "/auth/refresh", "", map[string]string{"refresh_token": theirs.Refresh}); rec.Code != 403 {
		t.Errorf("%d %s", rec.Code, rec.Body)
	}
	if rec := w.refresh(party{client: "page"}, theirs.Refresh); rec.Code != 200 {
		t.Errorf("their session: %d %s", rec.Code, rec.Body)
	}
}
