package server_test

import (
	"context"
	"io"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/keyturn/keyturn/internal/audit"
	"github.com/keyturn/keyturn/internal/clients"
	"github.com/keyturn/keyturn/internal/mail"
	"github.com/keyturn/keyturn/internal/refusal"
	"github.com/keyturn/keyturn/internal/store/storetest"
	"github.com/keyturn/keyturn/internal/userfile"
	"github.com/keyturn/keyturn/users"
)

// errand is one thing that an operator has done, as the commands do it, and the
// one event that it must leave.
type errand struct {
	do     func(w faultyWorld) error
	action audit.Action
	reason string
	// fails is the method of the store that fails meanwhile.
	fails string
	// events is how many it leaves where that is not one, because it is about
	// several keys or was recorded before the store failed; the last counts.
	events int
}

// administer runs every errand in a world of its own.
func (c *coverage) administer(t *testing.T) {
	t.Helper()
	c.firstKeys(t)
	for _, e := range slices.Concat(userErrands(), consentErrands(), settleErrands(), importErrands(), clientErrands(), keyErrands()) {
		t.Run(strings.TrimSpace(string(e.action)+" "+e.reason), func(t *testing.T) {
			w := newFaultyWorld(t)
			w.login()
			w.journal.take()
			w.faulty.Inject(func(method string) storetest.Fault {
				if method == e.fails {
					return storetest.Fails
				}
				return storetest.None
			})
			err := e.do(w)
			events := w.journal.take()
			if e.action == audit.KeyRotated || e.action == audit.KeyRevoked {
				events = only(events, e.action) // keys that are made on the way are decisions of their own
			}
			if len(events) != max(e.events, 1) {
				t.Fatalf("%v, events %+v; want %d", err, events, max(e.events, 1))
			}
			got := events[len(events)-1]
			if got.Action != e.action || got.Reason.String() != e.reason || (got.Outcome == audit.Success) != (err == nil) {
				t.Errorf("%v, event %s %s %q; want %s %q", err, got.Action, got.Outcome, got.Reason, e.action, e.reason)
			}
			c.saw("", got)
		})
	}
}

// firstKeys looks at what a server does on an empty store.
func (c *coverage) firstKeys(t *testing.T) {
	t.Helper()
	j := &journal{t: t}
	newWorldOn(t, openSQLite(t), j)
	want := []string{"key-created success first_key", "key-created success standby", "key-activated success"}
	var got []string
	for _, e := range j.take() {
		if strings.HasPrefix(string(e.Action), "key-") {
			got = append(got, kind(e.Action, e.Outcome, e.Reason))
			c.saw("", e)
		}
	}
	if !slices.Equal(got, want) {
		t.Errorf("events of the first keys: %v; want %v", got, want)
	}
}

func only(events []audit.Event, action audit.Action) (picked []audit.Event) {
	for _, e := range events {
		if e.Action == action {
			picked = append(picked, e)
		}
	}
	return picked
}

const long = "a long enough sentence"

