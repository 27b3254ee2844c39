package passwords

import (
	"maps"
	"strings"
	"testing"
)

// weakVectors are the names of the vectors that are never at rest as they are.
func weakVectors(t *testing.T) (names []string) {
	t.Helper()
	for name, encoded := range vectors {
		h, err := Parse(encoded)
		if err != nil {
			t.Fatal(err)
		}
		if h.Weak() {
			names = append(names, name)
		}
	}
	if len(names) < 20 {
		t.Fatalf("only %d weak vectors", len(names))
	}
	return names
}

// A weak hash is wrapped: what is stored has its password, no longer its digest,
// and tells as much as argon2id does.
func TestU3_WeakHashesAreWrapped(t *testing.T) {
	t.Parallel()
	h := newHasher(t, 4)
	for _, name := range weakVectors(t) {
		encoded := vectors[name]
		stored, err := h.Wrap(t.Context(), encoded)
		if err != nil {
			t.Errorf("%s: %v", name, err)
			continue
		}
		again, err := h.Wrap(t.Context(), encoded)
		if err != nil || again == stored {
			t.Errorf("%s: two wrapped hashes have the same salt: %v", name, err)
		}
		if tail := encoded[len(encoded)-16:]; strings.Contains(stored, tail) {
			t.Errorf("%s: %s holds the digest of %s", name, stored, encoded)
		}
		if hash, err := Parse(stored); err != nil || hash.Weak() {
			t.Errorf("%s: %s: %v", name, stored, err)
		} else if w, ok := hash.scheme.(wrappedHash); !ok || w.encode() != stored || strings.Trim(w.inner.ownDigest(), ".0") != "" {
			t.Errorf("%s: %s reads back as %+v", name, stored, hash.scheme)
		}
		if ok, err := verify(stored, vectorPassword); !ok || err != nil {
			t.Errorf("%s: the password: %t, %v", name, ok, err)
		}
		for _, wrong := range []string{"", vectorPassword + " ", strings.Repeat("x", 300), "\xff"} {
			if ok, err := verify(stored, wrong); ok || err != nil {
				t.Errorf("%s: %q: %t, %v", name, wrong, ok, err)
			}
		}
		v, err := h.Verify(t.Context(), stored, vectorPassword, true, nil)
		if err != nil || v != (Verdict{Match: true, Renew: true}) {
			t.Errorf("%s: %+v, %v", name, v, err)
		}
	}
	for _, encoded := range []string{vectors["argon2id"], vectors["bcrypt 2b"], vectors["sha512crypt"], "nonsense"} {
		if stored, err := h.Wrap(t.Context(), encoded); err == nil {
			t.Errorf("%s was wrapped: %s", encoded, stored)
		}
	}
}

// A password that is cut by a scheme matches nothing, wrapped or not.
func TestU3_LongPasswordsOfCryptAreNotCut(t *testing.T) {
	t.Parallel()
	h := newHasher(t, 1)
	whole := strings.Repeat("x", maxCryptPassword)
	for _, setting := range []string{
		cryptHash{ident: "1", salt: "salt"}.bare(), cryptHash{ident: "6", rounds: 1000, given: true, salt: "salt"}.bare(),
		phpassHash{setting: "$P$5saltsalt"}.bare(), phpassHash{setting: "$S$5saltsalt"}.bare(),
	} {
		bare, err := Parse(setting)
		if err != nil {
			t.Fatal(err)
		}
		digest := bare.scheme.(weakScheme).digestOf(whole)
		encoded := setting[:len(setting)-len(digest)] + digest
		forms := []string{encoded}
		if bare.Weak() {
			stored, err := h.Wrap(t.Context(), encoded)
			if err != nil {
				t.Fatal(err)
			}
			forms = append(forms, stored)
		}
		for _, form := range forms {
			if ok, err := verify(form, whole); !ok || err != nil {
				t.Errorf("%s: %d bytes: %t, %v", form, len(whole), ok, err)
			}
			if ok, err := verify(form, whole+"x"); ok || err != nil {
				t.Errorf("%s: one byte more: %t, %v", form, ok, err)
			}
		}
	}
}

