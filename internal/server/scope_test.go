package server_test

import (
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/go-jose/go-jose/v4"
	"github.com/go-jose/go-jose/v4/jwt"

	"github.com/keyturn/keyturn/internal/clients"
)

// grantedTo is what a token answer and the token in it say.
type grantedTo struct {
	tokens
	Scope    string `json:"scope"`
	audience []string
	inToken  string
}

func (w *world) granted(v values) grantedTo {
	w.t.Helper()
	got := read[grantedTo](w.t, w.post("/oauth/token", v), 200)
	parsed, err := jwt.ParseSigned(got.Access, []jose.SignatureAlgorithm{jose.ES256})
	must(w.t, err)
	var c struct {
		jwt.Claims
		Scope string `json:"scope"`
	}
	must(w.t, parsed.UnsafeClaimsWithoutVerification(&c))
	got.audience, got.inToken = c.Audience, c.Scope
	return got
}

// update changes the client shop.
func (w *world) update(apply func(*clients.Client)) {
	w.t.Helper()
	c := &clients.Registry{Store: w.store, Audit: w.audit, AccessTTL: time.Hour, Now: time.Now}
	_, err := c.Update(w.t.Context(), "shop", apply)
	must(w.t, err)
}

func login(more ...string) values {
	v := values{"grant_type": {"password"}, "username": {email}, "password": {password}}
	for i := 0; i < len(more); i += 2 {
		v.Add(more[i], more[i+1])
	}
	return v
}

func refresh(token string, more ...string) values {
	v := values{"grant_type": {"refresh_token"}, "refresh_token": {token}}
	for i := 0; i < len(more); i += 2 {
		v.Add(more[i], more[i+1])
	}
	return v
}

func TestScopeGranted(t *testing.T) {
	w := newWorld(t)
	own := values{"grant_type": {"client_credentials"}}
	for name, c := range map[string]struct {
		byDefault []string
		form      values
		want      string
	}{
		"nothing asked: all":            {nil, own, "openid email profile"},
		"nothing asked: the default":    {[]string{"openid"}, own, "openid"},
		"an empty scope is none asked":  {[]string{"openid"}, login("scope", ""), "openid"},
		"asked beyond the default":      {[]string{"openid"}, login("scope", "email profile"), "email profile"},
		"asked twice":                   {nil, login("scope", "email  email"), "email"},
		"the default at login":          {[]string{"email", "openid"}, login(), "email openid"},
		"asked in the client's own way": {nil, login("scope", "profile openid"), "profile openid"},
	} {
		w.update(func(cl *clients.Client) { cl.DefaultScope = c.byDefault })
		if got := w.granted(c.form); got.Scope != c.want || got.inToken != c.want {
			t.Errorf("%s: the answer says %q, the token %q; want %q", name, got.Scope, got.inToken, c.want)
		}
	}
}

