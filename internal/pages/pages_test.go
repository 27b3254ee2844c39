package pages

import (
	"maps"
	"net/http/httptest"
	"regexp"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/keyturn/keyturn/internal/decision"
	"github.com/keyturn/keyturn/oauth"
)

// TestMessagesAreWhole holds every language to English, and the templates and
// handlers to what there is.
func TestMessagesAreWhole(t *testing.T) {
	want := slices.Sorted(maps.Keys(languages[0].messages))
	for _, l := range languages {
		if got := slices.Sorted(maps.Keys(l.messages)); !slices.Equal(got, want) {
			t.Errorf("%s has %v, want %v", l.Lang, got, want)
		}
		for key, text := range l.messages {
			if strings.Count(text, "%s") != strings.Count(languages[0].messages[key], "%s") || strings.TrimSpace(text) == "" {
				t.Errorf("%s: %s is %q", l.Lang, key, text)
			}
		}
		if dir := l.Say("dir"); dir != "ltr" && dir != "rtl" {
			t.Errorf("%s is written %q", l.Lang, dir)
		}
	}
	used := map[string]bool{"wrong_credentials": true, "throttled": true, "unavailable": true, "stale": true, "logged_out": true, "bad_request": true}
	names, err := files.ReadDir("templates")
	if err != nil {
		t.Fatal(err)
	}
	for _, name := range names {
		text, err := files.ReadFile("templates/" + name.Name())
		if err != nil {
			t.Fatal(err)
		}
		for _, m := range regexp.MustCompile(`\.(?:Say|About) "([a-z_]+)"`).FindAllStringSubmatch(string(text), -1) {
			used[m[1]] = true
		}
	}
	if got := slices.Sorted(maps.Keys(used)); !slices.Equal(got, want) {
		t.Errorf("the pages say %v, the messages are %v", got, want)
	}
}

// TestCookiesOverHTTPS: no other host can set them, nor any plain connection.
func TestCookiesOverHTTPS(t *testing.T) {
	w := httptest.NewRecorder()
	c := newCookies(true)
	c.logIn(w, oauth.Cookie{Value: "x", Expires: time.Unix(2e9, 0)})
	c.set(w, c.form, "y", time.Time{})
	got := w.Result().Cookies()
	if len(got) != 2 {
		t.Fatalf("%v", got)
	}
	for _, k := range got {
		if !strings.HasPrefix(k.Name, "__Host-") || !k.Secure || !k.HttpOnly || k.Path != "/" || k.Domain != "" {
			t.Errorf("%+v", k)
		}
	}
	if w = httptest.NewRecorder(); true {
		c.logOut(w)
	}
	if k := w.Result().Cookies()[0]; k.Value != "" || k.Expires.After(time.Now()) || !k.Secure {
		t.Errorf("%+v", k)
	}
}

// TestPagesBelowAPath: forms and what they need are below the issuer's path, and an
// origin is the issuer's without it.
func TestPagesBelowAPath(t *testing.T) {
	p, err := New("https://example.com/auth", nil, decision.Recorder{})
	if err != nil {
		t.Fatal(err)
	}
	w := httptest.NewRecorder()
	p.show(w, 200, "login", view{language: languages[0]})
	for _, link := range []string{`action="/auth/account/login"`, `href="/auth/account/style.css"`} {
		if !strings.Contains(w.Body.String(), link) {
			t.Errorf("no %s: %s", link, w.Body)
		}
	}
	for header, want := range map[[2]string]bool{
		{"Sec-Fetch-Site", "same-origin"}: true, {"Sec-Fetch-Site", "none"}: true, {"Sec-Fetch-Site", "same-site"}: false, {"Sec-Fetch-Site", "cross-site"}: false,
		{"Sec-Fetch-Site", "new"}: false, {"Origin", "https://example.com"}: true, {"Origin", "http://example.com"}: false, {"Origin", "null"}: true, {"X", "y"}: true,
	} {
		r := httptest.NewRequest("POST", "/account/login", nil)
		r.Header.Set(header[0], header[1])
		if got := p.fromHere(r); got != want {
			t.Errorf("%v: %v", header, got)
		}
	}
}
