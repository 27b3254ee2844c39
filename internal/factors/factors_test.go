package factors

import (
	"net/url"
	"slices"
	"strings"
	"testing"
	"time"
)

// TestVectors are those of RFC 6238, appendix B, the ones in six digits shortened.
func TestVectors(t *testing.T) {
	const seed = "1234567890123456789012345678901234567890123456789012345678901234"
	for _, c := range []struct {
		Params
		bytes int
		codes map[int64]string
	}{
		{Params{}, 20, map[int64]string{59: "287082", 1111111109: "081804", 1111111111: "050471", 1234567890: "005924", 2000000000: "279037", 20000000000: "353130"}},
		{Params{"SHA1", 8, 30}, 20, map[int64]string{59: "94287082", 1111111109: "07081804"}},
		{Params{"SHA256", 8, 0}, 32, map[int64]string{59: "46119246", 1111111109: "68084774", 20000000000: "77737706"}},
		{Params{"SHA512", 8, 30}, 64, map[int64]string{59: "90693936", 1111111109: "25091201", 20000000000: "47863826"}},
		{Params{"", 0, 60}, 20, map[int64]string{118: "287082"}},
	} {
		for at, want := range c.codes {
			if got := c.codeAt([]byte(seed[:c.bytes]), c.step(time.Unix(at, 0))); got != want {
				t.Errorf("%+v at %d: %s, want %s", c.Params, at, got, want)
			}
		}
	}
}

func TestCheckTOTP(t *testing.T) {
	secret := NewSecret()
	for _, p := range []Params{{}, {"SHA1", 6, 30}, {"SHA512", 8, 120}} {
		if err := CheckTOTP(secret, p); err != nil {
			t.Errorf("%+v: %v", p, err)
		}
	}
	for _, p := range []Params{{"MD5", 6, 30}, {"", 7, 0}, {"", 0, 1}, {"", 0, -30}} {
		if CheckTOTP(secret, p) == nil {
			t.Errorf("%+v was taken", p)
		}
	}
	if CheckTOTP(secret[:9], Params{}) == nil || CheckTOTP(make([]byte, 129), Params{}) == nil {
		t.Error("a short or a long secret was taken")
	}
	for in, ok := range map[string]bool{Text(secret): true, strings.ToLower(Text(secret)): true, "JBSW Y3DP-EHPK3PXP": true, "JBSWY3DP======": true, "1": false, "ß": false} {
		if got, err := ParseText(in); (err == nil) != ok || ok && len(in) == 32 && !slices.Equal(got, secret) {
			t.Errorf("%q: %v", in, err)
		}
	}
}

// TestT1_AStepIsTakenOnce: a step that was used stays used when the clock goes back.
func TestT1_AStepIsTakenOnce(t *testing.T) {
	secret, now := NewSecret(), time.Unix(1_800_000_015, 0)
	this := Params{}.step(now)
	for off, want := range map[int64]Verdict{-2: Wrong, -1: Right, 0: Right, 1: Right, 2: Wrong} {
		if got, at := (Factor{}).Check(secret, Code{Params{}.codeAt(secret, this+off)}, now); got != want || got == Right && at != this+off {
			t.Errorf("step %+d: %v at %d", off, got, at)
		}
	}
	used := Factor{Step: this}
	for off, want := range map[int64]Verdict{-1: Used, 0: Used, 1: Right} {
		if got, _ := used.Check(secret, Code{Params{}.codeAt(secret, this+off)}, now); got != want {
			t.Errorf("step %+d after one was used: %v, want %v", off, got, want)
		}
	}
	if got, _ := used.Check(secret, Code{Params{}.codeAt(secret, this)}, now.Add(-20*time.Second)); got != Used {
		t.Errorf("after the clock went back: %v", got)
	}
}

func TestRecoveryCodesAreSpentOnce(t *testing.T) {
	codes, kept := NewRecoveryCodes()
	s := Set{List: []Factor{{ID: "a"}}, Recovery: kept}
	if len(codes) != RecoveryCodes || len(codes[0]) != 29 {
		t.Fatalf("%q", codes)
	}
	for i, code := range codes {
		next, ok := s.SpendRecovery(ParseCode(" " + strings.ToLower(code)))
		if !ok || len(next.Recovery) != RecoveryCodes-i-1 || len(s.Recovery) != RecoveryCodes-i {
			t.Fatalf("code %d: %v, %d left of %d", i, ok, len(next.Recovery), len(s.Recovery))
		}
		if _, again := next.SpendRecovery(ParseCode(code)); again {
			t.Error("spent twice")
		}
		s = next
	}
	if s.Recovery != nil {
		t.Errorf("%v", s.Recovery)
	}
}

func TestTheCodesGoWithTheLastFactor(t *testing.T) {
	s, ok := Set{Recovery: [][]byte{{1}}}, true
	for range Most {
		if s, ok = s.Add(Factor{ID: "c"}); !ok || !s.Due() {
			t.Errorf("%+v, %t", s, ok)
		}
	}
	if _, ok = s.Add(Factor{}); ok || len(s.List) != Most {
		t.Error("one too many")
	}
	for len(s.List) > 0 {
		if s.Recovery == nil {
			t.Error("the recovery codes went before the last factor")
		}
		if s, ok = s.Remove(s.List[0].ID); !ok {
			t.Fatal("not removed")
		}
	}
	if !s.IsZero() || s.Recovery != nil {
		t.Errorf("%+v", s)
	}
}

func TestURI(t *testing.T) {
	got := URI([]byte("12345678901234567890"), "id.example.com", "ada lovelace@example.com")
	want := "otpauth://totp/id.example.com:ada%20lovelace@example.com?secret=GEZDGNBVGY3TQOJQGEZDGNBVGY3TQOJQ&issuer=id.example.com&algorithm=SHA1&digits=6&period=30"
	if got != want {
		t.Errorf("%s\nwant %s", got, want)
	}
	u, err := url.Parse(URI(nil, "Shop & Söhne: 1+1=2", "ada"))
	if name := "Shop & Söhne  1+1=2"; err != nil || u.Query().Get("issuer") != name || u.Path != "/"+name+":ada" {
		t.Errorf("%v %v", u, err)
	}
}

func FuzzParseCode(f *testing.F) {
	codes, kept := NewRecoveryCodes()
	f.Add("123 456")
	f.Add(codes[0])
	f.Add(strings.Repeat("\xff", maxCode))
	f.Fuzz(func(t *testing.T, s string) {
		c := ParseCode(s)
		if len(c.text) > maxCode {
			t.Errorf("%q", c.text)
		}
		if _, ok := (Set{Recovery: kept}).SpendRecovery(c); ok && !slices.Contains(codes, strings.ToUpper(s)) && len(s) < 25 {
			t.Errorf("%q", s)
		}
	})
}
