package passwords

import (
	"maps"
	"strings"
	"testing"
)

// What Devise::Encryptor.digest of Devise 4 made (ruby-bcrypt 3.1.18, stretches 5),
// of vectorPassword and of 72 bytes.
const (
	devisePepper      = "eeeeeeeeeeeeeeeeeeeeeeeeeeeeeeeeeeeeeeeeeeeeeeeeeeeeeeeeeeeeeeeeeeeeeeeeeeeeeeeeeeeeeeeeeeeeeeeeeeeeeeeeeeeeeeeeeeeeeeeeeeeeeee7"
	deviseHash        = "$2a$05$ac6QtcSfe/CNiFRNZ2wttuwMOlHgzQf790gnJep2HC3dlvvO4gZc2"
	deviseShortPepper = "$2a$05$Z8Xu7iOPNl/i3tEdfEduMuMgoVpX/DfDtiCgwiMxBljh1YxUu4qbe"
	devise72          = "$2a$05$Uf6ghsYcXd7IFho7eJATNOzkRetbU3yw9wf.Ol6eVBDouY7Zul1wi"
)

func peppered(t testing.TB, encoded string) string {
	t.Helper()
	kept, err := Pepper(encoded)
	if err != nil {
		t.Fatal(err)
	}
	return kept
}

func TestU3_DevisePeppers(t *testing.T) {
	t.Parallel()
	for _, c := range []struct {
		name, pepper, hash, password string
		match                        bool
	}{
		{"right", devisePepper, deviseHash, vectorPassword, true},
		{"right, short pepper", "short", deviseShortPepper, vectorPassword, true},
		{"not in NFC", devisePepper, deviseHash, "Gru\u0308ße aus Ko\u0308nigsberg 7", true},
		{"wrong password", devisePepper, deviseHash, wrongPassword, false},
		{"another pepper", strings.Repeat("d", 128), deviseHash, vectorPassword, false},
		{"a part of the pepper typed along", "rt", deviseShortPepper, vectorPassword + "sho", true},
		{"the pepper typed along", "short", deviseShortPepper, vectorPassword + "short", false},
		{"no pepper", "", deviseHash, vectorPassword, false},
		{"no pepper, all typed", "", deviseShortPepper, vectorPassword + "short", false},
		{"72 bytes", devisePepper, devise72, strings.Repeat("x", 72), true},
		{"73 bytes", devisePepper, devise72, strings.Repeat("x", 73), false},
		{"nothing", devisePepper, deviseHash, "", false},
	} {
		h := newHasher(t, 1)
		h.SetPepper(c.pepper)
		v, err := h.Verify(t.Context(), peppered(t, c.hash), c.password, true, nil)
		if err != nil || v.Match != c.match || v.Match && !v.Renew {
			t.Errorf("%s: %+v, %v; want a match: %t", c.name, v, err, c.match)
		}
	}
}

// A refusal costs the same with a pepper, without, and for accounts that have none.
func TestU1_PepperedRefusalsCostTheSame(t *testing.T) {
	t.Parallel()
	kept := peppered(t, deviseHash)
	kinds := []string{kindOf(t, kept), kindOf(t, vectors["bcrypt 2b"])}
	for _, pepper := range []string{"", devisePepper} {
		h := newHasher(t, 1)
		h.SetPepper(pepper)
		want := h.spent(func() {
			if err := h.Dummy(t.Context(), wrongPassword, kinds); err != nil {
				t.Error(err)
			}
		})
		if want["peppered bcrypt"] != 32 || want["bcrypt"] != 32 {
			t.Errorf("an unknown account costs %v", want)
		}
		for _, password := range []string{wrongPassword, strings.Repeat("x", 80), ""} {
			for _, encoded := range []string{kept, vectors["bcrypt 2b"], peppered(t, devise72)} {
				cost := h.spent(func() {
					if v, err := h.Verify(t.Context(), encoded, password, true, kinds); err != nil || v.Match {
						t.Errorf("%.20q: %t, %v", password, v.Match, err)
					}
				})
				if !maps.Equal(cost, want) {
					t.Errorf("%.20q costs\n%v, an unknown account\n%v", password, cost, want)
				}
			}
		}
	}
}

func TestU3_PepperedHashesAreOfBcryptAlone(t *testing.T) {
	t.Parallel()
	if kept := peppered(t, "{bcrypt}"+deviseHash); kept != pepperedPrefix+deviseHash || !Peppered(kept) || Peppered(deviseHash) {
		t.Errorf("it is kept as %q", kept)
	}
	for name, encoded := range vectors {
		plain := isBcrypt(withoutLabel(encoded))
		if _, err := Pepper(encoded); (err == nil) != plain {
			t.Errorf("%s: %v", name, err)
		}
	}
	for _, encoded := range []string{
		pepperedPrefix, pepperedPrefix + vectors["argon2id"], pepperedPrefix + vectors["wordpress 6.8"], pepperedPrefix + pepperedPrefix + deviseHash,
		pepperedPrefix + deviseHash + "x", pepperedPrefix + "$2b$15" + deviseHash[6:], "$peppered" + deviseHash, pepperedPrefix + "{bcrypt}" + deviseHash,
	} {
		if _, err := Parse(encoded); err == nil || strings.Contains(err.Error(), "ac6Qtc") {
			t.Errorf("Parse(%q): %v", encoded, err)
		}
	}
	for _, pepper := range []string{"", "a\nb", "a\r", "a\x00", strings.Repeat("p", maxPepper+1)} {
		if err := CheckPepper(pepper); err == nil || len(pepper) > 3 && strings.Contains(err.Error(), "ppp") {
			t.Errorf("%q is taken: %v", pepper, err)
		}
	}
}
