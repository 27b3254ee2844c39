package passwords

import (
	"bytes"
	"encoding/base64"
	"encoding/binary"
	"reflect"
	"strings"
	"testing"

	"github.com/keyturn/keyturn/internal/passwords/passwordstest"
)

const vectorPassword = passwordstest.Password

var vectors = passwordstest.Hashes()

// bcrypt72 is bcrypt 3.2.2's hash of 72 times the letter x.
const bcrypt72 = "$2b$04$PCd1g.46oxp9cWnP5qhqveVoHnTy4AlAeGrS5qIy1zqJoPn3noS/C"

// changed returns a vector with the first from in it made to.
func changed(vector, from, to string) string {
	encoded := strings.Replace(vectors[vector], from, to, 1)
	if encoded == vectors[vector] {
		panic(vector + " has no " + from)
	}
	return encoded
}

// identityOf is a hash of ASP.NET Identity's version 3 of a function and rounds.
func identityOf(function byte, rounds uint32) string {
	b := binary.BigEndian.AppendUint32([]byte{1, 0, 0, 0, function}, rounds)
	return base64.StdEncoding.EncodeToString(append(binary.BigEndian.AppendUint32(b, 16), make([]byte, 16+32)...))
}

func verify(encoded, password string) (bool, error) {
	h, err := Parse(encoded)
	return h.Verify(password), err
}

func TestU3_ImportedHashesVerify(t *testing.T) {
	for name, encoded := range vectors {
		t.Run(name, func(t *testing.T) {
			if err := CheckImport(encoded); err != nil {
				t.Fatal(err)
			}
			if ok, err := verify(encoded, vectorPassword); !ok || err != nil {
				t.Errorf("the password: %t, %v", ok, err)
			}
			for _, wrong := range []string{"", vectorPassword + " ", strings.ToLower(vectorPassword), "\xff"} {
				if ok, err := verify(encoded, wrong); ok || err != nil {
					t.Errorf("%q: %t, %v", wrong, ok, err)
				}
			}
		})
	}
}

// TestU3_SaltsOfEveryLength: base64 with some of them is as long as a digest in
// hexadecimal.
func TestU3_SaltsOfEveryLength(t *testing.T) {
	for label, name := range directoryDigests {
		if !strings.HasPrefix(label, "{S") || label == "{SHA}" || label == "{SHA256}" || label == "{SHA512}" {
			continue // without a salt
		}
		for n := 1; n <= maxSaltBytes; n++ {
			salt := bytes.Repeat([]byte{0xa5}, n)
			h := digestFunctions[name]()
			h.Write([]byte(vectorPassword))
			h.Write(salt)
			encoded := label + base64.StdEncoding.EncodeToString(append(h.Sum(nil), salt...))
			hash, err := Parse(encoded)
			if err != nil || !hash.Verify(vectorPassword) || hash.Verify(vectorPassword+" ") {
				t.Errorf("%s with %d bytes of salt: %v", label, n, err)
			}
		}
	}
}

func TestU3_BcryptNeverCuts(t *testing.T) {
	if ok, err := verify(bcrypt72, strings.Repeat("x", 72)); !ok || err != nil {
		t.Errorf("72 bytes: %t, %v", ok, err)
	}
	if ok, err := verify(bcrypt72, strings.Repeat("x", 73)); ok || err != nil {
		t.Errorf("73 bytes with the same beginning: %t, %v", ok, err)
	}
}

