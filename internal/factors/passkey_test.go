package factors

import (
	"encoding/base64"
	"encoding/json"
	"errors"
	"fmt"
	"strings"
	"testing"
)

func TestRelyingPartyOf(t *testing.T) {
	for issuer, want := range map[string]RelyingParty{
		"https://id.example.com":             {"id.example.com", "https://id.example.com", "Engines"},
		"https://ID.example.com:8443/a":      {"id.example.com", "https://ID.example.com:8443", "Engines"},
		"http://localhost:8080":              {"localhost", "http://localhost:8080", "Engines"},
		"http://127.0.0.1:8080":              {},
		"https://[::1]:8443":                 {},
		"https://bad host":                   {},
		"https://xn--bcher-kva.example/path": {"xn--bcher-kva.example", "https://xn--bcher-kva.example", "Engines"},
	} {
		if got := RelyingPartyOf(issuer, "Engines"); got != want {
			t.Errorf("%s: %+v", issuer, got)
		}
	}
}

// TestOptionsOfNobody: where there can be no passkey nobody is asked for one.
func TestOptionsOfNobody(t *testing.T) {
	s := Set{List: []Factor{{Kind: TOTP}}}
	for _, c := range []Ceremony{{}, {Alone: true}} {
		if c.Request(s) != nil || c.Creation("u", "n", s) != nil {
			t.Errorf("%+v", c)
		}
	}
	here := Ceremony{RelyingParty: RelyingParty{ID: "localhost", Origin: "http://localhost"}}
	if here.Request(s) != nil {
		t.Error("an account without a passkey was asked for one")
	}
	s.List = append(s.List, Factor{Kind: Passkey, Credential: Credential{ID: []byte{1}}})
	if got := string(here.Request(s)); !strings.Contains(got, `"allowCredentials":[{"type":"public-key","id":"AQ"}]`) || !strings.Contains(got, "discouraged") {
		t.Error(got)
	}
}

func TestUsable(t *testing.T) {
	good := Credential{ID: []byte{1}, PublicKey: decoy()}
	if good.Usable() != nil {
		t.Error("refused")
	}
	for name, c := range map[string]Credential{
		"no id": {PublicKey: good.PublicKey}, "a long id": {ID: make([]byte, 1024), PublicKey: good.PublicKey}, "no key": {ID: good.ID},
		"a key with more behind it": {ID: good.ID, PublicKey: append(decoy(), 0)},
		"a point off the curve":     {ID: good.ID, PublicKey: append(append([]byte{}, decoy()[:len(decoy())-1]...), 0)},
		"P-384":                     {ID: good.ID, PublicKey: append([]byte{0xa5, 1, 2, 3, 0x38, 0x22, 0x20, 2}, decoy()[7:]...)},
		"a long key":                {ID: good.ID, PublicKey: make([]byte, maxKey+1)},
	} {
		if c.Usable() == nil {
			t.Errorf("%s was taken", name)
		}
	}
}

// FuzzPasskeys gives both ceremonies whatever a browser may send.
func FuzzPasskeys(f *testing.F) {
	c := Ceremony{RelyingParty: RelyingParty{ID: "localhost", Origin: "http://localhost"}, Challenge: []byte{1}}
	s := Set{List: []Factor{{ID: "a", Kind: Passkey, Credential: Credential{ID: []byte{1}, PublicKey: decoy()}}}}
	text := base64.RawURLEncoding.EncodeToString
	for _, kind := range []string{"create", "get"} {
		said := text(fmt.Appendf(nil, `{"type":"webauthn.%s","challenge":"AQ","origin":"http://localhost"}`, kind))
		data := append(make([]byte, 32), 0x45, 0, 0, 0, 1)
		object := append([]byte("\xa3\x63fmt\x64none\x67attStmt\xa0\x68authData\x58\x25"), data...)
		f.Add([]byte(`{"id":"AQ","rawId":"AQ","type":"public-key","response":{"clientDataJSON":"` + said + `","attestationObject":"` + text(object) +
			`","authenticatorData":"` + text(data) + `","signature":"AQ","userHandle":"YQ"}}`))
	}
	f.Fuzz(func(t *testing.T, response []byte) {
		made, err := c.Made(response)
		if err == nil && made.Usable() != nil || err != nil && !errors.Is(err, ErrWrongPasskey) && !errors.Is(err, ErrForeignOrigin) {
			t.Errorf("%+v, %v", made, err)
		}
		a := ParseAssertion(response)
		if of, err := c.Judge(a, s); err == nil || of.ID != "" {
			t.Errorf("%+v, %v", of, err)
		}
		if len(a.UserID()) > maxHandle {
			t.Errorf("%q", a.UserID())
		}
		if _, err := json.Marshal(a.UserID()); err != nil {
			t.Error(err)
		}
	})
}
