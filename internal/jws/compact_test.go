package jws

import (
	"encoding/base64"
	"strings"
	"testing"
)

func encoded(s string) string { return base64.RawURLEncoding.EncodeToString([]byte(s)) }

// FuzzCompactJWS holds what is taken to the one form that it has.
func FuzzCompactJWS(f *testing.F) {
	f.Add(encoded(`{"alg":"ES256"}`) + "." + encoded(`{}`) + ".AAAA")
	f.Add(encoded(`{"alg":"ES256","crit":[]}`) + "." + encoded(`{}`) + ".AAAA")
	f.Add("a.b.c")
	f.Fuzz(func(t *testing.T, text string) {
		j, err := Parse(text)
		if err != nil {
			return
		}
		parts := strings.Split(text, ".")
		if len(parts) != 3 || base64.RawURLEncoding.EncodeToString(j.Payload) != parts[1] || base64.RawURLEncoding.EncodeToString(j.signature) != parts[2] {
			t.Fatalf("%q is not the one form of what it says", text)
		}
		if j.Header.Crit != nil || j.Header.B64 != nil {
			t.Fatalf("%q asks for an extension", text)
		}
	})
}