// A hash of a password's own hash has all of it, however long.
func TestU3_PrehashedBcryptHasNoLimit(t *testing.T) {
	long := strings.Repeat("x", 72)
	for name, encoded := range map[string]string{
		"passlib v1": "$bcrypt-sha256$2b,5$B9TfSfXa6yXQ3IzodhrNOu$nGEIrTg60Fq3FSCueiO0kXmSgu25nZW",
		"passlib v2": "$bcrypt-sha256$v=2,t=2b,r=5$vrprqFnAJaNWuRQzBXf6Bu$SO2l3HukTSC.KP6l2PfVGRTrYfbhbl2",
		"django":     "bcrypt_sha256$$2b$05$oI9VRZaoPy1a4MVRDmImKukNw/d0XRxR5m.UyCw1uzl.iu1BI84Mq",
	} {
		if ok, err := verify(encoded, long+"yz"); !ok || err != nil {
			t.Errorf("%s: 74 bytes: %t, %v", name, ok, err)
		}
		if ok, err := verify(encoded, long+"yy"); ok || err != nil {
			t.Errorf("%s: 74 bytes that end otherwise: %t, %v", name, ok, err)
		}
	}
}

func TestU3_CostsOutOfBoundsAreRefused(t *testing.T) {
	tail := "$MDEyMzQ1Njc4OWFiY2RlZg$eLfG50/UiKfi+PUXwa7UJUnEKxew7g/6fQMDOgY1744"
	for _, encoded := range []string{
		"$argon2id$v=19$m=4194304,t=1,p=1" + tail,
		"$argon2id$v=19$m=262144,t=5,p=1" + tail,
		"$argon2id$v=19$m=19456,t=0,p=1" + tail,
		"$argon2id$v=19$m=19456,t=4294967295,p=1" + tail,
		"$argon2id$v=19$m=19456,t=2,p=0" + tail,
		"$argon2id$v=19$m=19456,t=2,p=257" + tail,
		"$argon2id$v=19$m=7,t=2,p=1" + tail,
		"$2b$03" + vectors["bcrypt 2b"][6:], "$2b$15" + vectors["bcrypt 2b"][6:],
		"$2b$31" + vectors["bcrypt 2b"][6:], "$2b$99" + vectors["bcrypt 2b"][6:],
		"$scrypt$ln=7,r=8,p=1" + tail, "$scrypt$ln=21,r=8,p=1" + tail, "$scrypt$ln=63,r=8,p=1" + tail,
		"$scrypt$ln=16,r=4294967295,p=1" + tail, "$scrypt$ln=18,r=8,p=5" + tail, "$scrypt$ln=16,r=0,p=1" + tail,
		"$scrypt$ln=16,r=8,p=0" + tail,
		"$pbkdf2-sha256$999" + vectors["pbkdf2 passlib"][19:], "$pbkdf2-sha256$3000001" + vectors["pbkdf2 passlib"][19:],
		"$pbkdf2-sha256$4294967295" + vectors["pbkdf2 passlib"][19:],
		"pbkdf2_sha256$1$q7Hd0sPzTnUv$HRe+Gv/KZJbWLPCaeTuZE+MO7Uo62TuPocUi+1/sDgs=",
		changed("sha256crypt", "=2000$", "=999$"), changed("sha512crypt", "=2000$", "=1000001$"), changed("sha512crypt", "=2000$", "=4294967295$"),
		changed("phpass", "$P$6", "$P$4"), changed("phpass", "$P$6", "$P$J"), changed("drupal 7", "$S$6", "$S$S"), changed("drupal 6", "$S$6", "$S$z"),
		changed("wordpress 6.8", "$05$", "$15$"), changed("firebase", "ln=10", "ln=21"), changed("pbkdf2-sha512 phc", "i=2000", "i=3000001"),
		changed("dovecot pbkdf2", "$5000$", "$999$"), changed("ldap bcrypt", "$05$", "$31$"),
		identityOf(2, 3_000_001), identityOf(1, 1), identityOf(3, 10_000),
		changed("pbkdf2 werkzeug", ":2000$", ":999$"), changed("pbkdf2 werkzeug512", ":2000$", ":3000001$"),
		changed("bcrypt-sha256 v1", "2b,5", "2b,3"), changed("bcrypt-sha256 v1", "2b,5", "2b,15"),
		changed("bcrypt-sha256 v2", "r=5", "r=4294967295"), changed("bcrypt django", "$05$", "$31$"),
		changed("scrypt django", "$1024$", "$2147483648$"), changed("scrypt django", "$8$1$", "$8$17$"),
		changed("scrypt werkzeug", ":1024:", ":128:"), changed("scrypt werkzeug", ":4:2", ":0:2"),
		changed("scrypt werkzeug", ":4:2", ":4294967295:2"),
	} {
		err := CheckImport(encoded)
		if err == nil || !strings.Contains(err.Error(), "accepted") {
			t.Errorf("CheckImport(%q) = %v, want what would be accepted", encoded, err)
		}
	}
}

