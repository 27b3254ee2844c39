package server_test

import (
	"io"
	"net/http/httptest"
	"net/url"
	"slices"
	"strings"
	"testing/iotest"
	"time"

	"github.com/keyturn/keyturn/internal/audit"
	"github.com/keyturn/keyturn/internal/clients"
	"github.com/keyturn/keyturn/internal/store/storetest"
	"github.com/keyturn/keyturn/users"
)

// authorizing is an authorization request, changed, of a browser that has logged in.
func authorizing(change func(url.Values)) sending {
	return func(w *world, _ tokens) (rec *httptest.ResponseRecorder) {
		var b *browser
		w.quietly(func() { b = w.loggedIn() })
		return b.authorize(asks(change))
	}
}

// atLogin fills in the form to log in by, and has it changed before it is sent.
func atLogin(name, password string, change func(url.Values)) sending {
	return func(w *world, _ tokens) *httptest.ResponseRecorder {
		b := w.browser()
		action, form := formOn(w.t, b.get("/account"))
		form.Set("username", name)
		form.Set("password", password)
		if change != nil {
			change(form)
		}
		return b.post(action, form)
	}
}

// atLogout presses the button by which one logs out.
func atLogout(change func(url.Values)) sending {
	return func(w *world, _ tokens) *httptest.ResponseRecorder {
		var b *browser
		w.quietly(func() { b = w.loggedIn() })
		action, form := formOn(w.t, b.get("/account/logout"))
		if change != nil {
			change(form)
		}
		return b.post(action, form)
	}
}

// atSignUp fills in the form to make oneself an account by.
func atSignUp(address string, change func(url.Values)) sending {
	return func(w *world, _ tokens) *httptest.ResponseRecorder {
		b := w.browser()
		action, form := formOn(w.t, b.get("/account/signup"))
		form.Set("email", address)
		form.Set("new_password", long)
		if change != nil {
			change(form)
		}
		return b.post(action, form)
	}
}

// atPassword fills in the form for another password.
func atPassword(current, next string, change func(url.Values)) sending {
	return atForm("/account/password", func(form url.Values) {
		form.Set("current_password", current)
		form.Set("new_password", next)
		if change != nil {
			change(form)
		}
	})
}

// atSessions presses the button to end a session, or the others.
func atSessions(id string, change func(url.Values)) sending {
	return atForm("/account/sessions", func(form url.Values) {
		form.Set("session", id)
		if change != nil {
			change(form)
		}
	})
}

// atForm sends the form of a page for who is logged in, changed.
func atForm(path string, change func(url.Values)) sending {
	return func(w *world, _ tokens) *httptest.ResponseRecorder {
		var b *browser
		var form url.Values
		w.quietly(func() {
			b = w.loggedIn()
			_, form = formOn(w.t, b.get(path))
		})
		change(form)
		return b.post(path, form)
	}
}

// atLoggedIn looks at a page.
func atLoggedIn(path string) sending {
	return func(w *world, _ tokens) *httptest.ResponseRecorder {
		var b *browser
		w.quietly(func() { b = w.loggedIn() })
		return b.get(path)
	}
}

// loggedOutMeanwhile sends the form of a page after the log-in has ended.
func loggedOutMeanwhile(path string) sending {
	return func(w *world, _ tokens) *httptest.ResponseRecorder {
		var b *browser
		var form url.Values
		w.quietly(func() {
			b = w.loggedIn()
			_, form = formOn(w.t, b.get(path))
			_, err := w.users.EndSessions(w.t.Context(), w.uid, "")
			must(w.t, err)
		})
		return b.post(path, form)
	}
}

// exchanging is the request for the tokens of a code, changed.
func exchanging(change func(url.Values)) sending {
	return func(w *world, _ tokens) *httptest.ResponseRecorder {
		var code string
		w.quietly(func() { code = w.loggedIn().code(nil) })
		return w.post("/oauth/token", exchanges(code, change))
	}
}

func without(name string) func(url.Values) { return func(v url.Values) { v.Del(name) } }

func setting(name, value string) func(url.Values) { return func(v url.Values) { v.Set(name, value) } }

