package keys

import (
	"bytes"
	"encoding/base64"
	"errors"
	"fmt"
	"strings"
	"testing"
)

func TestParseMasters(t *testing.T) {
	line, err := NewMaster()
	if err != nil {
		t.Fatal(err)
	}
	other, _ := NewMaster()
	m, err := ParseMasters([]byte("# made in 2026\r\n\r\n  " + line + "\r\n" + other + "\n"))
	if err != nil {
		t.Fatal(err)
	}
	if ids := m.IDs(); len(ids) != 2 || ids[0] != m.Primary() || len(ids[0]) != 16 || !m.Has(ids[1]) {
		t.Errorf("IDs() = %v, Primary() = %s", ids, m.Primary())
	}
	if m.Has("0000000000000000") {
		t.Error("Has an id that is not there")
	}
}

func TestParseMastersRefuses(t *testing.T) {
	good, _ := NewMaster()
	// The last character carries four bits that must be zero.
	loose := good[:len(good)-1] + "B"
	many := ""
	for range maxMasterCount + 1 {
		line, _ := NewMaster()
		many += line + "\n"
	}
	for name, text := range map[string]string{
		"empty":         "",
		"only comments": "# nothing\n\n",
		"no prefix":     "# key\n" + strings.TrimPrefix(good, masterPrefix),
		"short":         good[:len(good)-1],
		"long":          good + "A",
		"padded":        good + "=",
		"loose bits":    loose,
		"not base64url": good[:20] + "+" + good[21:],
		"inner break":   good[:20] + "\r" + good[21:],
		"twice":         good + "\n" + good,
		"too many":      many,
		"too large":     strings.Repeat("#", maxMasterFile+1),
	} {
		_, err := ParseMasters([]byte(text))
		if err == nil {
			t.Errorf("%s: accepted", name)
			continue
		}
		if strings.Contains(err.Error(), good[10:30]) {
			t.Errorf("%s: the error shows the key", name)
		}
		if strings.Contains(text, "kt_mk_") && !strings.Contains(err.Error(), "line ") {
			t.Errorf("%s: the error names no line: %v", name, err)
		}
	}
}

func TestDerive(t *testing.T) {
	m := testMasters(t, 2)
	a, ok := m.Derive(m.Primary(), "keyturn/one/v1")
	if !ok || len(a) != 32 {
		t.Fatalf("Derive = %d bytes, %v", len(a), ok)
	}
	again, _ := m.Derive(m.Primary(), "keyturn/one/v1")
	info, _ := m.Derive(m.Primary(), "keyturn/two/v1")
	other, _ := m.Derive(m.IDs()[1], "keyturn/one/v1")
	if !bytes.Equal(a, again) || bytes.Equal(a, info) || bytes.Equal(a, other) {
		t.Error("a derived key must follow from the secret and the purpose, and from nothing else")
	}
	if _, ok := m.Derive("0000000000000000", "x"); ok {
		t.Error("derived from a secret that is not there")
	}
}

func TestK7_MastersNeverPrintTheirSecrets(t *testing.T) {
	line, _ := NewMaster()
	m, _ := ParseMasters([]byte(line))
	raw, _ := base64.RawURLEncoding.DecodeString(strings.TrimPrefix(line, masterPrefix))
	for _, verb := range []string{"%v", "%+v", "%#v", "%s", "%d", "%x", "%q"} {
		out := fmt.Sprintf(verb, m)
		for _, form := range []string{
			string(raw), fmt.Sprintf("%x", raw), fmt.Sprintf("%d", raw[:8])[1:], line[10:30], fmt.Sprintf("%#v", raw[:4])[7:20],
		} {
			if strings.Contains(out, form) {
				t.Errorf("%s shows the secret", verb)
			}
		}
	}
}

func TestSealer(t *testing.T) {
	m := testMasters(t, 2)
	s := m.Sealer(sealInfo)
	sealed, err := s.Seal([]byte("private"), []byte("kid"))
	if err != nil {
		t.Fatal(err)
	}
	plain, err := s.Open(sealed, []byte("kid"))
	if err != nil || string(plain) != "private" {
		t.Fatalf("Open = %q, %v", plain, err)
	}
	if id, ok := s.SealedUnder(sealed); !ok || id != m.Primary() {
		t.Errorf("SealedUnder = %s, %v", id, ok)
	}
	if _, err := s.Open(sealed, []byte("other")); !errors.Is(err, errDamaged) {
		t.Errorf("opened for another key: %v", err)
	}
	for i := range sealed {
		bad := bytes.Clone(sealed)
		bad[i] ^= 1
		if _, err := s.Open(bad, []byte("kid")); err == nil {
			t.Fatalf("opened with byte %d changed", i)
		}
		if _, err := s.Open(sealed[:i], []byte("kid")); err == nil {
			t.Fatalf("opened after being cut at %d", i)
		}
	}
	var missing *MissingMasterError
	_, err = testMasters(t, 1).Sealer(sealInfo).Open(sealed, []byte("kid"))
	if !errors.As(err, &missing) || missing.ID != m.Primary() {
		t.Errorf("Open with other masters: %v", err)
	}
	turned := &Masters{list: []master{m.list[1], m.list[0]}}
	if _, current := turned.Vault().SealedUnder(sealed); current {
		t.Error("sealed under a secondary secret, yet counts as current")
	}
	if id, current := m.Vault().SealedUnder(sealed); !current || id != m.Primary() {
		t.Errorf("sealed under %s, current %v", id, current)
	}
	if id, current := m.Vault().SealedUnder([]byte("a handle of another vault, long enough to be one of ours, as it seems, or not")); current || id != "" {
		t.Errorf("foreign: sealed under %s, current %v", id, current)
	}
}

func FuzzParseMasters(f *testing.F) {
	line, _ := NewMaster()
	f.Add([]byte(line))
	f.Add([]byte("# x\n\n" + line + "\r\n"))
	f.Add([]byte("kt_mk_"))
	f.Fuzz(func(t *testing.T, text []byte) {
		m, err := ParseMasters(text)
		if err != nil {
			return
		}
		var lines []string
		for _, k := range m.list {
			if len(k.secret) != masterSize {
				t.Fatalf("secret of %d bytes", len(k.secret))
			}
			lines = append(lines, masterPrefix+base64.RawURLEncoding.EncodeToString(k.secret))
		}
		again, err := ParseMasters([]byte(strings.Join(lines, "\n")))
		if err != nil || strings.Join(again.IDs(), " ") != strings.Join(m.IDs(), " ") {
			t.Fatalf("does not read what it means: %v", err)
		}
	})
}

func FuzzOpen(f *testing.F) {
	s := testMasters(f, 1).Sealer(sealInfo)
	sealed, _ := s.Seal([]byte("private"), []byte("kid"))
	f.Add(sealed)
	f.Add(sealed[:sealMinimum-1])
	f.Add([]byte{})
	f.Fuzz(func(t *testing.T, data []byte) {
		plain, err := s.Open(data, []byte("kid"))
		if err == nil && !bytes.Equal(data, sealed) {
			t.Fatalf("opened a forgery: %q", plain)
		}
	})
}