func TestParseHashRefusesMalformed(t *testing.T) {
	good := vectors["argon2id"]
	for _, encoded := range []string{
		"", "$", "plain text", "$1$abc$def", "$2x$" + vectors["bcrypt 2b"][4:], "$argon2d$" + good[10:],
		good[:len(good)-1], good + "=", good + "$", strings.Replace(good, "v=19", "v=16", 1), strings.Replace(good, "$v=19", "", 1),
		strings.Replace(good, "t=2", "t=02", 1), strings.Replace(good, "t=2", "t=+2", 1), strings.Replace(good, "t=2,p=1", "p=1,p=1", 1),
		strings.Replace(good, "p=1", "p=1,data=x", 1), strings.Replace(good, "MDEyMzQ1Njc4OWFiY2RlZg", "MDEy", 1),
		"$argon2id$v=19$m=1024,t=2,p=1$MDEyMzQ1Njc4OWFiY2RlZg$eLfG50", "$argon2id$v=19$m=1024,t=2,p=1$$",
		vectors["bcrypt 2b"] + "x", vectors["bcrypt 2b"][:59] + "!", "$2b$5$" + vectors["bcrypt 2b"][6:] + "x", "$2b$-5" + vectors["bcrypt 2b"][6:],
		"$scrypt$ln=10,r=8$abc$def", "$scrypt$" + strings.Repeat("x", 600), "$pbkdf2-sha256$x$abc$def",
		changed("bcrypt-sha256 v1", "2b,5", "2x,5"), changed("bcrypt-sha256 v2", "v=2", "v=3"), changed("bcrypt-sha256 v2", "r=5", "5"),
		changed("bcrypt-sha256 v2", "r=5", "r=05"), changed("bcrypt-sha256 v2", "G/Pjb.$", "G/Pjb.x$"), changed("bcrypt-sha256 v2", "Pjb.$oW2", "Pjb.oW2"),
		changed("bcrypt django", "$$2b", "$2b"), changed("bcrypt django", "$2b$", "$bcrypt$2b$"), changed("bcrypt django", "uOqX", "u:qX"),
		changed("scrypt django", "$1024$", "$1000$"), changed("scrypt django", "$1024$", "$0$"), changed("scrypt django", "$1024$", "$ln=10$"),
		changed("scrypt django", "q7Hd0sPzTnUv1XbR", "short"), changed("scrypt django", "==", ""), changed("scrypt django", "==", "==$"),
		changed("scrypt werkzeug", ":4:2", ":4"), changed("scrypt werkzeug", ":4:2", ":4:2:1"), changed("scrypt werkzeug", "$0bba", "$0bb"),
		changed("scrypt werkzeug", "$0bba", "$xbba"), changed("pbkdf2 werkzeug", "sha256", "sha224"), changed("pbkdf2 werkzeug", ":2000", ""),
		changed("pbkdf2 werkzeug", "$9865", "$"+strings.Repeat("00", 40)),
		changed("sha256crypt", "=2000$", "=02000$"), changed("sha256crypt", "$5$", "$7$"), changed("sha512crypt", "clcL", "clcLclcLc"),
		changed("sha512crypt", "D.8NLN", "D.8NL"), changed("md5crypt", "ocQB", "ocQBo"), changed("md5crypt", "$Jr2", "$!r2"),
		changed("phpass", "UvsD", "Uvs"), changed("phpass", "UvsD", "U sD"), changed("drupal 7", "yiRw", "yiR"),
		changed("ldap ssha", "{SSHA}", "{TSHA}"), changed("ldap ssha", "{SSHA}", "{SSHA"), changed("ldap sha", "gbO3", ""), "{SHA}",
		changed("hex md5", "2f", "2g"), changed("django salted md5", "334c", "334"), changed("django salted sha1", "6e74", "6e7g"),
		changed("identity v3", "AQAAAAE", "AQEAAAE"), changed("identity v2", "ACuY", "BCuY"), changed("pbkdf2-sha256 phc", "i=2000", "i=2000,l=31"),
		changed("firebase", "8rGx", "?rGx"), changed("firebase", "$ln", "$l"), changed("wordpress 6.8", "$wp$", "$wq$"), changed("ldap bcrypt", "{CRYPT}", "{CRYPT} "),
		"{CRYPT}aaJzRwrmAcMf6", "$wrapped$", "$wrapped$x$y", changed("ldap sha512crypt", "{CRYPT}", "{X-CRYPT}"),
		"$wrapped$" + base64.RawURLEncoding.EncodeToString([]byte(vectors["bcrypt 2b"])) + vectors["argon2id"],
		"pbkdf2_sha256$2000$short$HRe+Gv/KZJbWLPCaeTuZE+MO7Uo62TuPocUi+1/sDgs=", "pbkdf2_sha256$2000$q7Hd0sPzTnUv$HRe+",
	} {
		h, err := Parse(encoded)
		if err == nil {
			t.Errorf("Parse(%q) was accepted", encoded)
		}
		if h != (Hash{}) {
			t.Errorf("Parse(%q) returned a hash with its error", encoded)
		}
		if err != nil && len(encoded) > 40 && strings.Contains(err.Error(), encoded[len(encoded)-20:]) {
			t.Errorf("the error repeats the hash: %v", err)
		}
	}
}

