package base64url_test

import (
	"testing"

	"github.com/keyturn/keyturn/internal/base64url"
)

func TestTextsThatAreNotTheOneOfTheirBytes(t *testing.T) {
	if b, err := base64url.Decode("AP8"); err != nil || string(b) != "\x00\xff" {
		t.Errorf("a good text: %q, %v", b, err)
	}
	for _, text := range []string{"AP8=", "AP8\n", "A\r\nP8", "AP9", "A", "AP8 ", "a+b_", "a/b_", "AP8.", "\u00e9AP"} {
		if b, err := base64url.Decode(text); err == nil {
			t.Errorf("%q became %q", text, b)
		}
	}
}

func FuzzDecode(f *testing.F) {
	f.Add("AP8")
	f.Add("AP8\n")
	f.Fuzz(func(t *testing.T, text string) {
		b, err := base64url.Decode(text)
		if err == nil && base64url.Encode(b) != text {
			t.Errorf("%q and %q are the same %d bytes", text, base64url.Encode(b), len(b))
		}
	})
}
