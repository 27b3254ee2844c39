package passwords

import (
	"errors"
	"fmt"
	"maps"
	"strings"
	"testing"
	"testing/synctest"

	"golang.org/x/crypto/bcrypt"
	"pgregory.net/rapid"
)

// kindOf returns what announce would make known of a hash.
func kindOf(t testing.TB, encoded string) string {
	t.Helper()
	hash, err := Parse(encoded)
	if err != nil {
		t.Fatal(err)
	}
	return hash.blank()
}

// spent returns what h spent in each family while do ran.
func (h *Hasher) spent(do func()) map[string]uint64 {
	before := h.Stats().Work
	do()
	work := h.Stats().Work
	for family, n := range before {
		if work[family] -= n; work[family] == 0 {
			delete(work, family)
		}
	}
	return work
}

// Every refusal costs the same in every family of hashes that there are; only a
// login that succeeds ends earlier.
func TestU1_EveryRefusalCostsTheSame(t *testing.T) {
	t.Parallel()
	h := newHasher(t, 1)
	own, err := h.Hash(t.Context(), goodPassword)
	if err != nil {
		t.Fatal(err)
	}
	names := []string{"bcrypt 2b", "bcrypt-sha256 v2", "bcrypt django", "scrypt", "scrypt django", "pbkdf2 passlib", "pbkdf2-sha512", "argon2i"}
	kinds := []string{"not a kind", kindOf(t, own), "$2b$06$" + strings.Repeat(".", 53)}
	for _, name := range names {
		kinds = append(kinds, kindOf(t, vectors[name]))
	}
	want := h.spent(func() {
		if err := h.Dummy(t.Context(), wrongPassword, kinds); err != nil {
			t.Error(err)
		}
	})
	if want["bcrypt"] != 64 || want["pbkdf2-sha256"] != 2000 || want["scrypt ln=10,r=8,p=1"] != 1 || want[h.own.kind().family] != 1 || len(want) != 6 {
		t.Errorf("an unknown account costs %v", want)
	}
	type attempt struct {
		name, encoded, password string
		live, matched           bool
	}
	attempts := []attempt{
		{"unreadable hash", "$oops$", wrongPassword, true, false},
		{"wrong password", own, wrongPassword, true, false},
		{"disabled, wrong password", own, wrongPassword, false, false},
		{"disabled, right password", own, goodPassword, false, true},
		{"not a password", own, "\xff", true, false},
		{"too long for bcrypt", bcrypt72, strings.Repeat("x", 80), true, false},
	}
	for _, name := range names {
		attempts = append(attempts,
			attempt{name + ", wrong password", vectors[name], wrongPassword, true, false},
			attempt{name + ", disabled, right password", vectors[name], vectorPassword, false, true})
	}
	for _, a := range attempts {
		cost := h.spent(func() {
			if matched, err := h.Verify(t.Context(), a.encoded, a.password, a.live, kinds); err != nil || matched.Match != a.matched {
				t.Errorf("%s: %t, %v", a.name, matched.Match, err)
			}
		})
		if !maps.Equal(cost, want) {
			t.Errorf("%s costs\n%v, an unknown account\n%v", a.name, cost, want)
		}
	}
	success := h.spent(func() {
		if matched, err := h.Verify(t.Context(), own, goodPassword, true, kinds); err != nil || !matched.Match {
			t.Errorf("the right password: %t, %v", matched.Match, err)
		}
	})
	if len(success) != 1 || success[h.own.kind().family] != 1 {
		t.Errorf("a success costs %v", success)
	}
}