// Every refusal beside wrapped hashes costs what the costliest of their inner
// hashes and argon2id cost together, once for each form of the password.
func TestU1_WrappedHashesAreLevelled(t *testing.T) {
	t.Parallel()
	h := newHasher(t, 1)
	stored := map[string]string{"unknown": ""}
	var kinds []string
	for _, name := range []string{"phpass", "phpass phpBB", "wordpress phpass", "ldap ssha", "hex md5", "md5crypt", "drupal 7", "sha256crypt", "keycloak pbkdf2-sha1"} {
		encoded := vectors[name]
		if hash, err := Parse(encoded); err != nil {
			t.Fatal(err)
		} else if hash.Weak() {
			if encoded, err = h.Wrap(t.Context(), encoded); err != nil {
				t.Fatal(err)
			}
		}
		stored[name] = encoded
		hash, err := Parse(encoded)
		if err != nil {
			t.Fatal(err)
		}
		for _, part := range hash.parts() {
			kinds = append(kinds, part.blank())
		}
	}
	for _, password := range []string{wrongPassword, "Cafe\u0301 au lait, s'il vous plai\u0302t"} {
		want := map[string]uint64{}
		for name, encoded := range stored {
			cost := h.spent(func() {
				if v, err := h.Verify(t.Context(), encoded, password, true, kinds); err != nil || v.Match {
					t.Errorf("%s: %+v, %v", name, v, err)
				}
			})
			if len(want) == 0 {
				want = cost
			} else if !maps.Equal(cost, want) {
				t.Errorf("%s costs\n%v, another\n%v", name, cost, want)
			}
		}
		times := uint64(1)
		if password != wrongPassword {
			times = 2
		}
		if want["phpass"] != times*8192 || want["sha1"] != times || want["md5"] != times || want["md5crypt"] != times ||
			want["drupal"] != times*256 || want[h.own.kind().family] != times {
			t.Errorf("a refusal of %q costs %v", password, want)
		}
	}
	// Its kinds unknown, a wrapped hash still pays for both of its parts.
	cost := h.spent(func() {
		if _, err := h.Verify(t.Context(), stored["phpass"], wrongPassword, true, nil); err != nil {
			t.Error(err)
		}
	})
	if cost["phpass"] != 256 || cost[h.own.kind().family] != 1 {
		t.Errorf("it costs %v", cost)
	}
}

// What another system hashed as it was typed is found, and hashed anew in NFC.
func TestU3_PasswordsAsTheyWereTyped(t *testing.T) {
	t.Parallel()
	h := newHasher(t, 1)
	const typed, normal = "Cafe\u0301 au lait a\u0300 la carte", "Caf\u00e9 au lait \u00e0 la carte"
	made := map[string]string{
		"own":     hashArgon2id(cheap, typed).encode(),
		"phpass":  phpassHash{setting: "$P$5saltsalt"}.setting + phpassHash{setting: "$P$5saltsalt"}.digestOf(typed),
		"normal":  hashArgon2id(cheap, normal).encode(),
		"sha-512": "$6$salt$" + cryptHash{ident: "6", rounds: 5000, salt: "salt"}.digestOf(typed),
	}
	for name, encoded := range made {
		if hash, err := Parse(encoded); err != nil {
			t.Fatal(name, err)
		} else if hash.Weak() {
			if encoded, err = h.Wrap(t.Context(), encoded); err != nil {
				t.Fatal(err)
			}
		}
		v, err := h.Verify(t.Context(), encoded, typed, true, nil)
		if want := (Verdict{Match: true, Renew: name != "normal"}); err != nil || v != want {
			t.Errorf("%s: as typed: %+v, %v", name, v, err)
		}
		v, err = h.Verify(t.Context(), encoded, normal, true, nil)
		if err != nil || v.Match != (name == "normal") {
			t.Errorf("%s: in NFC: %+v, %v", name, v, err)
		}
	}
}
