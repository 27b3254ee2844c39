package users

import (
	"strings"
	"testing"
	"unicode/utf8"
)

func TestEmailKey(t *testing.T) {
	long := strings.Repeat("x", 60) + "@" + strings.Repeat("a.", 95) + "org"
	for _, c := range []struct{ in, display, key string }{
		{"ada@example.org", "ada@example.org", "ada@example.org"},
		{"Ada.L+x@Example.ORG", "Ada.L+x@Example.ORG", "ada.l+x@example.org"},
		{"demo@localhost", "demo@localhost", "demo@localhost"},
		{"u\u0308ber@mu\u0308nchen.de", "über@münchen.de", "über@münchen.de"},
		{"ＡＤＡ@example.org", "ＡＤＡ@example.org", "ada@example.org"},
		{"STRASSE@x.de", "STRASSE@x.de", "strasse@x.de"},
		{"straße@x.de", "straße@x.de", "strasse@x.de"},
		{long, long, long},
		{" ada@example.org", "ada@example.org", "ada@example.org"},
		{"\u3000\tada@example.org\u00a0\r\n", "ada@example.org", "ada@example.org"},
	} {
		display, key, err := EmailKey(c.in)
		if err != nil || display != c.display || key != c.key {
			t.Errorf("EmailKey(%q) = %q, %q, %v; want %q, %q", c.in, display, key, err, c.display, c.key)
		}
	}
}

func TestEmailKeyRefuses(t *testing.T) {
	for _, in := range []string{
		"", "@", "ada", "ada@", "@example.org", "a@b@c", "a b@example.org", " ", "ada@ example.org", "\u200bada@example.org",
		"Ada <ada@example.org>", "ada@example..org", "ada@-example.org", "ada@example-.org", "ada@.org", "ada@org.",
		".ada@example.org", "ada.@example.org", "a..b@example.org", "ada@[127.0.0.1]", `"a"@example.org`, "a,b@c.org",
		"ada\x00@example.org", "ada\xff@example.org", "ad\u200ba@example.org", "ada\u00ad@example.org", "ada\ufe0f@example.org",
		"ada﹫x@example.org", "ada@exam ple.org", "ada@ex_ample.org", "ada@example。org", "ada\u202e@example.org",
		strings.Repeat("x", 65) + "@example.org",
		"a@" + strings.Repeat("x", 64) + ".org",
		"ada@" + strings.Repeat("a.", 130) + "org",
		strings.Repeat("\ufdfa", 20) + "@example.org",
	} {
		if display, key, err := EmailKey(in); err == nil || display != "" || key != "" {
			t.Errorf("EmailKey(%q) = %q, %q, %v; want a refusal", in, display, key, err)
		}
	}
}

func TestUsernameKey(t *testing.T) {
	display, key, err := UsernameKey("Ada Lovelace")
	if err != nil || display != "Ada Lovelace" || key != "ada lovelace" {
		t.Errorf("UsernameKey = %q, %q, %v", display, key, err)
	}
	if display, key, err := UsernameKey(" Ada\u00a0"); err != nil || display != "Ada" || key != "ada" {
		t.Errorf("UsernameKey trims to %q, %q, %v", display, key, err)
	}
	for _, in := range []string{"", " ", "a@b", "a\u200cb", "a\u200db", "\u00a8", "a＠b", "a\tb", "a\u200bb", "\xff", strings.Repeat("x", 101)} {
		if _, _, err := UsernameKey(in); err == nil {
			t.Errorf("UsernameKey(%q) was accepted", in)
		}
	}
	if _, _, err := UsernameKey(strings.Repeat("é", 100)); err != nil {
		t.Errorf("100 characters: %v", err)
	}
}

// Words of Persian and of Indic languages have joiners in them.
func TestPersonalNamesHaveJoiners(t *testing.T) {
	for _, name := range []string{"می\u200cخواهم", "\u0915\u094d\u200d\u0937", "\u0915\u094d\u200c\u0937", "Ada"} {
		if got, err := checkPersonalName("first_name", name); err != nil || got != name {
			t.Errorf("%q: %q, %v", name, got, err)
		}
		if _, err := checkName("roles", name); (err == nil) != (name == "Ada") {
			t.Errorf("as a key %q: %v", name, err)
		}
	}
	for _, name := range []string{
		"\u200cAda", "Ada\u200d", "A\u200c\u200cb", "A \u200cb", "A\u200c b", "1\u200c2", "a\u200bb", "a\u202eb", "\u200d", "a\xffb", strings.Repeat("a\u200c", 60) + "a",
	} {
		if got, err := checkPersonalName("first_name", name); err == nil {
			t.Errorf("%q was accepted as %q", name, got)
		}
	}
}

func FuzzEmailKey(f *testing.F) {
	for _, s := range []string{"ada@example.org", "Ｘ@ＥＸＡＭＰＬＥ.org", "ß@ẞ.de", "a@b@c", "\u0345\u03b1@x", "ﬃ@ǆ.hr"} {
		f.Add(s)
	}
	f.Fuzz(func(t *testing.T, in string) {
		display, key, err := EmailKey(in)
		if err != nil {
			return
		}
		if !utf8.ValidString(display) || len(display) > maxEmailBytes || len(key) > maxEmailBytes || strings.Count(key, "@") != 1 {
			t.Fatalf("EmailKey(%q) = %q, %q", in, display, key)
		}
		for _, again := range []string{display, key} {
			if _, k, err := EmailKey(again); err != nil || k != key {
				t.Fatalf("EmailKey(%q) = %q, %v; want the key %q that %q has", again, k, err, key, in)
			}
		}
	})
}
