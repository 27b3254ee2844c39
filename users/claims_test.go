package users

import (
	"encoding/json"
	"errors"
	"strings"
	"testing"

	"github.com/keyturn/keyturn/internal/audit"
	"github.com/keyturn/keyturn/internal/decision"
	"github.com/keyturn/keyturn/internal/refusal"
)

func TestCheckClaims(t *testing.T) {
	for in, want := range map[string]string{
		"":                                   "",
		" {} ":                               "",
		`{"b":1,"a":"x"}`:                    `{"a":"x","b":1}`,
		`{"n":9007199254740991,"m":0.10}`:    `{"m":0.10,"n":9007199254740991}`,
		`{"n":[-9007199254740991,1e-7]}`:     `{"n":[-9007199254740991,1e-7]}`,
		`{"https://example.org/tier":"<a>"}`: `{"https://example.org/tier":"<a>"}`,
		`{"groups":["x",{"y":true}]}`:        `{"groups":["x",{"y":true}]}`,
		`{"o":{"a":1,"b":2},"p":[1,2]}`:      `{"o":{"a":1,"b":2},"p":[1,2]}`,
	} {
		got, err := checkClaims(in)
		if err != nil || got != want {
			t.Errorf("%s: got %s, %v; want %s", in, got, err, want)
		}
		if again, err := checkClaims(got); err != nil || again != got {
			t.Errorf("%s, once more: %s, %v", got, again, err)
		}
	}
	for _, in := range []string{
		"x", "null", "[]", `"a"`, `{"a":1}{}`, `{"a":1`, `{"a":null}`, `{"a":1,"a":2}`, `{"a":{"b":1,"b":2}}`, `{"SUB":1}`, `{"Roles":["x"]}`, `{"":1}`, `{"a b":1}`,
		`{"a":1e400}`, `{"a":-1e999}`, `{"a":9007199254740992}`, `{"a":-9007199254740992.0}`, `{"a":[{"b":[123456789012345678901]}]}`, `{"a":9007199254740993e0}`,
		`{"a":[[[[[1]]]]]}`, `{"a":"` + strings.Repeat("x", 2*maxTokenClaims) + `"}`, "{\"é\":1}",
		`{"a":` + strings.Repeat("[", 1000),
	} {
		if got, err := checkClaims(in); !refusal.Is(err, refusal.Unacceptable) || refusal.Of(err).Field != "claims" {
			t.Errorf("%.40s: got %q, %v; want a refusal about the claims", in, got, err)
		}
	}
}

func TestReservedClaimNamesAreRefused(t *testing.T) {
	for name := range reserved {
		if _, err := checkClaims(`{"` + name + `":"x"}`); err == nil {
			t.Errorf("the reserved name %s is accepted", name)
		}
	}
	// Those that access tokens bear (RFC 9068 §2.2) and every one that decides.
	for _, name := range []string{"iss", "sub", "aud", "exp", "iat", "nbf", "jti", "client_id", "scope", "auth_time", "sid", "email", "email_verified", "cnf", "act", "roles", "active",
		"_claim_names", "_claim_sources", "sub_id", "scp", "SCP",
		"SUB", "Sub", "Scope", "Exp", "Jti", "AUD", "Sid", "Roles", "EMAIL_verified", "\uff53\uff55\uff42", "\u017fub"} {
		if CheckClaimName(name) == nil {
			t.Errorf("%s is not reserved", name)
		}
	}
}

func TestCheckRoles(t *testing.T) {
	got, err := checkRoles([]string{"editor", "admin", "editor", "orders:read", "e\u0301diteur"})
	if err != nil || strings.Join(got, " ") != "editor admin orders:read \u00e9diteur" {
		t.Errorf("got %q, %v", got, err)
	}
	for _, bad := range [][]string{{""}, {"a b"}, {"a\x00"}, {"\u200b"}, {strings.Repeat("x", 101)}, make([]string, 65)} {
		if got, err := checkRoles(bad); err == nil {
			t.Errorf("%.40q gives %q; want a refusal", bad, got)
		}
	}
}