func userErrands() []errand {
	add := func(n users.NewUser) func(faultyWorld) error {
		return func(w faultyWorld) error {
			_, err := w.users.Add(w.t.Context(), n)
			return err
		}
	}
	of := func(do func(w faultyWorld, uid string) error, uid string) func(faultyWorld) error {
		return func(w faultyWorld) error {
			if uid == "" {
				return do(w, w.uid)
			}
			return do(w, uid)
		}
	}
	disable := func(w faultyWorld, uid string) error { return w.users.Disable(w.t.Context(), uid) }
	enable := func(w faultyWorld, uid string) error { return w.users.Enable(w.t.Context(), uid) }
	remove := func(w faultyWorld, uid string) error { return w.users.Delete(w.t.Context(), uid) }
	issue := func(w faultyWorld, uid string) error {
		_, _, err := w.users.IssueReset(w.t.Context(), uid, time.Hour, false)
		return err
	}
	force := func(w faultyWorld, uid string) error {
		_, _, err := w.users.IssueReset(w.t.Context(), uid, time.Hour, true)
		return err
	}
	reset := func(next string) func(w faultyWorld, uid string) error {
		return func(w faultyWorld, uid string) error { return w.users.ResetPassword(w.t.Context(), uid, next) }
	}
	claim := func(roles []string, text string) func(w faultyWorld, uid string) error {
		return func(w faultyWorld, uid string) error {
			_, err := w.users.SetClaims(w.t.Context(), uid, roles, text)
			return err
		}
	}
	update := func(p users.Profile) func(w faultyWorld) error {
		return of(func(w faultyWorld, uid string) error {
			_, err := w.users.UpdateProfile(w.t.Context(), uid, p)
			return err
		}, "")
	}
	text := func(s string) *string { return &s }
	endAll := func(except string) func(w faultyWorld, uid string) error {
		return func(w faultyWorld, uid string) error {
			_, err := w.users.EndSessions(w.t.Context(), uid, except)
			return err
		}
	}
	endOne := func(w faultyWorld, uid string) error {
		live, err := w.faulty.Unwrap().FamiliesOfUser(w.t.Context(), w.uid, time.Now(), 1)
		must(w.t, err)
		_, err = w.users.EndSession(w.t.Context(), uid, live[0].ID)
		return err
	}
	return []errand{
		{func(w faultyWorld) error {
			w.alter(func(u *users.User) { u.Disabled = true })
			return w.users.SendLetter(w.t.Context(), w.uid, mail.Reset, "")
		}, audit.LetterAsked, "disabled_user", "", 0},
		{add(users.NewUser{Email: "eve@example.com", Password: long}), audit.UserAdded, "", "", 0},
		{add(users.NewUser{Email: "eve", Password: long}), audit.UserAdded, "invalid_email", "", 0},
		{add(users.NewUser{Email: "eve@example.com", Username: "a@b", Password: long}), audit.UserAdded, "invalid_username", "", 0},
		{add(users.NewUser{Email: "eve@example.com", FirstName: "\n", Password: long}), audit.UserAdded, "invalid_first_name", "", 0},
		{add(users.NewUser{Email: "eve@example.com", LastName: "\n", Password: long}), audit.UserAdded, "invalid_last_name", "", 0},
		{add(users.NewUser{Email: "eve@example.com", Password: "short"}), audit.UserAdded, "password_refused", "", 0},
		{add(users.NewUser{Email: email, Password: long}), audit.UserAdded, "email_taken", "", 0},
		{func(w faultyWorld) error {
			n := users.NewUser{Email: "bob@example.com", Username: "bob", Password: long}
			must(w.t, add(n)(w))
			w.journal.take()
			n.Email = "eve@example.com"
			return add(n)(w)
		}, audit.UserAdded, "username_taken", "", 0},
		{add(users.NewUser{Email: "eve@example.com", Password: long, Roles: []string{"a b"}}), audit.UserAdded, "invalid_roles", "", 0},
		{add(users.NewUser{Email: "eve@example.com", Password: long, Claims: "[]"}), audit.UserAdded, "invalid_claims", "", 0},
		{add(users.NewUser{Email: "eve@example.com", Password: long}), audit.UserAdded, "unavailable", "CreateUser", 0},

		{of(disable, ""), audit.UserDisabled, "", "", 0},
		{of(disable, "nobody"), audit.UserDisabled, "unknown_user", "", 0},
		{of(disable, ""), audit.UserDisabled, "unavailable", "ReplaceUser", 0},
		{of(enable, ""), audit.UserEnabled, "", "", 0},
		{of(enable, "nobody"), audit.UserEnabled, "unknown_user", "", 0},
		{of(enable, ""), audit.UserEnabled, "unavailable", "ReplaceUser", 0},
		{of(remove, ""), audit.UserDeleted, "", "", 0},
		{of(remove, "nobody"), audit.UserDeleted, "unknown_user", "", 0},
		{of(remove, ""), audit.UserDeleted, "unavailable", "ReplaceUser", 0},
		{of(issue, ""), audit.ResetIssued, "", "", 0},
		{of(issue, "nobody"), audit.ResetIssued, "unknown_user", "", 0},
		{of(issue, ""), audit.ResetIssued, "unavailable", "ReplaceUser", 0},
		{of(force, ""), audit.ResetForced, "", "", 0},
		{of(force, "nobody"), audit.ResetForced, "unknown_user", "", 0},
		{of(force, ""), audit.ResetForced, "unavailable", "ReplaceUser", 0},
		{of(reset(long), ""), audit.PasswordReset, "", "", 0},
		{of(reset(long), "nobody"), audit.PasswordReset, "unknown_user", "", 0},
		{of(reset("short"), ""), audit.PasswordReset, "password_refused", "", 0},
		{of(reset(long), ""), audit.PasswordReset, "unavailable", "ReplaceUser", 0},
		{func(w faultyWorld) error {
			w.users.Store = changing{w.store}
			return w.users.ResetPassword(w.t.Context(), w.uid, long)
		}, audit.PasswordReset, "conflict", "", 0},
		{of(claim([]string{"admin"}, ""), ""), audit.UserChanged, "", "", 0},
		{of(claim(nil, ""), "nobody"), audit.UserChanged, "unknown_user", "", 0},
		{of(claim([]string{"a b"}, ""), ""), audit.UserChanged, "invalid_roles", "", 0},
		{of(claim(nil, "[]"), ""), audit.UserChanged, "invalid_claims", "", 0},
		{of(claim(nil, ""), ""), audit.UserChanged, "unavailable", "ReplaceUser", 0},
		{update(users.Profile{Email: text("new@example.com"), Username: text("new")}), audit.UserChanged, "", "", 0},
		{update(users.Profile{Email: text("new")}), audit.UserChanged, "invalid_email", "", 0},
		{update(users.Profile{Username: text("a@b")}), audit.UserChanged, "invalid_username", "", 0},
		{update(users.Profile{FirstName: text("\n")}), audit.UserChanged, "invalid_first_name", "", 0},
		{update(users.Profile{LastName: text("\n")}), audit.UserChanged, "invalid_last_name", "", 0},
		{func(w faultyWorld) error {
			must(w.t, add(users.NewUser{Email: "bob@example.com", Password: long})(w))
			w.journal.take()
			return update(users.Profile{Email: text("Bob@example.com")})(w)
		}, audit.UserChanged, "email_taken", "", 0},
		{func(w faultyWorld) error {
			must(w.t, add(users.NewUser{Email: "bob@example.com", Username: "bob", Password: long})(w))
			w.journal.take()
			return update(users.Profile{Username: text("Bob")})(w)
		}, audit.UserChanged, "username_taken", "", 0},
		{update(users.Profile{LastName: text("King")}), audit.UserChanged, "unavailable", "ReplaceUser", 0},
		{update(users.Profile{Email: text("new@example.com")}), audit.UserChanged, "unavailable", "FamiliesOfUser", 0},
		{of(endAll(""), ""), audit.SessionsEnded, "logged_out_by_operator", "", 0},
		{of(endAll(""), "nobody"), audit.SessionsEnded, "unknown_user", "", 0},
		{of(endAll("another"), ""), audit.SessionsEnded, "unknown_session", "", 0},
		{of(endAll(""), ""), audit.SessionsEnded, "unavailable", "ReplaceUser", 0},
		{of(endOne, ""), audit.SessionEnded, "logged_out_by_operator", "", 0},
		{of(endOne, "nobody"), audit.SessionEnded, "unknown_user", "", 0},
		{of(endOne, ""), audit.SessionEnded, "unavailable", "HoldFamily", 0},
		{func(w faultyWorld) error {
			_, err := userfile.Export(w.t.Context(), w.users, io.Discard, userfile.JSONLines)
			return err
		}, audit.UsersExported, "", "", 0},
	}
}

