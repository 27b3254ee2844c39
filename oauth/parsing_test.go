package oauth

import (
	"strings"
	"testing"
	"time"

	"github.com/google/uuid"

	"github.com/keyturn/keyturn/internal/refusal"
	"github.com/keyturn/keyturn/keys"
)

func sampleToken(t testing.TB) (*tokenKeys, Family, string) {
	t.Helper()
	line, err := keys.NewMaster()
	if err != nil {
		t.Fatal(err)
	}
	masters, err := keys.ParseMasters([]byte(line))
	if err != nil {
		t.Fatal(err)
	}
	k := newTokenKeys(masters, refreshPrefix, "refresh")
	f := Family{ID: uuid.NewString(), Salt: newSalt(), MasterID: k.primary, Generation: 1<<40 + 7, RotatedAt: time.Now()}
	token, err := k.derive(f)
	if err != nil {
		t.Fatal(err)
	}
	return k, f, token
}

func TestEveryChangedCharacterOfARefreshTokenIsFound(t *testing.T) {
	k, f, token := sampleToken(t)
	p, err := k.parseToken(token)
	if err != nil || p.familyID != f.ID || p.generation != f.Generation || k.verify(p, f) != nil {
		t.Fatalf("parse: %+v, %v", p, err)
	}
	for i := range len(token) {
		for _, c := range []byte("A_z") {
			if token[i] == c {
				continue
			}
			changed := token[:i] + string(c) + token[i+1:]
			if _, err := k.parseToken(changed); err == nil {
				t.Fatalf("a token changed at %d was taken", i)
			}
		}
		if _, err := k.parseToken(token[:i]); err == nil {
			t.Fatalf("a token cut at %d was taken", i)
		}
	}
}

func FuzzRefreshToken(f *testing.F) {
	k, _, token := sampleToken(f)
	f.Add(token)
	f.Add("kt_rt_")
	f.Add(strings.Repeat("A", 94))
	f.Fuzz(func(t *testing.T, s string) {
		if _, err := k.parseToken(s); err == nil && s != token {
			t.Fatalf("%q was taken", s)
		}
	})
}

func FuzzForm(f *testing.F) {
	f.Add("grant_type=password&username=a%40b.c&password=%00")
	f.Add("resource=a&resource=b&x=1")
	f.Add("a=1;b=2")
	f.Add("%zz")
	f.Fuzz(func(t *testing.T, body string) {
		got, e := parseForm(body)
		if e != nil {
			if e.Code != refusal.Malformed {
				t.Fatalf("%q: %v", body, e)
			}
			return
		}
		for name := range got.values {
			if name != "resource" && len(got.all(name)) > 1 {
				t.Fatalf("%q: %s is there twice", body, name)
			}
		}
	})
}
