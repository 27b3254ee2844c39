package passwords

import (
	"strings"
	"testing"
)

func TestU5_TheEndOfALongPasswordCounts(t *testing.T) {
	long := strings.Repeat("correct battery horse staple, ", 40)[:MaxBytes-1]
	hash := hashArgon2id(cheap, long+"x").encode()
	if ok, err := verify(hash, long+"y"); ok || err != nil {
		t.Errorf("the end of a long password was cut: %t, %v", ok, err)
	}
	if ok, err := verify(hash, long+"x"); !ok || err != nil {
		t.Errorf("a long password does not match: %t, %v", ok, err)
	}
}

func TestU5_PasswordsAreNormalised(t *testing.T) {
	hash := hashArgon2id(cheap, "Königsberger Brücken").encode()
	if ok, err := verify(hash, "Ko\u0308nigsberger Bru\u0308cken"); !ok || err != nil {
		t.Errorf("the decomposed form does not match: %t, %v", ok, err)
	}
	for _, bad := range []string{"\xff is not UTF-8 at all", "\ufffd is what was not UTF-8", "a\x00b is not text", strings.Repeat("x", 5000)} {
		if _, err := Normalize(bad); err == nil {
			t.Errorf("Normalize(%.20q) was accepted", bad)
		}
	}
}
