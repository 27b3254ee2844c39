package oauth

import (
	"encoding/json"
	"reflect"
	"testing"
	"unicode/utf8"
)

// FuzzClaims has claims come back as they were, whatever is in them, and an
// audience of one be a string and not a list.
func FuzzClaims(f *testing.F) {
	for _, s := range []string{"", "ada@example.org", `"`, `\`, "<&>", "\n", "\x7f", "é", "\u2028", "\xff", "a b c"} {
		f.Add("https://issuer.example", s, s, s, int64(0), uint8(0))
		f.Add(s, "user", "api", "openid "+s, int64(1<<40), uint8(1))
		f.Add("i", "user", s, s, int64(-1), uint8(3))
	}
	f.Fuzz(func(t *testing.T, issuer, user, aud, scope string, at int64, audiences uint8) {
		c := claims{
			Issuer: issuer, Subject: user, Expiry: at + 1, IssuedAt: at, ID: aud, ClientID: scope,
			Scope: scope, AuthTime: at, Session: aud, Email: user,
		}
		for range 1 + audiences%4 {
			c.Audience = append(c.Audience, aud)
		}
		text, err := json.Marshal(&c)
		if err != nil {
			t.Fatal(err)
		}
		var back claims
		if err := json.Unmarshal(text, &back); err != nil {
			t.Fatal(err)
		}
		valid := utf8.ValidString(issuer) && utf8.ValidString(user) && utf8.ValidString(aud) && utf8.ValidString(scope)
		if valid && !reflect.DeepEqual(back, c) {
			t.Errorf("%+v comes back as %+v", c, back)
		}
		var loose map[string]any
		if err := json.Unmarshal(text, &loose); err != nil {
			t.Fatal(err)
		}
		if _, one := loose["aud"].(string); one != (len(c.Audience) == 1) {
			t.Errorf("the audience %q is written as %v", c.Audience, loose["aud"])
		}
	})
}
