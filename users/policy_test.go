package users

import (
	"slices"
	"strings"
	"testing"
	"unicode/utf8"

	"github.com/keyturn/keyturn/internal/passwords"
	"github.com/keyturn/keyturn/internal/refusal"
)

func TestU5_LengthIsCountedInCharacters(t *testing.T) {
	for _, c := range []struct {
		min      int
		password string
		ok       bool
	}{
		{0, "kx7 vq2 mz9 wd", false},
		{0, "kx7 vq2 mz9 wdp", true},
		{8, "kx7 vq2", false},
		{8, "kx7 vq2m", true},
		{1, "kx7 vq2", false},
		{20, "kx7 vq2 mz9 wdp", false},
		{8, "äöüßéèà", false},
		{8, "äöüßéèàñ", true},
		{8, strings.Repeat("e\u0301", 4) + "xyz", false}, // 11 as sent, 7 normalised
		{0, strings.Repeat("水火木金土月日星", 8), true},
	} {
		err := Policy{MinLength: c.min}.Check(c.password, User{})
		if (err == nil) != c.ok {
			t.Errorf("minimum %d: Check(%q) = %v, want ok = %t", c.min, c.password, err, c.ok)
		}
		if no := refusal.Of(err); no != nil && (no.Code != refusal.Unacceptable || no.Field != "password" || strings.Contains(no.Text, c.password)) {
			t.Errorf("Check(%q) = %#v", c.password, err)
		}
	}
}

func TestU5_LongPasswordsAreWholeOrRefused(t *testing.T) {
	random := strings.Repeat("correct battery horse staple, ", 40)
	for _, n := range []int{64, 72, 73, 500, passwords.MaxBytes} {
		if err := (Policy{}).Check("#"+random[:n-1], User{}); err != nil {
			t.Errorf("%d bytes: %v", n, err)
		}
	}
	if err := (Policy{}).Check(random[:passwords.MaxBytes]+"x", User{}); err == nil {
		t.Error("a password over the maximum was accepted")
	}
}

func TestU5_KnownPasswordsAreRefused(t *testing.T) {
	u := User{Email: "grace.hopper@navy.example", Username: "amazing_grace", FirstName: "Grace", LastName: "Hopper"}
	for _, bad := range []string{
		"passwordpassword", "PasswordPassword", "password12345678", "1234password5678", "Password Password Password!",
		"p-a-s-s-w-o-r-d-1-2-3", "qwertyuiop123456789", "123456789987654321", "iloveyou!!!!!!!!!", "ILoveYou2026ILoveYou2026",
		"passwordpasswordpas", "letmein letmein letmein", "12345678901234567890", "abcdefghijklmnopqrstuvwxyz", "zyxwvutsrqponmlkj",
		"aaaaaaaaaaaaaaaa", "abcabcabcabcabcabc", "................",
		"grace.hopper@navy.example", "GRACE.HOPPER@NAVY.EXAMPLE", "grace.hopper12345", "gracehopper2026!", "Grace Hopper 1906",
		"HopperGrace123456", "amazing_grace!!!!!", "hopperhopperhopper", "keyturn keyturn 1", "ｐａｓｓｗｏｒｄｐａｓｓｗｏｒｄ",
	} {
		if err := (Policy{}).Check(bad, u); err == nil {
			t.Errorf("Check(%q) accepted it", bad)
		}
	}
	for _, good := range []string{
		goodPassword, otherPassword, "correct horse battery staple", "password of my old cat", "x8!kQ2#vM9@pL4zR",
		"8392017492834756", "Grace and Ada walk home", "всё будет хорошо завтра", "水のように流れる日々を過ごす人",
	} {
		if err := (Policy{}).Check(good, u); err != nil {
			t.Errorf("Check(%q) = %v", good, err)
		}
	}
}

func TestU5_NoCompositionRules(t *testing.T) {
	for _, plain := range []string{"thequietriverbends", "THEQUIETRIVERBENDS", "729384610573926", "🐟 🐠 🐡 🦈 🐙 🦑 🦐 🦀"} {
		if err := (Policy{}).Check(plain, User{}); err != nil {
			t.Errorf("Check(%q) = %v", plain, err)
		}
	}
}

func TestU5_BlocklistIsLargeAndSorted(t *testing.T) {
	list := blocklist()
	if len(list) < 10_000 || !slices.IsSorted(list) {
		t.Fatalf("%d entries, sorted: %t", len(list), slices.IsSorted(list))
	}
	for _, word := range list {
		if word != fold(word) || utf8.RuneCountInString(word) < shortestWord {
			t.Fatalf("entry %q cannot be found", word)
		}
	}
	for _, word := range []string{"123456", "password", "qwerty", "letmein", "dragon", "1qaz2wsx"} {
		if !isCommon(word) {
			t.Errorf("%q is missing", word)
		}
	}
}

func FuzzPolicy(f *testing.F) {
	for _, s := range []string{goodPassword, "passwordpassword", "abcabcabc", "\xff", "e\u0301e\u0301", "1"} {
		f.Add(s)
	}
	f.Fuzz(func(t *testing.T, in string) {
		err := Policy{}.Check(in, User{Email: "ada@example.org", FirstName: "Ada"})
		normal, normErr := passwords.Normalize(in)
		if normErr != nil && err == nil {
			t.Fatalf("Check(%q) accepted what Normalize refuses", in)
		}
		if normErr != nil {
			return
		}
		if again, _ := passwords.Normalize(normal); again != normal {
			t.Fatalf("Normalize is not stable for %q", in)
		}
		if err == nil && utf8.RuneCountInString(normal) < defaultMinLength {
			t.Fatalf("Check(%q) accepted a short password", in)
		}
		if unit := repeatedUnit(normal); unit != "" && !strings.HasPrefix(strings.Repeat(unit, len(normal)/len(unit)+1), normal) {
			t.Fatalf("repeatedUnit(%q) = %q", normal, unit)
		}
	})
}