// settleErrands are what the servers finish of changes that died half way.
func settleErrands() []errand {
	later := func() time.Time { return time.Now().Add(time.Hour) }
	settle := func(w faultyWorld) error {
		w.users.Now = later
		_, err := w.users.Settle(w.t.Context())
		return err
	}
	return []errand{
		{func(w faultyWorld) error {
			w.alter(func(u *users.User) { u.Disabled, u.Unsettled = true, true })
			return settle(w)
		}, audit.SessionsEnded, "user_disabled", "", 0},
		{func(w faultyWorld) error {
			w.alter(func(u *users.User) { u.Epoch, u.Unsettled = u.Epoch+1, true })
			return settle(w)
		}, audit.SessionsEnded, "account_changed", "", 0},
		{func(w faultyWorld) error {
			w.alter(func(u *users.User) { u.Disabled, u.DeleteAt = true, time.Now() })
			_, err := w.users.DeleteClosed(w.t.Context(), later())
			return err
		}, audit.UserDeleted, "grace_over", "", 0},
		{func(w faultyWorld) error {
			w.disableClient("shop")
			_, err := (&clients.Registry{Store: w.store, Audit: w.audit, Now: later}).Settle(w.t.Context())
			return err
		}, audit.SessionsEnded, "client_disabled", "", 0},
	}
}

