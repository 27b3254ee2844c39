package server_test

import (
	"context"
	"encoding/json"
	"io"
	"net/http/httptest"
	"strings"
	"testing/iotest"
	"time"

	"github.com/google/uuid"

	"github.com/keyturn/keyturn/internal/audit"
	"github.com/keyturn/keyturn/internal/clients"
	"github.com/keyturn/keyturn/internal/store"
	"github.com/keyturn/keyturn/internal/store/storetest"
	"github.com/keyturn/keyturn/internal/throttle"
	"github.com/keyturn/keyturn/keys"
	"github.com/keyturn/keyturn/oauth"
	"github.com/keyturn/keyturn/users"
)

type sending = func(*world, tokens) *httptest.ResponseRecorder

// quietly does what a decision needs to have been done before, with a log that
// works, and forgets its events.
func (w *world) quietly(do func()) {
	broken := w.journal.broken
	w.journal.breakDown(false)
	w.journal.quiet = true
	do()
	w.journal.quiet = false
	w.journal.take()
	w.journal.breakDown(broken)
}

// after is a request after something was done.
func after(do func(w *world, t tokens), send sending) sending {
	return func(w *world, t tokens) *httptest.ResponseRecorder {
		w.quietly(func() { do(w, t) })
		return send(w, t)
	}
}

// failing is a request while a method of the store fails.
func failing(method string, send sending) sending {
	return func(w *world, t tokens) *httptest.ResponseRecorder {
		faulty := storetest.NewFaulty(w.store)
		w.store = faulty
		w.handler = w.build()
		faulty.Inject(func(asked string) storetest.Fault {
			if asked == method {
				return storetest.Fails
			}
			return storetest.None
		})
		return send(w, t)
	}
}

// hangingUp sends a request whose caller hangs up when the store is asked for
// something: nothing is decided, and that is no failure of the store's.
func hangingUp(method string, send sending) sending { return hangingUpAt(1, method, send) }

// hangingUpAt is hangingUp for the n-th time that it is asked for that.
func hangingUpAt(n int, method string, send sending) sending {
	return func(w *world, t tokens) *httptest.ResponseRecorder {
		faulty := storetest.NewFaulty(w.store)
		w.store = faulty
		w.handler = w.build()
		ctx, hangUp := context.WithCancel(w.t.Context())
		w.under = ctx
		faulty.Inject(func(asked string) storetest.Fault {
			if asked == method {
				if n--; n == 0 {
					hangUp()
				}
			}
			return storetest.None
		})
		return send(w, t)
	}
}

// raw sends a body with headers in pairs.
func raw(path string, body io.Reader, header ...string) sending {
	return func(w *world, _ tokens) *httptest.ResponseRecorder {
		r := httptest.NewRequest("POST", path, body)
		r.Header.Set("Content-Type", "application/x-www-form-urlencoded")
		for i := 0; i < len(header); i += 2 {
			r.Header.Add(header[i], header[i+1])
		}
		return w.serve(r)
	}
}

func formAs(path string, pairs ...string) sending {
	v := values{}
	for i := 0; i < len(pairs); i += 2 {
		v.Set(pairs[i], pairs[i+1])
	}
	return func(w *world, _ tokens) *httptest.ResponseRecorder { return w.postAs(path, v) }
}