// To verify a hash and spend the rest is to verify the costliest: for whatever
// costs there are, the sums are equal.
func TestU1_CostsAddUp(t *testing.T) {
	t.Parallel()
	h := newHasher(t, 1)
	rapid.Check(t, func(r *rapid.T) {
		one := rapid.Custom(func(r *rapid.T) string {
			if rapid.Bool().Draw(r, "bcrypt") {
				return bcryptHash{cost: rapid.IntRange(4, 6).Draw(r, "cost")}.blank()
			}
			return pbkdf2Hash{
				rounds:   rapid.Uint32Range(1000, 1010).Draw(r, "rounds"),
				function: rapid.SampledFrom([]string{"sha1", "sha256", "sha512"}).Draw(r, "function"),
				digest:   make([]byte, rapid.IntRange(16, 64).Draw(r, "size")),
			}.blank()
		})
		kinds := rapid.SliceOfN(one, 1, 4).Draw(r, "kinds")
		cost := func(encoded string) map[string]uint64 {
			return h.spent(func() {
				if _, err := h.Verify(t.Context(), encoded, wrongPassword, true, kinds); err != nil {
					r.Error(err)
				}
			})
		}
		want := cost("")
		for _, encoded := range kinds {
			if got := cost(encoded); !maps.Equal(got, want) {
				r.Errorf("%s costs %v, an unknown account %v", encoded, got, want)
			}
		}
	})
}

// What a level spends is what it says: the schemes do that work, and none is
// refused before it is done.
func TestU1_BlankHashesAreReal(t *testing.T) {
	t.Parallel()
	for name, encoded := range vectors {
		hash, err := Parse(encoded)
		if err != nil {
			t.Fatal(err)
		}
		blank, err := Parse(hash.blank())
		if err != nil || blank.kind() != hash.kind() || blank.blank() != hash.blank() || blank.memoryKiB() != hash.memoryKiB() {
			t.Errorf("%s: %q is not of its kind: %v", name, hash.blank(), err)
			continue
		}
		if blank.Verify(vectorPassword) || blank.Verify("") {
			t.Errorf("%s: a password has the hash of nothing", name)
		}
	}
	if err := bcrypt.CompareHashAndPassword([]byte(bcryptHash{cost: 4}.blank()), []byte("x")); !errors.Is(err, bcrypt.ErrMismatchedHashAndPassword) {
		t.Errorf("bcrypt did not look at the password: %v", err)
	}
}

// More families than are levelled do not grow what a refusal costs.
func TestU1_LevelsAreBounded(t *testing.T) {
	t.Parallel()
	h := newHasher(t, 1)
	var kinds []string
	for n := range 3 * maxLevels {
		kinds = append(kinds, argon2Hash{params: Params{MemoryKiB: uint32(32 + n), Time: 1, Threads: 1}}.blank())
	}
	levels := h.levels(kinds)
	if len(levels) != maxLevels || levels[0].kind() != h.own.kind() {
		t.Errorf("%d levels", len(levels))
	}
}

// Imported hashes that need more than a slot's memory have it counted: no two
// computations go beyond what all slots may take.
func TestU2_ImportedHashesShareTheMemory(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		h := newHasher(t, 3) // 96 KiB
		like := func(kib uint32) Hash {
			return Hash{argon2Hash{params: Params{MemoryKiB: kib, Time: 1, Threads: 1}}}
		}
		begun, end := make(chan uint32, 9), make(chan struct{})
		start := func(kib uint32) {
			go h.withMemory(like(kib), func() { begun <- kib; <-end })
			synctest.Wait()
		}
		running := func(want ...uint32) {
			t.Helper()
			synctest.Wait()
			var got []uint32
			for len(begun) > 0 {
				got = append(got, <-begun)
			}
			if fmt.Sprint(got) != fmt.Sprint(want) {
				t.Errorf("%v KiB began; want %v", got, want)
			}
		}
		start(32)
		start(60)
		running(32, 60) // 92 of 96
		start(5)
		running()
		end <- struct{}{}
		running(5)
		start(4 << 10) // more than all: alone
		running()
		start(32)
		running() // and not overtaken
		end <- struct{}{}
		running()
		end <- struct{}{}
		running(4 << 10)
		end <- struct{}{}
		running(32)
		go h.withMemory(Hash{bcryptHash{cost: 4}}, func() { begun <- 0 })
		running(0) // needs none
		end <- struct{}{}
	})
}