func importErrands() []errand {
	bring := func(change func(*users.ImportUser)) func(faultyWorld) error {
		return func(w faultyWorld) error {
			n := users.ImportUser{Email: "eve@example.com", Password: long}
			change(&n)
			_, err := w.users.Import(w.t.Context(), n)
			return err
		}
	}
	row := func(reason string, change func(*users.ImportUser)) errand {
		return errand{bring(change), audit.UserImported, reason, "", 0}
	}
	later := time.Now().Add(1000 * time.Hour)
	return []errand{
		row("", func(*users.ImportUser) {}),
		row("invalid_email", func(n *users.ImportUser) { n.Email = "eve" }),
		row("invalid_username", func(n *users.ImportUser) { n.Username = "a@b" }),
		row("invalid_first_name", func(n *users.ImportUser) { n.FirstName = "\n" }),
		row("invalid_last_name", func(n *users.ImportUser) { n.LastName = "\n" }),
		row("password_refused", func(n *users.ImportUser) { n.Password = "short" }),
		row("email_taken", func(n *users.ImportUser) { n.Email = email }),
		row("invalid_roles", func(n *users.ImportUser) { n.Roles = []string{"a b"} }),
		row("invalid_claims", func(n *users.ImportUser) { n.Claims = []byte("[]") }),
		row("invalid_password_hash", func(n *users.ImportUser) { n.Password, n.PasswordHash = "", "md5" }),
		row("invalid_uid", func(n *users.ImportUser) { n.UID = "a b" }),
		row("invalid_factor", func(n *users.ImportUser) { n.Passkeys = []users.ImportPasskey{{Name: "key"}} }),
		row("invalid_created_at", func(n *users.ImportUser) { n.CreatedAt = later }),
		row("invalid_password_changed_at", func(n *users.ImportUser) { n.PasswordChangedAt = later }),
		{func(w faultyWorld) error {
			bob := func(n *users.ImportUser) { n.Email, n.Username = "bob@example.com", "bob" }
			must(w.t, bring(bob)(w))
			w.journal.take()
			return bring(func(n *users.ImportUser) { n.Username = "bob" })(w)
		}, audit.UserImported, "username_taken", "", 0},
		{bring(func(*users.ImportUser) {}), audit.UserImported, "unavailable", "CreateUser", 0},
	}
}

