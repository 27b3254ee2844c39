package users

import (
	"strings"
	"testing"
	"unicode/utf8"
)

// What Python's codec makes of them.
var domains = map[string]string{
	"bücher": "bcher-kva", "münchen": "mnchen-3ya", "straße": "strae-oqa", "faß": "fa-hia", "παράδειγμα": "hxajbheg2az3al", "例え": "r8jz45g",
	"テスト": "zckzah", "пример": "e1afmkfd", "рф": "p1ai", "नमस्ते": "h2bhs4b8d8a", "한국": "3e0b707e", "中国": "fiqs8s", "ü": "tda", "a-ü-b": "a--b-1ra",
	"президент": "d1abbgf6aiiy", "": "", "abc": "abc-",
}

func TestPunycode(t *testing.T) {
	for want, encoded := range domains {
		if got, err := decodePunycode(encoded); err != nil || got != want {
			t.Errorf("%q: %q, %v; want %q", encoded, got, err, want)
		}
	}
	for _, bad := range []string{"ü", "bcher-kv", "bcher-k!a", "999999999", "99999999999999999999999999999999", "kva-", "BCHER-KVA", strings.Repeat("a", 64)} {
		if got, err := decodePunycode(bad); err == nil && got != strings.TrimSuffix(bad, "-") {
			t.Errorf("%q was decoded to %q", bad, got)
		}
	}
}

// TestDomainsAreComparedInOneForm: browsers send the xn-- form of what was typed.
func TestDomainsAreComparedInOneForm(t *testing.T) {
	for domain, encoded := range domains {
		if domain == "" || domain == "abc" {
			continue
		}
		_, want, err := EmailKey("Ada@mail." + domain + ".Example")
		if err != nil {
			t.Fatal(err)
		}
		for _, form := range []string{"ada@mail.xn--" + encoded + ".example", "ADA@MAIL.XN--" + strings.ToUpper(encoded) + ".EXAMPLE"} {
			if display, key, err := EmailKey(form); err != nil || key != want || display != form {
				t.Errorf("%s: %q, %q, %v; want %q", form, display, key, err, want)
			}
		}
	}
	// What has no form in Unicode that an address may have is compared as it is: U+200C
	// within, an @ or a dot, a letter that stands for ASCII, nothing, no Punycode.
	for _, label := range []string{"xn--mgba3gch31f060k", "xn--ab-iw3n", "xn--ab-yu3n", "xn----a-486sob", "xn--ab-j1t", "xn---", "xn--", "xn--99999999"} {
		in := "ada@" + label + ".example"
		if _, key, err := EmailKey(in); err == nil && key != in {
			t.Errorf("%s is compared as %q", in, key)
		}
	}
}

func FuzzUnicodeDomain(f *testing.F) {
	for _, encoded := range domains {
		f.Add(encoded)
	}
	f.Fuzz(func(t *testing.T, encoded string) {
		if decoded, err := decodePunycode(encoded); err == nil && (!utf8.ValidString(decoded) || utf8.RuneCountInString(decoded) > len(encoded)) {
			t.Fatalf("%q: %q", encoded, decoded)
		}
		_, key, err := EmailKey("ada@xn--" + encoded + ".example")
		if err != nil {
			return
		}
		if _, again, err := EmailKey(key); err != nil || again != key {
			t.Fatalf("%q: %q has the key %q, %v", encoded, key, again, err)
		}
	})
}

// TestU1_AccountsOfBothFormsStay makes accounts as a former version did, which took the
// forms of one domain for two addresses: everybody logs in as before, an account that
// stands alone is found by both forms once all were surveyed, and no second one is made.
func TestU1_AccountsOfBothFormsStay(t *testing.T) {
	t.Parallel()
	f := newFixture(t)
	const unicode, ascii, alone, aloneToo = "a@bücher.example", "a@xn--bcher-kva.example", "b@xn--bcher-kva.example", "b@BÜCHER.example"
	former := func(email string) User {
		added, err := f.Add(t.Context(), NewUser{Email: strings.Replace(email, "@", "@former.", 1), Password: otherPassword})
		if err != nil {
			t.Fatal(err)
		}
		u, err := f.mem.UserByID(t.Context(), added.UID)
		if err != nil {
			t.Fatal(err)
		}
		next := u
		next.Email = email
		if _, next.EmailKey, err = typedKey(email); err != nil {
			t.Fatal(err)
		}
		if err := f.mem.ReplaceUser(t.Context(), u, next); err != nil {
			t.Fatal(err)
		}
		return u
	}
	first, second, third := former(unicode), former(ascii), former(alone)
	finds := func(login string, want User) {
		t.Helper()
		if u, err := f.Authenticate(t.Context(), login, otherPassword); err != nil || u.UID != want.UID {
			t.Errorf("%s: %s, %v; want %s", login, u.UID, err, want.UID)
		}
		if u, err := ByEmail(t.Context(), f.Store, login); err != nil || u.UID != want.UID {
			t.Errorf("%s is found as %s, %v; want %s", login, u.UID, err, want.UID)
		}
	}
	for range 2 {
		finds(unicode, first)
		finds(ascii, second)
		finds(strings.ToUpper(ascii), second)
		finds(alone, third)
		if err := f.Survey(t.Context()); err != nil {
			t.Fatal(err)
		}
	}
	finds(aloneToo, third)
	for _, taken := range []string{unicode, ascii, alone, aloneToo} {
		if _, err := f.SignUp(t.Context(), NewUser{Email: taken, Password: otherPassword}); err == nil {
			t.Errorf("a second account for %s", taken)
		}
	}
	_, err := f.Authenticate(t.Context(), "nobody@xn--bcher-kva.example", otherPassword)
	wantReason(t, err, "unknown_user")
}