// pageRefusals are what is refused on the way to a code, and at its exchange.
func pageRefusals() []decided {
	issue, login, leave, token := audit.CodeIssued, audit.UserLoggedIn, audit.UserLoggedOut, audit.TokenRefused
	rows := []decided{
		{"malformed query", func(w *world, _ tokens) *httptest.ResponseRecorder { return w.browser().get("/oauth/authorize?a=%zz") }, 400, issue, "malformed_form"},
		{"no client", authorizing(without("client_id")), 400, issue, "no_client"},
		{"client's name", authorizing(setting("client_id", "caf\u00e9")), 400, issue, "malformed_client_id"},
		{"disabled client", after(func(w *world, _ tokens) { w.disableClient("native") }, authorizing(func(v url.Values) {
			v.Set("client_id", "native")
			v.Set("redirect_uri", "com.example.app:/callback")
		})), 400, issue, "disabled_client"},
		{"foreign redirect URI", authorizing(setting("redirect_uri", "https://evil.example")), 400, issue, "redirect_uri"},
		{"repeated state", authorizing(func(v url.Values) { v.Add("state", "x") }), 303, issue, "repeated_parameter"},
		{"state not text", authorizing(setting("state", "\xff")), 303, issue, "malformed_parameter"},
		{"implicit", authorizing(setting("response_type", "token")), 303, issue, "response_type"},
		{"no log-in, no page", func(w *world, _ tokens) *httptest.ResponseRecorder {
			return w.browser().authorize(asks(setting("prompt", "none")))
		}, 303, issue, "login_required"},
		{"a grant that was withdrawn", after(func(w *world, _ tokens) {
			w.change("shop", func(c *clients.Client) { c.Grants = []string{"password"} })
		}, authorizing(nil)), 303, issue, "grant_not_allowed"},
		{"malformed scope", authorizing(setting("scope", "a\"b")), 303, issue, "malformed_scope"},
		{"wide scope", authorizing(setting("scope", "openid admin")), 303, issue, "scope_not_allowed"},
		{"foreign resource", authorizing(setting("resource", "https://evil.example")), 303, issue, "resource_not_allowed"},
		{"no store", func(w *world, t tokens) *httptest.ResponseRecorder {
			return failing("ClientByID", func(w *world, _ tokens) *httptest.ResponseRecorder { return w.browser().authorize(asks(nil)) })(w, t)
		}, 503, issue, "store"},
		{"hung up", func(w *world, t tokens) *httptest.ResponseRecorder {
			return hangingUp("ClientByID", func(w *world, _ tokens) *httptest.ResponseRecorder { return w.browser().authorize(asks(nil)) })(w, t)
		}, 503, issue, "hung_up"},

		{"no name", atLogin("", password, nil), 403, login, "no_username"},
		{"no password", atLogin(email, "", nil), 403, login, "no_password"},
		{"unknown user", atLogin("nobody@example.com", password, nil), 403, login, "unknown_user"},
		{"disabled user", after(disableUser, atLogin(email, password, nil)), 403, login, "disabled_user"},
		{"no pepper", after(pepperHash, atLogin(email, password, nil)), 403, login, "pepper_missing"},
		{"throttled", after(guessed("/oauth/token"), atLogin(email, password, nil)), 429, login, "throttled"},
		{"no store to log in", failing("CreateFamily", atLogin(email, password, nil)), 503, login, "store"},
		{"hung up at the log-in", hangingUp("HashKinds", atLogin(email, password, nil)), 503, login, "hung_up"},
		{"account changed meanwhile", func(w *world, t tokens) *httptest.ResponseRecorder {
			faulty := storetest.NewFaulty(w.store)
			w.store = faulty
			w.handler = w.build()
			faulty.Inject(func(asked string) storetest.Fault {
				if asked == "CreateFamily" {
					must(w.t, alter(w.t.Context(), faulty.Unwrap(), w.uid, func(u *users.User) { u.Epoch++ }))
				}
				return storetest.None
			})
			return atLogin(email, password, nil)(w, t)
		}, 403, login, "account_changed"},
		{"foreign form", atLogin(email, password, without("token")), 403, login, "foreign_form"},
		{"foreign form to log out", atLogout(without("token")), 403, leave, "foreign_form"},

		{"malformed query of a log-out", func(w *world, _ tokens) *httptest.ResponseRecorder { return w.browser().get("/oauth/logout?a=%zz") }, 400, leave, "malformed_form"},
		{"log-out for nobody", leavingBy(setting("client_id", "nobody")), 400, leave, "two_clients"},
		{"log-out for nobody, without a token", leavingBy(func(v url.Values) { v.Del("id_token_hint"); v.Set("client_id", "nobody") }), 400, leave, "unknown_client"},
		{"log-out for no name", leavingBy(setting("client_id", "caf\u00e9")), 400, leave, "malformed_client_id"},
		{"log-out for a disabled client", after(func(w *world, _ tokens) { w.disableClient("native") }, leavingBy(func(v url.Values) {
			v.Del("id_token_hint")
			v.Set("client_id", "native")
		})), 400, leave, "disabled_client"},
		{"log-out to elsewhere", leavingBy(setting("post_logout_redirect_uri", "https://evil.example")), 400, leave, "redirect_uri"},
		{"log-out, repeated", leavingBy(func(v url.Values) { v.Add("state", "x") }), 400, leave, "repeated_parameter"},
		{"log-out, not text", leavingBy(setting("state", "\xff")), 400, leave, "malformed_parameter"},
		{"log-out by an application, no store", failing("ClientByID", leavingNow), 503, leave, "store"},
		{"log-out by an application, hung up", hangingUp("ClientByID", leavingNow), 503, leave, "hung_up"},

		{"foreign form to sign up", atSignUp("grace@example.com", without("token")), 403, audit.UserSignedUp, "foreign_form"},
		{"sign-up of no address", atSignUp("grace", nil), 422, audit.UserSignedUp, "invalid_email"},
		{"sign-up of a taken address", atSignUp(email, nil), 409, audit.UserSignedUp, "email_taken"},
		{"sign-up with a long name", atSignUp("grace@example.com", setting("first_name", strings.Repeat("x", 101))), 422, audit.UserSignedUp, "invalid_first_name"},
		{"sign-up with a common password", atSignUp("grace@example.com", setting("new_password", "passwordpassword")), 422, audit.UserSignedUp, "password_refused"},
		{"sign-up, throttled", after(guessed("/auth/signup"), atSignUp("grace@example.com", nil)), 429, audit.UserSignedUp, "throttled"},
		{"sign-up, no store", failing("CreateUser", atSignUp("grace@example.com", nil)), 503, audit.UserSignedUp, "unavailable"},

		{"sign-up at the page, hung up", hangingUp("AnnounceHashKind", atSignUp("grace@example.com", nil)), 503, audit.UserSignedUp, "hung_up"},

		{"foreign form for a password", atPassword(password, long, without("token")), 403, audit.PasswordChanged, "foreign_form"},
		{"wrong current password", atPassword("wrong", long, nil), 403, audit.PasswordChanged, "wrong_password"},
		{"new password is common", atPassword(password, "passwordpassword", nil), 422, audit.PasswordChanged, "password_refused"},
		{"password, logged out", loggedOutMeanwhile("/account/password"), 403, audit.PasswordChanged, "login_required"},
		{"password, throttled", func(w *world, t tokens) *httptest.ResponseRecorder {
			var b *browser
			w.quietly(func() {
				b = w.loggedIn()
				guessed("/oauth/token")(w, t)
			})
			action, form := formOn(w.t, b.get("/account/password"))
			form.Set("current_password", password)
			form.Set("new_password", long)
			return b.post(action, form)
		}, 429, audit.PasswordChanged, "throttled"},

		{"foreign form for sessions", atSessions("others", without("token")), 403, audit.SessionEnded, "foreign_form"},
		{"no such session", atSessions("nonsense", nil), 404, audit.SessionEnded, "unknown_session"},
		{"sessions, logged out", loggedOutMeanwhile("/account/sessions"), 403, audit.SessionEnded, "login_required"},
		{"password at the page, hung up", hangingUpAt(2, "HashKinds", atPassword(password, long, nil)), 503, audit.PasswordChanged, "hung_up"},
		{"sessions at the page, hung up", hangingUp("FamiliesOfUser", atLoggedIn("/account/sessions")), 503, audit.SessionsListed, "hung_up"},
		{"end of one at the page, hung up", hangingUpAt(3, "FamilyByID", func(w *world, t tokens) *httptest.ResponseRecorder {
			return atSessions(sessionOf(w.t, t.Access), nil)(w, t)
		}), 503, audit.SessionEnded, "hung_up"},
		{"sessions, no store", failing("FamiliesOfUser", atLoggedIn("/account/sessions")), 503, audit.SessionsListed, "store"},

		{"no code", exchanging(without("code")), 400, token, "no_code"},
		{"no redirect URI", exchanging(without("redirect_uri")), 400, token, "redirect_uri"},
		{"no verifier", exchanging(without("code_verifier")), 400, token, "code_verifier"},
		{"wrong verifier", exchanging(setting("code_verifier", strings.Repeat("x", 43))), 400, token, "code_verifier"},
		{"no code of ours", exchanging(setting("code", "kt_ac_AAAA")), 400, token, "bad_code"},
		{"late", func(w *world, t tokens) *httptest.ResponseRecorder {
			var code string
			w.quietly(func() { code = w.loggedIn().code(nil) })
			w.steadyOff = time.Minute
			w.handler = w.build()
			return w.post("/oauth/token", exchanges(code, nil))
		}, 400, token, "expired_code"},
		{"another's code", func(w *world, _ tokens) *httptest.ResponseRecorder {
			var code string
			w.quietly(func() { code = w.loggedIn().code(nil) })
			return w.postAs("/oauth/token", exchanges(code, setting("client_id", "native")))
		}, 400, token, "foreign_client"},
		{"another's key", func(w *world, _ tokens) *httptest.ResponseRecorder {
			var code string
			w.quietly(func() { code = w.loggedIn().code(setting("dpop_jkt", w.holder().Thumbprint(w.t))) })
			return w.holder().ask("shop", exchanges(code, nil))
		}, 400, token, "foreign_proof_key"},
		{"second use", func(w *world, _ tokens) *httptest.ResponseRecorder {
			var code string
			w.quietly(func() {
				code = w.loggedIn().code(nil)
				read[tokens](w.t, w.post("/oauth/token", exchanges(code, nil)), 200)
			})
			return w.post("/oauth/token", exchanges(code, nil))
		}, 400, audit.TokenReuse, "reused_code"},
	}
	return slices.Concat(rows, unreadForms("/oauth/authorize", issue), unreadForms("/account/login", login), unreadForms("/account/logout", leave), unreadForms("/oauth/logout", leave),
		unreadForms("/account/signup", audit.UserSignedUp), unreadForms("/account/password", audit.PasswordChanged), unreadForms("/account/sessions", audit.SessionEnded),
		unreadForms("/account/factors", audit.FactorRemoved), unreadForms("/account/factors/app", audit.FactorEnrolled))
}

// unreadForms are forms that no page reads.
func unreadForms(path string, action audit.Action) []decided {
	text := func(s string) io.Reader { return strings.NewReader(s) }
	rows := []decided{
		{"JSON", func(w *world, _ tokens) *httptest.ResponseRecorder { return w.sendJSON("POST", path, "", claims{}) }, 400, action, "content_type"},
		{"gzip", raw(path, text(""), "Content-Encoding", "gzip"), 415, action, "content_encoding"},
		{"in the URL", raw(path+"?password=x", text("")), 400, action, "parameter_in_url"},
		{"too large", raw(path, text(strings.Repeat("x", 40<<10))), 413, action, "body_too_large"},
		{"broken off", raw(path, iotest.ErrReader(io.ErrUnexpectedEOF)), 400, action, "body_unreadable"},
		{"malformed", raw(path, text("a=%zz")), 400, action, "malformed_form"},
		{"repeated", raw(path, text("password=a&password=b")), 400, action, "repeated_parameter"},
		{"not text", raw(path, text("password=%ff")), 400, action, "malformed_parameter"},
	}
	for i := range rows {
		rows[i].name = path + ", " + rows[i].name
	}
	return rows
}