func TestU2_DefaultIsOWASPs(t *testing.T) {
	p := DefaultParams()
	if err := p.Check(); err != nil || p != (Params{MemoryKiB: 19 << 10, Time: 2, Threads: 1}) {
		t.Fatalf("%+v: %v", p, err)
	}
	encoded := hashArgon2id(p, goodPassword).encode()
	if !strings.HasPrefix(encoded, "$argon2id$v=19$m=19456,t=2,p=1$") {
		t.Errorf("encoded as %q", encoded)
	}
	if ok, err := verify(encoded, goodPassword); !ok || err != nil {
		t.Errorf("the password: %t, %v", ok, err)
	}
	if again := hashArgon2id(cheap, goodPassword); again.encode() == hashArgon2id(cheap, goodPassword).encode() {
		t.Error("two hashes have the same salt")
	}
}

func FuzzParseHash(f *testing.F) {
	f.Add(pepperedPrefix + vectors["bcrypt 2b"])
	for _, encoded := range vectors {
		f.Add(encoded)
	}
	f.Fuzz(func(t *testing.T, in string) {
		h, err := Parse(in)
		if err != nil {
			return
		}
		if err := h.check(); err != nil {
			t.Fatalf("Parse(%q) accepted a cost out of bounds: %v", in, err)
		}
		for _, part := range h.parts() {
			blank, err := Parse(part.blank())
			if err != nil || blank.kind() != part.kind() {
				t.Fatalf("Parse(%q) is of the kind of %q: %v", in, part.blank(), err)
			}
		}
		if e, ok := h.scheme.(interface{ encode() string }); ok {
			if again, err := Parse(e.encode()); err != nil || !reflect.DeepEqual(again, h) {
				t.Fatalf("Parse(%q) reads back as %q: %v", in, e.encode(), err)
			}
		}
	})
}

func BenchmarkArgon2id(b *testing.B) {
	h := hashArgon2id(DefaultParams(), goodPassword)
	for b.Loop() {
		if !h.matches(goodPassword) {
			b.Fatal("does not match")
		}
	}
}