func TestScopeRefusedIsNamed(t *testing.T) {
	w := newWorld(t)
	session := w.granted(login("scope", "openid"))
	for name, c := range map[string]struct {
		form values
		want string
	}{
		"unknown":               {login("scope", "openid orders:read"), "orders:read"},
		"of another case":       {values{"grant_type": {"client_credentials"}, "scope": {"OpenID"}}, "OpenID"},
		"wider than the login":  {refresh(session.Refresh, "scope", "openid email"), "email"},
		"with a quote":          {login("scope", `a"b`), "visible ASCII"},
		"with a letter of ours": {login("scope", "zażółć"), "visible ASCII"},
		"of many names":         {login("scope", strings.Join(numbered(101), " ")), "at most 100"},
	} {
		got := read[struct {
			Error       string
			Description string `json:"error_description"`
		}](t, w.post("/oauth/token", c.form), 400)
		if got.Error != "invalid_scope" || !strings.Contains(got.Description, c.want) {
			t.Errorf("%s: %+v; want invalid_scope that names %q", name, got, c.want)
		}
		// RFC 6749 §5.2 leaves these out.
		if strings.ContainsAny(got.Description, `"\`) {
			t.Errorf("%s: the description %q has characters that are not allowed", name, got.Description)
		}
	}
	// What was refused spent nothing.
	w.granted(refresh(session.Refresh))
}

func numbered(n int) []string {
	list := make([]string, n)
	for i := range list {
		list[i] = "s" + strings.Repeat("x", i)
	}
	return list
}

func TestScopeNarrowsAtRefreshForOneTokenOnly(t *testing.T) {
	w := newWorld(t)
	session := w.granted(login("scope", "openid email"))
	narrowed := w.granted(refresh(session.Refresh, "scope", "email"))
	if narrowed.Scope != "email" || narrowed.inToken != "email" {
		t.Errorf("narrowed to %q, in the token %q", narrowed.Scope, narrowed.inToken)
	}
	if next := w.granted(refresh(narrowed.Refresh)); next.Scope != "openid email" {
		t.Errorf("the refresh after it got %q; the session has openid email (RFC 6749 §6)", next.Scope)
	}
}

const billing = "https://billing.example.com"

func TestResourceChoosesTheAudience(t *testing.T) {
	w := newWorld(t)
	api := "https://api.example.com"
	w.update(func(c *clients.Client) { c.Audience = []string{api, billing} })
	for name, c := range map[string]struct {
		form values
		want []string
	}{
		"none":         {login(), []string{api, billing, issuer}},
		"Keyturn":      {login("resource", issuer), []string{issuer}},
		"one":          {login("resource", billing), []string{billing}},
		"two":          {login("resource", billing, "resource", api), []string{billing, api}},
		"one twice":    {login("resource", billing, "resource", billing), []string{billing}},
		"for itself":   {values{"grant_type": {"client_credentials"}, "resource": {api}}, []string{api}},
		"none, itself": {values{"grant_type": {"client_credentials"}}, []string{api, billing}},
	} {
		if got := w.granted(c.form); !slices.Equal(got.audience, c.want) {
			t.Errorf("%s: the token is for %v; want %v", name, got.audience, c.want)
		}
	}
	session := w.granted(login())
	one := w.granted(refresh(session.Refresh, "resource", billing))
	if !slices.Equal(one.audience, []string{billing}) {
		t.Errorf("narrowed at refresh: %v", one.audience)
	}
	bound := w.granted(login("resource", api))
	for name, form := range map[string]values{
		"foreign":       login("resource", "https://evil.example"),
		"not a URI":     login("resource", "a b"),
		"fragment":      login("resource", api+"#x"),
		"not the login": refresh(bound.Refresh, "resource", billing),
	} {
		if got := read[struct{ Error string }](t, w.post("/oauth/token", form), 400); got.Error != "invalid_target" {
			t.Errorf("%s: %s; want invalid_target (RFC 8707 §2)", name, got.Error)
		}
	}
}

// TestF7_OpenIDIsForTheIssuerToo holds that log-ins with the scope openid are for
// UserInfo, unless they were narrowed to another resource server: then no refresh
// widens them again.
func TestF7_OpenIDIsForTheIssuerToo(t *testing.T) {
	w := newWorld(t)
	const api = "https://api.example.com"
	registry := &clients.Registry{Store: w.store, Audit: w.audit, AccessTTL: time.Hour, Now: time.Now}
	_, _, err := registry.Add(t.Context(), clients.Client{
		ID: "team", Public: true, Grants: []string{"password", "refresh_token"}, Scope: []string{"openid", "email"}, Audience: []string{api},
	})
	must(t, err)
	as := func(v values) values { v.Set("client_id", "team"); return v }
	whole := []string{api, issuer}
	for name, c := range map[string]struct {
		at, after values
		want      []string
		status    int
	}{
		"as it comes":             {login(), nil, whole, 200},
		"refreshed":               {login(), values{}, whole, 200},
		"without openid":          {login("scope", "email"), nil, []string{api}, 403},
		"openid left out later":   {login(), values{"scope": {"email"}}, []string{api}, 403},
		"narrowed":                {login("resource", api), nil, []string{api}, 401},
		"narrowed, refreshed":     {login("resource", api), values{}, []string{api}, 401},
		"narrowed later":          {login(), values{"resource": {api}}, []string{api}, 401},
		"for the issuer":          {login("resource", issuer), nil, []string{issuer}, 200},
		"for both":                {login("resource", api, "resource", issuer), nil, whole, 200},
		"for the issuer at first": {login("resource", issuer), values{}, []string{issuer}, 200},
	} {
		got := w.granted(as(c.at))
		if c.after != nil {
			c.after.Set("grant_type", "refresh_token")
			c.after.Set("refresh_token", got.Refresh)
			got = w.granted(as(c.after))
		}
		if !slices.Equal(got.audience, c.want) {
			t.Errorf("%s: the token is for %v; want %v", name, got.audience, c.want)
		}
		if rec := w.sendJSON("GET", "/oauth/userinfo", got.Access, nil); rec.Code != c.status {
			t.Errorf("%s: UserInfo answers %d; want %d", name, rec.Code, c.status)
		}
		if name == "narrowed" {
			rec := w.post("/oauth/token", as(refresh(got.Refresh, "resource", issuer)))
			if got := read[struct{ Error string }](t, rec, 400); got.Error != "invalid_target" {
				t.Errorf("a narrowed session asks for more: %s; want invalid_target", got.Error)
			}
		}
	}
	if rec := w.post("/oauth/token", as(login("scope", "email", "resource", issuer))); rec.Code != 400 {
		t.Errorf("for the issuer without openid: %d; want 400", rec.Code)
	}
}

// TestIntrospectionTellsTheAddress compares what introspection says of the user's
// address with what the token says.
func TestIntrospectionTellsTheAddress(t *testing.T) {
	w := newWorld(t)
	type address struct {
		Email    string `json:"email"`
		Verified *bool  `json:"email_verified"`
	}
	for scope, want := range map[string]string{"openid email": email, "openid": ""} {
		held := w.granted(login("scope", scope))
		got := read[address](t, w.post("/oauth/introspect", values{"token": {held.Access}}), 200)
		if got.Email != want || (got.Verified != nil) != (want != "") || got.Verified != nil && *got.Verified {
			t.Errorf("scope %s: %+v; want %q, not verified", scope, got, want)
		}
	}
}

// TestWhatIsTakenFromAClientIsGoneAtRefresh takes scopes and audiences from a
// client whose session lives.
func TestWhatIsTakenFromAClientIsGoneAtRefresh(t *testing.T) {
	w := newWorld(t)
	w.update(func(c *clients.Client) { c.Audience = append(c.Audience, billing) })
	session := w.granted(login())
	w.update(func(c *clients.Client) { c.Scope, c.Audience = []string{"openid", "orders:read"}, []string{billing} })
	next := w.granted(refresh(session.Refresh))
	if next.inToken != "openid" || !slices.Equal(next.audience, []string{billing, issuer}) {
		t.Errorf("after the change: scope %q, audience %v; want what is left, openid and %s", next.inToken, next.audience, billing)
	}
	rec := w.post("/oauth/token", refresh(next.Refresh, "scope", "email"))
	if got := read[struct{ Error string }](t, rec, 400); got.Error != "invalid_scope" {
		t.Errorf("what was taken away: %s", got.Error)
	}
	w.update(func(c *clients.Client) { c.Audience = []string{"https://other.example.com"} })
	rec = w.post("/oauth/token", refresh(next.Refresh))
	if got := read[struct{ Error string }](t, rec, 400); got.Error != "invalid_grant" {
		t.Errorf("a session for nothing any more: %s", got.Error)
	}
}
