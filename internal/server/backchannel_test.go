package server_test

import (
	"context"
	"encoding/json"
	"net/http"
	"net/http/httptest"
	"net/netip"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/go-jose/go-jose/v4"

	"github.com/keyturn/keyturn/internal/audit"
	"github.com/keyturn/keyturn/internal/clients"
	"github.com/keyturn/keyturn/internal/outbox"
	"github.com/keyturn/keyturn/oauth"
	"github.com/keyturn/keyturn/users"
)

// receiver is an application that is told of the ends of its sessions.
type receiver struct {
	*httptest.Server
	got chan *http.Request
	// answers takes the place of 200.
	answers http.HandlerFunc
}

func newReceiver(t *testing.T) *receiver {
	r := &receiver{got: make(chan *http.Request, 100)}
	r.Server = httptest.NewServer(http.HandlerFunc(func(rw http.ResponseWriter, q *http.Request) {
		if err := q.ParseForm(); err != nil {
			t.Errorf("the form: %v", err)
		}
		r.got <- q
		if r.answers != nil {
			r.answers(rw, q)
		}
	}))
	t.Cleanup(r.Close)
	return r
}

// logoutSays is what a logout token says.
type logoutSays struct {
	Iss, Sub, Aud, Jti, Sid string
	Iat, Exp                int64
	Nonce                   *string
	Events                  map[string]json.RawMessage
}

// told waits for the next request and returns what its token says, which the published
// keys verify.
func (w *world) told(r *receiver) logoutSays {
	w.t.Helper()
	var q *http.Request
	select {
	case q = <-r.got:
	case <-time.After(time.Minute):
		w.t.Fatal("nothing was told")
	}
	token := q.PostForm.Get("logout_token")
	if q.Method != "POST" || len(q.PostForm) != 1 || q.Header.Get("Content-Type") != "application/x-www-form-urlencoded" {
		w.t.Errorf("%s %v %v", q.Method, q.Header, q.PostForm)
	}
	signed, err := jose.ParseSignedCompact(token, []jose.SignatureAlgorithm{jose.ES256})
	must(w.t, err)
	if typ := signed.Signatures[0].Protected.ExtraHeaders["typ"]; typ != "logout+jwt" {
		w.t.Errorf("typ %v", typ)
	}
	var set jose.JSONWebKeySet
	must(w.t, json.Unmarshal(w.serve(httptest.NewRequest("GET", "/.well-known/jwks.json", nil)).Body.Bytes(), &set))
	payload, err := signed.Verify(set.Key(signed.Signatures[0].Protected.KeyID)[0])
	must(w.t, err)
	var says logoutSays
	must(w.t, json.Unmarshal(payload, &says))
	if rec := w.sendJSON("GET", "/oauth/userinfo", token, nil); rec.Code != 401 {
		w.t.Errorf("as an access token it is answered %d", rec.Code)
	}
	return says
}

// endings is one replica's way to tell clients, at addresses of this machine.
func (w *world) endings() *oauth.Backchannel {
	b := &oauth.Backchannel{
		Store: w.store, Clients: w.store, Sender: clients.NewLogoutSender([]netip.Prefix{netip.MustParsePrefix("127.0.0.0/8")}), Ring: w.keeper.Ring(),
		Audit: w.audit, Issuer: issuer, Now: time.Now,
		Box: &outbox.Box{Store: w.store, Now: time.Now, OnError: func(err error) { w.t.Errorf("outbox: %v", err) }},
	}
	b.Box.Kinds = map[string]outbox.Kind{oauth.LogoutKind: b.Kind()}
	return b
}

// telling runs replicas until the function that it returns is called.
func (w *world) telling(replicas ...*oauth.Backchannel) (stop func()) {
	ctx, cancel := context.WithCancel(context.Background())
	var all sync.WaitGroup
	for _, b := range replicas {
		all.Go(func() { b.Box.Run(ctx) })
		all.Go(func() {
			for ctx.Err() == nil {
				if _, err := b.Queue(ctx); err != nil && ctx.Err() == nil {
					w.t.Errorf("queue: %v", err)
				}
				select {
				case <-time.After(10 * time.Millisecond):
				case <-ctx.Done():
				}
			}
		})
	}
	return func() {
		cancel()
		all.Wait()
	}
}

// left waits until no more than n messages are in the outbox, and each was tried.
func (w *world) left(n int) []outbox.Message {
	w.t.Helper()
	for until := time.Now().Add(time.Minute); ; time.Sleep(10 * time.Millisecond) {
		found, err := w.store.Messages(w.t.Context(), "", 100)
		must(w.t, err)
		if len(found) <= n && !slices.ContainsFunc(found, func(m outbox.Message) bool { return m.Tries == 0 }) {
			return found
		}
		if time.Now().After(until) {
			w.t.Fatalf("%d are left: %+v", len(found), found)
		}
	}
}