func clientErrands() []errand {
	with := func(do func(w faultyWorld, c *clients.Registry) error) func(faultyWorld) error {
		return func(w faultyWorld) error {
			return do(w, &clients.Registry{Store: w.store, Audit: w.audit, AccessTTL: time.Hour, Now: time.Now})
		}
	}
	add := func(id string, grants ...string) func(faultyWorld) error {
		return with(func(w faultyWorld, c *clients.Registry) error {
			_, _, err := c.Add(w.t.Context(), clients.Client{ID: id, Grants: grants})
			return err
		})
	}
	update := func(id string, apply func(*clients.Client)) func(faultyWorld) error {
		return with(func(w faultyWorld, c *clients.Registry) error {
			_, err := c.Update(w.t.Context(), id, apply)
			return err
		})
	}
	turn := func(id string) func(faultyWorld) error {
		return with(func(w faultyWorld, c *clients.Registry) error {
			_, err := c.RotateSecret(w.t.Context(), id)
			return err
		})
	}
	disable := func(id string) func(faultyWorld) error {
		return with(func(w faultyWorld, c *clients.Registry) error {
			_, err := c.Disable(w.t.Context(), id)
			return err
		})
	}
	logout := func(id string) func(faultyWorld) error {
		return with(func(w faultyWorld, c *clients.Registry) error {
			_, err := c.EndSessions(w.t.Context(), id)
			return err
		})
	}
	same := func(*clients.Client) {}
	return []errand{
		{add("new", "password"), audit.ClientAdded, "", "", 0},
		{add("new"), audit.ClientAdded, "invalid_registration", "", 0},
		{add("in two", "password"), audit.ClientAdded, "invalid_registration", "", 0},
		{add(" first", "password"), audit.ClientAdded, "invalid_registration", "", 0},
		{add("last ", "password"), audit.ClientAdded, "invalid_registration", "", 0},
		{func(w faultyWorld) error {
			must(w.t, w.store.CreateClient(w.t.Context(), clients.Client{ID: "an old one", Public: true, Grants: []string{"password"}, CreatedAt: time.Now(), UpdatedAt: time.Now()}))
			return update("an old one", same)(w)
		}, audit.ClientChanged, "", "", 0},
		{add("shop", "password"), audit.ClientAdded, "client_exists", "", 0},
		{add("new", "password"), audit.ClientAdded, "failed", "CreateClient", 0},
		{update("shop", same), audit.ClientChanged, "", "", 0},
		{update("nobody", same), audit.ClientChanged, "unknown_client", "", 0},
		{update("shop", func(c *clients.Client) { c.Grants = nil }), audit.ClientChanged, "invalid_registration", "", 0},
		{update("shop", same), audit.ClientChanged, "failed", "ReplaceClient", 0},
		{func(w faultyWorld) error {
			return update("shop", func(*clients.Client) { w.change("shop", same) })(w)
		}, audit.ClientChanged, "conflict", "", 0},
		{turn("shop"), audit.ClientSecretTurned, "", "", 0},
		{turn("nobody"), audit.ClientSecretTurned, "unknown_client", "", 0},
		{turn("page"), audit.ClientSecretTurned, "client_has_no_secret", "", 0},
		{turn("shop"), audit.ClientSecretTurned, "failed", "ReplaceClient", 0},
		{disable("shop"), audit.ClientDisabled, "", "", 0},
		{disable("nobody"), audit.ClientDisabled, "unknown_client", "", 0},
		{disable("shop"), audit.ClientDisabled, "failed", "ReplaceClient", 0},
		{logout("shop"), audit.SessionsEnded, "logged_out_by_operator", "", 0},
		{logout("nobody"), audit.SessionsEnded, "unknown_client", "", 0},
		{logout("shop"), audit.SessionsEnded, "failed", "ReplaceClient", 0},
	}
}

// TestNoClientIsAUser keeps the ids of clients and of users apart, both ways: each
// is the subject of tokens (RFC 9700 §4.15).
func TestNoClientIsAUser(t *testing.T) {
	w := newWorld(t)
	registry := &clients.Registry{
		Store: w.store, Audit: w.audit, AccessTTL: time.Hour, Now: time.Now,
		IsUser: func(_ context.Context, id string) (bool, error) { return id == w.uid, nil },
	}
	client := clients.Client{ID: w.uid, Grants: []string{"client_credentials"}}
	if _, _, err := registry.Add(t.Context(), client); err == nil {
		t.Error("a client was given the id of a user")
	}
	client.ID = "another"
	if _, _, err := registry.Add(t.Context(), client); err != nil {
		t.Errorf("an id of its own: %v", err)
	}
	w.users.Holder = func(id string) (string, error) { return map[string]string{"shop": "a client"}[id], nil }
	eve := users.ImportUser{UID: "shop", Email: "eve@example.com", Password: "a long enough sentence"}
	if _, err := w.users.Import(t.Context(), eve); refusal.Of(err) == nil || refusal.Of(err).Field != "uid" {
		t.Errorf("a user was given the id of a client: %v", err)
	}
}
