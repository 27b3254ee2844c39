package oauth

import (
	"encoding/json"
	"reflect"
	"testing"
	"unicode/utf8"
)

// FuzzEncoding checks that claims and answers encoded by hand are those that
// encoding/json makes, to the byte, and come back as they were.
func FuzzEncoding(f *testing.F) {
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
		for range audiences % 4 {
			c.Audience = append(c.Audience, aud)
		}
		same(t, appendClaims(nil, &c), c)
		a := tokenAnswer{AccessToken: issuer, TokenType: user, ExpiresIn: at, RefreshToken: aud, Scope: scope}
		same(t, a.appendTo(nil), a)

		// Listed by encoding/json itself, the audience must agree with it.
		list, err := json.Marshal([]string(c.Audience))
		if got := appendAudience(nil, c.Audience); err != nil || len(c.Audience) > 1 && string(got) != string(list) {
			t.Errorf("audience is %s; want %s, error %v", got, list, err)
		}
		var back claims
		if err := json.Unmarshal(appendClaims(nil, &c), &back); err != nil {
			t.Fatal(err)
		}
		valid := utf8.ValidString(issuer) && utf8.ValidString(user) && utf8.ValidString(aud) && utf8.ValidString(scope)
		if valid && len(c.Audience) > 0 && !reflect.DeepEqual(back, c) {
			t.Errorf("%+v comes back as %+v", c, back)
		}
	})
}

// TestEveryMemberIsEncoded fills all that encoding/json would encode: a member that
// is added to a struct alone would be missing from what clients get.
func TestEveryMemberIsEncoded(t *testing.T) {
	var c claims
	fill(t, &c)
	same(t, appendClaims(nil, &c), c)
	var a tokenAnswer
	fill(t, &a)
	same(t, a.appendTo(nil), a)
}

// fill gives every exported field of a struct a value that is not zero.
func fill(t *testing.T, to any) {
	t.Helper()
	v := reflect.ValueOf(to).Elem()
	for i := range v.NumField() {
		switch f := v.Field(i); {
		case !f.CanSet():
		case f.Kind() == reflect.String:
			f.SetString(v.Type().Field(i).Name)
		case f.CanInt():
			f.SetInt(int64(i + 1))
		case f.Type() == reflect.TypeFor[audience]():
			f.Set(reflect.ValueOf(audience{"a", "b"}))
		default:
			t.Fatalf("%s is a %s: say here how to fill it", v.Type().Field(i).Name, f.Type())
		}
	}
}

func same(t *testing.T, got []byte, v any) {
	t.Helper()
	if want, err := json.Marshal(v); err != nil || string(got) != string(want) {
		t.Errorf("encoded by hand: %s\nby encoding/json: %s, error %v", got, want, err)
	}
}
