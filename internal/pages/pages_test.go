package pages

import (
	"maps"
	"net/http/httptest"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/keyturn/keyturn/internal/messages"
	"github.com/keyturn/keyturn/oauth"
	"github.com/keyturn/keyturn/users"
)

// TestMessagesAreWhole holds every language to the same messages, and the templates and
// handlers to what there is.
func TestMessagesAreWhole(t *testing.T) {
	read, err := readLanguages("")
	if err != nil {
		t.Fatal(err)
	}
	want := read.All[0].Keys()
	for _, l := range read.All {
		if got := l.Keys(); !slices.Equal(got, want) {
			t.Errorf("%s has %v, want %v", l.Lang, got, want)
		}
	}
	used := map[string]bool{}
	text := func(name string, said *regexp.Regexp) {
		text, err := os.ReadFile(name)
		if err != nil {
			t.Fatal(err)
		}
		for _, m := range said.FindAllStringSubmatch(string(text), -1) {
			used[m[1]] = true
		}
	}
	names, err := filepath.Glob("templates/*.html")
	if err != nil {
		t.Fatal(err)
	}
	for _, name := range names {
		text(name, regexp.MustCompile(`\.(?:Say|About) "([a-z_]+)"`))
		if page := strings.TrimSuffix(filepath.Base(name), ".html"); page != "frame" {
			used[page+"_title"] = true
		}
	}
	sources, err := filepath.Glob("*.go")
	if err != nil {
		t.Fatal(err)
	}
	for _, name := range sources {
		if !strings.HasSuffix(name, "_test.go") {
			for _, key := range want {
				text(name, regexp.MustCompile(`"(`+key+`)"`))
			}
		}
	}
	if got := slices.Sorted(maps.Keys(used)); !slices.Equal(got, want) {
		t.Errorf("the pages say %v, the messages are %v", got, want)
	}
	if len(read.All) < 7 || read.All[0].Lang != "en" {
		t.Errorf("the languages: %d, first %s", len(read.All), read.All[0].Lang)
	}
}

// TestMessagesOfOthers: a directory adds languages and replaces them, whole ones alone.
func TestMessagesOfOthers(t *testing.T) {
	english, err := messageFiles.ReadFile("messages/en.json")
	if err != nil {
		t.Fatal(err)
	}
	for name, c := range map[string]struct {
		file, text string
		good       bool
	}{
		"added":          {"it.json", string(english), true},
		"replaced":       {"de.json", string(english), true},
		"a region":       {"pt-PT.json", string(english), true},
		"no language":    {"not a tag.json", string(english), false},
		"a message less": {"it.json", strings.Replace(string(english), `"login_title"`, `"another"`, 1), false},
		"no placeholder": {"it.json", strings.Replace(string(english), "to continue to %s", "to continue", 1), false},
		"no direction":   {"it.json", strings.Replace(string(english), `"ltr"`, `"up"`, 1), false},
		"no JSON":        {"it.json", "{", false},
		"no file":        {"it.txt", "", false},
	} {
		dir := t.TempDir()
		if err := os.WriteFile(filepath.Join(dir, c.file), []byte(c.text), 0o600); err != nil {
			t.Fatal(err)
		}
		read, err := readLanguages(dir)
		if (err == nil) != c.good {
			t.Errorf("%s: %v", name, err)
		}
		if c.good && !slices.ContainsFunc(read.All, func(l messages.Language) bool { return l.Lang+".json" == c.file && l.Say("login_title") == "Log in" }) {
			t.Errorf("%s: it is not there", name)
		}
	}
	if _, err := readLanguages(filepath.Join(t.TempDir(), "missing")); err == nil {
		t.Error("a directory that is not there is taken")
	}
}

// TestLanguageOf: what was chosen comes before what the client wants, and that before
// what the browser prefers.
func TestLanguageOf(t *testing.T) {
	p, err := New(Options{Issuer: "https://example.com"})
	if err != nil {
		t.Fatal(err)
	}
	for _, c := range []struct{ chosen, wanted, accepted, want string }{
		{"", "", "", "en"}, {"", "", "fr-CA,fr;q=0.9", "fr"}, {"", "", "sw, ar-EG;q=0.5", "ar"}, {"", "fr de", "ja", "fr"}, {"", "xx es", "ja", "es"},
		{"pt", "fr", "ja", "pt"}, {"%00", "", "ja", "ja"}, {"", "", "sw", "en"}, {"", "", "pt-BR", "pt"}, {"", "", ";;;", "en"},
	} {
		r := httptest.NewRequest("GET", "/account?ui_locales="+c.chosen, nil)
		r.Header.Set("Accept-Language", c.accepted)
		if got := p.languageOf(r, c.wanted); got.Lang != c.want {
			t.Errorf("%+v: %s", c, got.Lang)
		}
	}
}

// TestCookiesOverHTTPS: no other host can set them, nor any plain connection.
func TestCookiesOverHTTPS(t *testing.T) {
	w := httptest.NewRecorder()
	c := newCookies(true)
	c.logIn(w, oauth.Cookie{Value: "x", Expires: time.Unix(2e9, 0)}, true)
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
	p, err := New(Options{Issuer: "https://example.com/auth", Users: &users.Service{}, OAuth: oauth.NewService(oauth.Options{})})
	if err != nil {
		t.Fatal(err)
	}
	w := httptest.NewRecorder()
	p.show(w, 200, "login", view{language: language{Language: p.languages.All[0]}})
	for _, link := range []string{`action="/auth/account/login"`, `href="/auth/account/style.css?v=` + p.version} {
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
		if r.Header.Add(header[0], header[1]); header[0] != "X" && p.fromHere(r) {
			t.Errorf("%v, twice, is from here", header)
		}
	}
}