// TestEveryEndReachesTheApplication ends sessions in every way that there is.
func TestEveryEndReachesTheApplication(t *testing.T) {
	onBothStores(t, func(t *testing.T, w *world) {
		r := newReceiver(t)
		ctx := t.Context()
		w.change("shop", func(c *clients.Client) { c.BackchannelLogoutURI = r.URL + "/ended?from=keyturn" })
		stop := w.telling(w.endings())
		defer stop()
		registry := &clients.Registry{Store: w.store, Audit: w.audit, AccessTTL: time.Hour, Now: time.Now}
		json := func(method, path string, body any) func(tokens) {
			return func(h tokens) { w.sendJSON(method, path, h.Access, body) }
		}
		const next = "another long sentence"
		for _, way := range []struct {
			name string
			end  func(h tokens)
		}{
			{"log-out", json("POST", "/auth/logout", nil)},
			{"by its user", func(h tokens) { w.sendJSON("DELETE", "/auth/sessions/"+sessionOf(t, h.Access), w.login().Access, nil) }},
			{"with all others", func(tokens) { w.sendJSON("DELETE", "/auth/sessions", w.login().Access, nil) }},
			{"revocation", func(h tokens) { w.post("/oauth/revoke", values{"token": {h.Refresh}}) }},
			{"theft", func(h tokens) {
				second := read[tokens](t, w.post("/oauth/token", values{"grant_type": {"refresh_token"}, "refresh_token": {h.Refresh}}), 200)
				read[tokens](t, w.post("/oauth/token", values{"grant_type": {"refresh_token"}, "refresh_token": {second.Refresh}}), 200)
				w.post("/oauth/token", values{"grant_type": {"refresh_token"}, "refresh_token": {h.Refresh}})
			}},
			{"by an operator", func(h tokens) { _, err := w.users.EndSession(ctx, w.uid, sessionOf(t, h.Access)); must(t, err) }},
			{"with all of its account", func(tokens) { _, err := w.users.EndSessions(ctx, w.uid, ""); must(t, err) }},
			{"with all of its client", func(tokens) { _, err := registry.EndSessions(ctx, "shop"); must(t, err) }},
			{"a changed password", func(tokens) {
				w.sendJSON("POST", "/auth/password", w.login().Access, map[string]string{"current_password": password, "new_password": next})
				must(t, w.users.ResetPassword(ctx, w.uid, password))
			}},
			{"a disabled account", func(tokens) { must(t, w.users.Disable(ctx, w.uid)); must(t, w.users.Enable(ctx, w.uid)) }},
			{"a disabled client", func(tokens) {
				_, err := registry.Disable(ctx, "shop")
				must(t, err)
				w.change("shop", func(c *clients.Client) { c.Disabled = false })
			}},
			{"a deleted account", func(tokens) {
				must(t, w.users.Delete(ctx, w.uid))
				u, err := w.users.Add(ctx, users.NewUser{Email: email, Password: password})
				must(t, err)
				w.uid = u.UID
			}},
		} {
			held, uid, before := w.login(), w.uid, time.Now().Unix()
			way.end(held)
			// Others may have ended with it.
			says := w.told(r)
			for says.Sid != sessionOf(t, held.Access) {
				says = w.told(r)
			}
			if says.Iss != issuer || says.Sub != uid || says.Aud != "shop" || says.Jti == "" || says.Nonce != nil || len(says.Events) != 1 ||
				string(says.Events["http://schemas.openid.net/event/backchannel-logout"]) != "{}" || says.Iat < before || says.Exp != says.Iat+120 {
				t.Errorf("%s: %+v", way.name, says)
			}
		}
		b := w.loggedIn()
		held := b.redeemed(nil)
		if rec := b.leave(leaving(held.ID, nil)); !led(rec) {
			t.Errorf("log-out at the page: %d", rec.Code)
		}
		says := w.told(r)
		for says.Sid != sessionOf(t, held.Access) {
			says = w.told(r)
		}
		if id := w.idToken(held.ID); id["sid"] != says.Sid || id["sub"] != says.Sub {
			t.Errorf("the ID token says %v, the logout token %+v", id, says)
		}
	})
}

// TestAnEndIsToldAfterACrash ends a session, bulkwise and alone, while nobody tells, as a
// process does that is killed in between, and has two replicas tell at once then.
func TestAnEndIsToldAfterACrash(t *testing.T) {
	w := newWorld(t)
	r := newReceiver(t)
	w.change("shop", func(c *clients.Client) { c.BackchannelLogoutURI = r.URL })
	var want, got []string
	for range 30 {
		want = append(want, sessionOf(t, w.login().Access))
	}
	quiet := w.post("/oauth/token", values{"grant_type": {"password"}, "username": {email}, "password": {password}, "client_id": {"page"}})
	read[tokens](t, quiet, 200)
	must(t, w.users.Disable(t.Context(), w.uid))
	stop := w.telling(w.endings(), w.endings())
	for range want {
		got = append(got, w.told(r).Sid)
	}
	w.left(0)
	stop()
	slices.Sort(want)
	slices.Sort(got)
	if !slices.Equal(got, want) || len(r.got) != 0 {
		t.Errorf("told of %d, and %d more; want %d once each", len(got), len(r.got), len(want))
	}
}