// reading are refusals that every endpoint of OAuth makes before anything else.
func reading(path string, action audit.Action) []decided {
	text := func(s string) io.Reader { return strings.NewReader(s) }
	secret := func(send func(w *world) sending) sending {
		return func(w *world, t tokens) *httptest.ResponseRecorder { return send(w)(w, t) }
	}
	rows := []decided{
		{"JSON", raw(path, text("{}"), "Content-Type", "application/json"), 400, action, "no_client"},
		{"no form", func(w *world, _ tokens) *httptest.ResponseRecorder { return w.sendJSON("POST", path, "", claims{}) }, 400, action, "content_type"},
		{"gzip", raw(path, text(""), "Content-Encoding", "gzip"), 415, action, "content_encoding"},
		{"in the URL", raw(path+"?token=x", text("")), 400, action, "parameter_in_url"},
		{"too large", raw(path, text(strings.Repeat("x", 40<<10))), 413, action, "body_too_large"},
		{"broken off", raw(path, iotest.ErrReader(io.ErrUnexpectedEOF)), 400, action, "body_unreadable"},
		{"malformed", raw(path, text("a=%zz")), 400, action, "malformed_form"},
		{"repeated", raw(path, text("token=a&token=b")), 400, action, "repeated_parameter"},
		{"not text", raw(path, text("token=%ff")), 400, action, "malformed_parameter"},
		{"no client", formAs(path, "token", "x"), 401, action, "no_client"},
		{"client's name", formAs(path, "client_id", "caf\u00e9"), 401, action, "malformed_client_id"},
		{"no Basic", raw(path, text(""), "Authorization", "Basic *"), 401, action, "malformed_basic"},
		{"two headers", raw(path, text(""), "Authorization", "Basic eDp4", "Authorization", "Basic eDp4"), 400, action, "repeated_authorization"},
		{"two methods", raw(path, text("client_secret=x"), "Authorization", "Basic eDp4"), 400, action, "two_client_methods"},
		{"two clients", raw(path, text("client_id=y"), "Authorization", "Basic eDp4"), 400, action, "two_clients"},
		{"unknown client", formAs(path, "client_id", "nobody", "client_secret", "x"), 401, action, "unknown_client"},
		{"disabled client", secret(func(w *world) sending {
			w.disableClient("shop")
			return formAs(path, "client_id", "shop", "client_secret", w.secret)
		}), 401, action, "disabled_client"},
		{"wrong secret", formAs(path, "client_id", "shop", "client_secret", "x"), 401, action, "wrong_client_secret"},
		{"a public client's secret", formAs(path, "client_id", "page", "client_secret", "x"), 401, action, "secret_of_public_client"},
		{"hung up", hangingUp("ClientByID", form(path, values{"token": {"x"}, "grant_type": {"password"}})), 503, action, "hung_up"},
		{"no store", failing("ClientByID", form(path, values{"token": {"x"}, "grant_type": {"password"}})), 503, action, "store"},
	}
	for i := range rows {
		rows[i].name = path + ", " + rows[i].name
	}
	rows[0].reason = "content_type"
	return append(rows[1:], asserting(path, action)...)
}