func TestSetClaims(t *testing.T) {
	f := newFixture(t)
	f.mem.sessions[f.ada.UID] = []string{"s1", "s2"}
	u, err := f.SetClaims(t.Context(), f.ada.UID, []string{"admin"}, `{"tier": 3}`)
	const all = `{"roles":["admin"],"tier":3}`
	if err != nil || u.TokenClaims() != all || f.mem.claims[f.ada.UID] != all {
		t.Fatalf("got %+v, %v; sessions bear %q", u, err, f.mem.claims[f.ada.UID])
	}
	e := f.mem.lastEvent(t)
	if e.Action != audit.UserChanged || e.Outcome != audit.Success || e.Count != 2 || e.Detail != "roles: admin; claims: tier" {
		t.Errorf("event %+v", e)
	}
	if err := f.Still(t.Context(), f.ada); !refusal.Is(err, refusal.BadCredentials) {
		t.Errorf("a login that read the former roles may stand: %v", err)
	}

	for _, refused := range []func() error{
		func() error { _, err := f.SetClaims(t.Context(), f.ada.UID, nil, `{"sub":"root"}`); return err },
		func() error { _, err := f.SetClaims(t.Context(), f.ada.UID, []string{"a b"}, ""); return err },
		func() error { _, err := f.SetClaims(t.Context(), "nobody", nil, ""); return err },
		func() error {
			_, err := f.SetClaims(t.Context(), f.ada.UID, nil, `{"a":"`+strings.Repeat("x", maxTokenClaims)+`"}`)
			return err
		},
	} {
		if err := refused(); err == nil || f.mem.lastEvent(t).Outcome != audit.Failure {
			t.Errorf("error %v", err)
		}
	}
	if f.mem.claims[f.ada.UID] != all {
		t.Errorf("a refusal changed the sessions to %s", f.mem.claims[f.ada.UID])
	}

	f.mem.auditDown = true
	if _, err := f.SetClaims(t.Context(), f.ada.UID, []string{"root"}, ""); !errors.Is(err, decision.ErrNotRecorded) {
		t.Errorf("error %v, want %v", err, decision.ErrNotRecorded)
	}
	if now := f.mem.users[f.ada.UID].TokenClaims(); now != all || f.mem.claims[f.ada.UID] != all {
		t.Errorf("A3: without its event the change stands: %s, sessions %s", now, f.mem.claims[f.ada.UID])
	}
}

func TestSignUpGivesNoRoles(t *testing.T) {
	f := newFixture(t)
	u, err := f.SignUp(t.Context(), NewUser{Email: "eve@example.org", Password: goodPassword, Roles: []string{"admin"}, Claims: `{"tier":9}`})
	if err != nil || u.TokenClaims() != "" {
		t.Errorf("signed up with %q, %v", u.TokenClaims(), err)
	}
}

func FuzzCheckClaims(f *testing.F) {
	for _, s := range []string{`{"a":1}`, `{"a":{"b":[1,2,"x"]}}`, `{"a":1,"a":2}`, `{"sub":1}`, `[]`, `{"a":1e400}`, "{\"\\u0073ub\":1}"} {
		f.Add(s)
	}
	f.Fuzz(func(t *testing.T, in string) {
		got, err := checkClaims(in)
		if err != nil || got == "" {
			return
		}
		var claims map[string]json.RawMessage
		if err := json.Unmarshal([]byte(got), &claims); err != nil {
			t.Fatalf("%q became %q: %v", in, got, err)
		}
		for name := range claims {
			if reserved[name] {
				t.Errorf("%q lets the reserved name %s through", in, name)
			}
		}
		if again, err := checkClaims(got); err != nil || again != got {
			t.Errorf("%q is not in its final form: %q, %v", got, again, err)
		}
	})
}

// TestAnotherAddressIsNotVerified covers one that a former version gave the account, which
// did not know what to take back.
func TestAnotherAddressIsNotVerified(t *testing.T) {
	u := User{Email: "ada@example.com", VerifiedEmail: "ada@example.com"}
	if !u.EmailVerified() || u.TokenClaims() != `{"email_verified":true}` {
		t.Errorf("an address that was confirmed: %v, %s", u.EmailVerified(), u.TokenClaims())
	}
	u.Email = "augusta@example.com"
	if u.EmailVerified() || u.TokenClaims() != "" {
		t.Errorf("another address: %v, %s", u.EmailVerified(), u.TokenClaims())
	}
	if (User{Username: "ada"}).EmailVerified() {
		t.Error("no address is verified")
	}
}