// TestWhoCannotBeToldIsNotWaitedFor has applications hang, refuse, lead elsewhere, and
// one be gone, beside one that listens.
func TestWhoCannotBeToldIsNotWaitedFor(t *testing.T) {
	w := newWorld(t)
	works, elsewhere, closed := newReceiver(t), newReceiver(t), newReceiver(t)
	closed.Close()
	registry := &clients.Registry{Store: w.store, Audit: w.audit, AccessTTL: time.Hour, Now: time.Now}
	others := map[string]*receiver{"refuses": newReceiver(t), "leads elsewhere": newReceiver(t), "fails": newReceiver(t), "hangs": newReceiver(t), "is closed": closed, "gone": newReceiver(t)}
	others["refuses"].answers = func(rw http.ResponseWriter, _ *http.Request) { rw.WriteHeader(400) }
	others["fails"].answers = func(rw http.ResponseWriter, _ *http.Request) { rw.WriteHeader(500) }
	others["leads elsewhere"].answers = func(rw http.ResponseWriter, q *http.Request) {
		http.Redirect(rw, q, elsewhere.URL, http.StatusTemporaryRedirect)
	}
	others["hangs"].answers = func(_ http.ResponseWriter, q *http.Request) { <-q.Context().Done() }
	others["gone"].answers = func(rw http.ResponseWriter, _ *http.Request) { rw.WriteHeader(410) }
	for name, r := range others {
		id := strings.ReplaceAll(name, " ", "-")
		_, _, err := registry.Add(t.Context(), clients.Client{ID: id, Public: true, Grants: []string{"password", "refresh_token"}, BackchannelLogoutURI: r.URL})
		must(t, err)
		read[tokens](t, w.post("/oauth/token", values{"grant_type": {"password"}, "username": {email}, "password": {password}, "client_id": {id}}), 200)
	}
	w.change("shop", func(c *clients.Client) { c.BackchannelLogoutURI = works.URL })
	w.login()
	_, err := w.users.EndSessions(t.Context(), w.uid, "")
	must(t, err)
	w.journal.take()
	stop := w.telling(w.endings())
	w.told(works)
	for _, name := range []string{"refuses", "fails", "leads elsewhere", "hangs", "gone"} {
		w.told(others[name])
	}
	w.login()
	_, err = w.users.EndSessions(t.Context(), w.uid, "")
	must(t, err)
	w.told(works) // while another hangs
	left := w.left(len(others) - 1)
	stop()
	if len(left) != len(others)-1 || slices.ContainsFunc(left, func(m outbox.Message) bool { return m.To == "client gone" || m.To == "client shop" }) {
		t.Errorf("left to be tried again: %+v", left)
	}
	if len(elsewhere.got) != 0 {
		t.Error("a redirect was followed")
	}
	given := slices.DeleteFunc(w.journal.take(), func(e audit.Event) bool { return e.Action != audit.LogoutUndelivered })
	if len(given) != 1 || given[0].ClientID != "gone" || given[0].UserID != w.uid || given[0].SessionID == "" || !strings.Contains(given[0].Detail, "410") {
		t.Errorf("given up: %+v", given)
	}
}

// TestAnApplicationIsToldWhereItIsRegisteredNow changes the address and takes it away
// after the session ended, and registers one whose address is not public.
func TestAnApplicationIsToldWhereItIsRegisteredNow(t *testing.T) {
	w := newWorld(t)
	former, now := newReceiver(t), newReceiver(t)
	w.change("shop", func(c *clients.Client) { c.BackchannelLogoutURI = former.URL })
	w.login()
	read[tokens](t, w.post("/oauth/token", values{"grant_type": {"password"}, "username": {email}, "password": {password}, "client_id": {"page"}}), 200)
	_, err := w.users.EndSessions(t.Context(), w.uid, "")
	must(t, err)
	w.change("shop", func(c *clients.Client) { c.BackchannelLogoutURI = now.URL })
	stop := w.telling(w.endings())
	w.told(now)
	w.left(0)
	stop()

	w.login()
	_, err = w.users.EndSessions(t.Context(), w.uid, "")
	must(t, err)
	guarded := w.endings()
	guarded.Sender = clients.NewLogoutSender(nil)
	_, err = guarded.Queue(t.Context())
	must(t, err)
	left, err := w.store.Messages(t.Context(), "", 10)
	if err != nil || len(left) != 1 {
		t.Fatalf("%d messages, %v", len(left), err)
	}
	if err := guarded.Kind().Send(t.Context(), &left[0]); err == nil || len(now.got) != 0 {
		t.Errorf("an address that is not public was asked: %v", err)
	}
	w.change("shop", func(c *clients.Client) { c.BackchannelLogoutURI = "" })
	if err := guarded.Kind().Send(t.Context(), &left[0]); err != nil || len(former.got)+len(now.got) != 0 {
		t.Errorf("who wants to be told no more: %v", err)
	}
}