// asserting are refusals of client assertions.
func asserting(path string, action audit.Action) []decided {
	now := time.Now().Unix()
	by := func(change func(claims) claims, more ...string) sending {
		return func(w *world, t tokens) *httptest.ResponseRecorder {
			s := newSigner(w.t, "k1")
			w.quietly(func() { w.addReports(s) })
			v := asserted(s.sign(w.t, change(assertion()), nil), more...)
			return w.postAs(path, v)
		}
	}
	with := func(name string, value any) sending { return by(func(c claims) claims { return c.with(name, value) }) }
	same := func(c claims) claims { return c }
	rows := []decided{
		{"no assertion", formAs(path, "client_assertion_type", assertionType), 400, action, "no_assertion"},
		{"assertion's type", by(same, "client_assertion_type", "saml"), 400, action, "assertion_type"},
		{"malformed assertion", with("sub", "another"), 401, action, "malformed_assertion"},
		{"assertion without keys", by(func(c claims) claims { return c.with("sub", "shop").with("iss", "shop") }), 401, action, "client_without_keys"},
		{"assertion's audience", with("aud", "https://evil.example"), 401, action, "assertion_audience"},
		{"assertion's jti", with("jti", nil), 401, action, "assertion_jti"},
		{"assertion's life", with("exp", now+36000), 401, action, "assertion_lifetime"},
		{"assertion expired", with("exp", now-3600), 401, action, "assertion_expired"},
		{"assertion early", with("nbf", now+3600), 401, action, "assertion_early"},
		{"assertion's key", func(w *world, t tokens) *httptest.ResponseRecorder {
			w.quietly(func() { w.addReports(newSigner(w.t, "k1")) })
			return w.postAs(path, asserted(newSigner(w.t, "k1").sign(w.t, assertion(), nil)))
		}, 401, action, "wrong_assertion_key"},
		{"assertion replayed", func(w *world, t tokens) *httptest.ResponseRecorder {
			s := newSigner(w.t, "k1")
			text := s.sign(w.t, assertion(), nil)
			w.quietly(func() {
				w.addReports(s)
				w.postAs("/oauth/token", asserted(text))
			})
			return w.postAs(path, asserted(text))
		}, 401, action, "assertion_replayed"},
		{"keys out of reach", func(w *world, t tokens) *httptest.ResponseRecorder {
			must(w.t, w.store.CreateClient(w.t.Context(), clients.Client{
				ID: "reports", Grants: []string{"client_credentials"}, JWKSURI: "https://127.0.0.1:1/keys", CreatedAt: time.Now(), UpdatedAt: time.Now(),
			}))
			return w.postAs(path, asserted(newSigner(w.t, "k1").sign(w.t, assertion(), nil)))
		}, 401, action, "client_keys_unavailable"},
	}
	for i := range rows {
		rows[i].name = path + ", " + rows[i].name
	}
	return rows
}

// token is an access token that this server's key signed, whatever it says.
func (w *world) token(c claims) string {
	text, err := json.Marshal(c)
	must(w.t, err)
	token, _, err := w.keeper.Ring().Sign("at+jwt", text)
	must(w.t, err)
	return token
}

// saying are the claims of a good token, of a client's own grant.
func saying() claims {
	return claims{
		"iss": issuer, "sub": "shop", "aud": issuer, "exp": time.Now().Add(time.Hour).Unix(), "iat": time.Now().Unix(),
		"jti": uuid.NewString(), "client_id": "shop",
	}
}

// dead are access tokens that do not count, by the reason.
func dead() map[string]func(w *world, t tokens) string {
	with := func(name string, value any) func(*world, tokens) string {
		return func(w *world, _ tokens) string { return w.token(saying().with(name, value)) }
	}
	return map[string]func(w *world, t tokens) string{
		"bad_token":      func(*world, tokens) string { return "x" },
		"foreign_issuer": with("iss", "https://other.example"),
		"expired_token":  with("exp", time.Now().Add(-time.Hour).Unix()),
		"future_token": func(w *world, _ tokens) string {
			return w.token(saying().with("iat", time.Now().Add(time.Minute).Unix()))
		},
		"unknown_session": with("sid", uuid.NewString()),
		"unknown_client":  with("client_id", "nobody"),
		"disabled_client": func(w *world, _ tokens) string {
			must(w.t, w.store.CreateClient(w.t.Context(), clients.Client{ID: "gone", Disabled: true, CreatedAt: time.Now(), UpdatedAt: time.Now()}))
			return w.token(saying().with("client_id", "gone"))
		},
		"revoked_token": func(w *world, t tokens) string {
			w.quietly(func() { w.post("/oauth/revoke", values{"token": {t.Access}}) })
			return t.Access
		},
		"ended_session": func(w *world, t tokens) string {
			w.quietly(func() { w.post("/oauth/revoke", values{"token": {t.Refresh}}) })
			return t.Access
		},
	}
}

// stale are refresh tokens that are over, by the reason that introspection has.
func stale() map[string]func(w *world, t tokens) string {
	return map[string]func(w *world, t tokens) string{
		"malformed_token": func(*world, tokens) string { return "kt_rt_x" },
		"forged_token":    func(w *world, _ tokens) string { return newWorld(w.t).login().Refresh },
		"unknown_session": func(w *world, t tokens) string {
			_, err := w.store.Sweep(w.t.Context(), time.Now().Add(1000*time.Hour), 100)
			must(w.t, err)
			return t.Refresh
		},
		"ended_session": func(w *world, t tokens) string {
			_, err := w.store.RevokeFamiliesOfUser(w.t.Context(), w.uid, "", time.Now(), "logout")
			must(w.t, err)
			return t.Refresh
		},
		"expired_session": func(w *world, t tokens) string {
			live, err := w.store.FamiliesOfUser(w.t.Context(), w.uid, time.Now(), 1)
			must(w.t, err)
			_, err = w.store.RotateFamily(w.t.Context(), live[0].ID, "shop", func(f oauth.Family, _ clients.Client) (*oauth.Rotation, error) {
				return &oauth.Rotation{
					Presented: f.Generation - 1, MasterID: f.MasterID, At: f.RotatedAt, IdleExpiresAt: f.CreatedAt, PurgeAt: f.PurgeAt,
				}, nil
			})
			must(w.t, err)
			return t.Refresh
		},
	}
}

// change changes a client behind everybody's back.
func (w *world) change(id string, apply func(*clients.Client)) {
	c, err := w.store.ClientByID(w.t.Context(), id)
	must(w.t, err)
	seen := c
	apply(&c)
	c.UpdatedAt = seen.UpdatedAt.Add(time.Millisecond)
	must(w.t, w.store.ReplaceClient(w.t.Context(), seen, c))
}

func (w *world) disableClient(id string) { w.change(id, func(c *clients.Client) { c.Disabled = true }) }

// alter changes the account behind everybody's back.
func (w *world) alter(apply func(*users.User)) {
	must(w.t, alter(w.t.Context(), w.store, w.uid, apply))
}

func alter(ctx context.Context, s store.Store, uid string, apply func(*users.User)) error {
	u, err := s.UserByID(ctx, uid)
	if err != nil {
		return err
	}
	seen := u
	apply(&u)
	u.UpdatedAt = seen.UpdatedAt.Add(time.Millisecond)
	return s.ReplaceUser(ctx, seen, u)
}

// byPage logs the user in through the client page.
func byPage(w *world) (held tokens) {
	w.quietly(func() { held = read[tokens](w.t, w.postAs("/oauth/token", login("client_id", "page")), 200) })
	return held
}

// spend refreshes so often.
func spend(n int) func(*world, tokens) {
	return func(w *world, t tokens) {
		for range n {
			_, t = refreshWith(w, t.Refresh)
		}
	}
}

// guessed has so many wrong passwords tried that the next is not looked at, however
// late it comes: the throttle's time stands still.
func guessed(path string) func(*world, tokens) {
	return func(w *world, t tokens) {
		at := time.Now()
		w.users.Throttle = throttle.New(w.store, func() time.Time { return at })
		for range 200 {
			var rec *httptest.ResponseRecorder
			switch path {
			case "/auth/signup":
				rec = w.sendJSON("POST", path, "", map[string]string{"email": email, "password": "a long enough sentence"})
			default:
				rec = w.post("/oauth/token", values{"grant_type": {"password"}, "username": {email}, "password": {"wrong"}})
			}
			if rec.Code == 429 {
				return
			}
		}
		w.t.Error("nobody slows guessing")
	}
}

// keyless is a server that has no key to sign with.
func keyless(send sending) sending {
	return func(w *world, t tokens) *httptest.ResponseRecorder {
		keeper, err := keys.NewKeeper(keys.Options{
			Store: openSQLite(w.t), Vault: w.masters.Vault(), Audit: w.audit, Now: time.Now,
			Policy: keyPolicy("ES256"),
		})
		must(w.t, err)
		w.keeper = keeper
		w.handler = w.build()
		return send(w, t)
	}
}
