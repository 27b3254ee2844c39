package users

import (
	"errors"
	"strings"
	"testing"

	"github.com/keyturn/keyturn/internal/audit"
)

// Hashes of vectorPassword, made by the schemes' reference programs: bcrypt
// 3.2.2, argon2-cffi 21.1.0, passlib 1.7.4, Django 3.2.25 and Werkzeug 2.2.2
// for Python. Those two know no scrypt: its hashes are of Python's
// hashlib.scrypt, in the forms of Django 4.0 and Werkzeug 2.3.
const vectorPassword = "Grüße aus Königsberg 7"

var vectors = map[string]string{
	"bcrypt 2a":          "$2a$05$..4a3qCGVatz9LTefvWiD.aQrPObZ6oE384CYBDLVPcSTaPa56ILy",
	"bcrypt 2b":          "$2b$05$U.6.gPs5MUbuscDNCwOTt.Hhz7sJvgOD6n12TshKwfGe2N9v1ShX6",
	"bcrypt 2y":          "$2y$05$uO6S2QzDRQepGyBeRxwttuzuSznI7ThT0F6G04zdg4PTAbBsNyvNu",
	"scrypt":             "$scrypt$ln=10,r=8,p=1$hfC+t1ZqjTHm/P//v9caww$h8u1HyZdEPx3v7LgMLx853oFREk3y427HDCsHSWqHZI",
	"scrypt r=4 p=2":     "$scrypt$ln=12,r=4,p=2$hTAmpHROCQEAoLR2rlUqxQ$6wHmM6DSYpUrHTZRFdiOOew6BCZe5Wtpkvms1ftfnn4",
	"pbkdf2 passlib":     "$pbkdf2-sha256$2000$HUNIyTknxHgPgbAWIiRkrA$w5m3iel1JnD1XXPkF4PJIyWD/eMAbFHUqNCNVEchb/s",
	"pbkdf2 django":      "pbkdf2_sha256$2000$q7Hd0sPzTnUv$HRe+Gv/KZJbWLPCaeTuZE+MO7Uo62TuPocUi+1/sDgs=",
	"pbkdf2-sha512":      "$pbkdf2-sha512$2000$jpGSEuK8FwLgPMeYk9LaWw$WxjOH3iIN5Ql93lCPEQAXNcngHMinfQv3ISi7OUrIp8m6tapuefX6UTZvA2xDkF0k78Gxd965ZwA3KVYFT1EYQ",
	"bcrypt-sha256 v1":   "$bcrypt-sha256$2b,5$s0089qHquhti.tLePK2mbu$pJ5Cmq8JP.iHBkOjo3O9z/RzoH/TM72",
	"bcrypt-sha256 v2":   "$bcrypt-sha256$v=2,t=2b,r=5$WSjnEK2gT2gZUcftG/Pjb.$oW2FRboBl28wVe7i/2pkOoGPw76QDNy",
	"bcrypt django":      "bcrypt_sha256$$2b$05$uOqXqK409oXhjKRiJ687X.0iYlGiIMsoZr/6rbnoZiUKJJ87ybC6i",
	"scrypt django":      "scrypt$1024$q7Hd0sPzTnUv1XbR$8$1$2KY+4Fjg9RZJlgsJB9DawLnOSNEV7pCXGYMg4DRgJGSzPlMEjdvrH6VhpU13bwL6X7RUXMgaTVRbVwX7sDVxaw==",
	"scrypt werkzeug":    "scrypt:1024:4:2$q7Hd0sPzTnUv1XbR$0bba4cc34b780b20ec8041ec24a38851ae77eba4a8205a2847b04113ee6d13351a093d7c96175b66e4329a26acffb70c3f617ba9d6de5bee09193f78c2e6ec66",
	"pbkdf2 werkzeug":    "pbkdf2:sha256:2000$UoDScl5yD5GcFVda$9865ccdae0329ed391da013816c0630fd44c454516117cef565fc83f6c918902",
	"pbkdf2 werkzeug512": "pbkdf2:sha512:2000$9RZWgERBm2n4IDeR$0debd4ce2a2294497beffc26f616bcea3a0c2d40221d9febfdcf8ead1fe000fb0f596af237501028a2aed8bc4adab2bb4c51d95e29f0d4713396f4d4682af478",
	"argon2id":           "$argon2id$v=19$m=1024,t=2,p=1$MDEyMzQ1Njc4OWFiY2RlZg$eLfG50/UiKfi+PUXwa7UJUnEKxew7g/6fQMDOgY1744",
	"argon2id four lane": "$argon2id$v=19$m=1000,t=3,p=4$MDEyMzQ1Njc4OWFiY2RlZmdoaWo$89TEspcW7DqnIoMdlL7kV2bZSf+Q287x",
	"argon2i":            "$argon2i$v=19$m=512,t=3,p=2$c29tZXNhbHQxMjM0NTY3OA$KQ17lrtO1GAz53IP4pjw8L8Idb6M5F/ejjojzEtpy7k",
	"argon2id passlib":   "$argon2id$v=19$m=512,t=2,p=2$P0do7b0XIiSkNOZ8zxnDWA$rmrSOCyRZxGEFnULhuHueg",
}

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

func TestU3_ImportedHashesVerify(t *testing.T) {
	for name, encoded := range vectors {
		t.Run(name, func(t *testing.T) {
			if err := CheckImport(encoded); err != nil {
				t.Fatal(err)
			}
			if ok, err := Verify(encoded, vectorPassword); !ok || err != nil {
				t.Errorf("the password: %t, %v", ok, err)
			}
			for _, wrong := range []string{"", vectorPassword + " ", strings.ToLower(vectorPassword), "\xff"} {
				if ok, err := Verify(encoded, wrong); ok || err != nil {
					t.Errorf("%q: %t, %v", wrong, ok, err)
				}
			}
		})
	}
}

func TestU3_BcryptNeverCuts(t *testing.T) {
	if ok, err := Verify(bcrypt72, strings.Repeat("x", 72)); !ok || err != nil {
		t.Errorf("72 bytes: %t, %v", ok, err)
	}
	if ok, err := Verify(bcrypt72, strings.Repeat("x", 73)); ok || err != nil {
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
		if ok, err := Verify(encoded, long+"yz"); !ok || err != nil {
			t.Errorf("%s: 74 bytes: %t, %v", name, ok, err)
		}
		if ok, err := Verify(encoded, long+"yy"); ok || err != nil {
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
		strings.Replace(good, "t=2", "t=02", 1), strings.Replace(good, "t=2", "t=+2", 1), strings.Replace(good, "t=2,p=1", "p=1,t=2", 1),
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
		changed("scrypt werkzeug", "$0bba", "$xbba"), changed("pbkdf2 werkzeug", "sha256", "sha1"), changed("pbkdf2 werkzeug", ":2000", ""),
		changed("pbkdf2 werkzeug", "$9865", "$"+strings.Repeat("00", 40)),
		"pbkdf2_sha256$2000$short$HRe+Gv/KZJbWLPCaeTuZE+MO7Uo62TuPocUi+1/sDgs=", "pbkdf2_sha256$2000$q7Hd0sPzTnUv$HRe+",
	} {
		h, err := ParseHash(encoded)
		if err == nil {
			t.Errorf("ParseHash(%q) was accepted", encoded)
		}
		if h != (Hash{}) {
			t.Errorf("ParseHash(%q) returned a hash with its error", encoded)
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
	if ok, err := Verify(encoded, goodPassword); !ok || err != nil {
		t.Errorf("the password: %t, %v", ok, err)
	}
	if again := hashArgon2id(cheap, goodPassword); again.encode() == hashArgon2id(cheap, goodPassword).encode() {
		t.Error("two hashes have the same salt")
	}
}

func TestReason(t *testing.T) {
	for want, err := range map[string]error{
		"":                 nil,
		"unknown_user":     &CredentialsError{Reason: audit.ReasonUnknownUser},
		"password_refused": refuse("password", "no"),
		"invalid_email":    refuse("email", "no"),
		"throttled":        &Throttled{},
		"busy":             &Busy{},
		"email_taken":      ErrEmailTaken,
		"username_taken":   ErrUsernameTaken,
		"conflict":         ErrConflict,
		"unavailable":      errors.New("disk full"),
		"wrong_password":   &CredentialsError{Reason: audit.ReasonWrongPassword},
	} {
		if got := Reason(err).String(); got != want {
			t.Errorf("Reason(%v) = %q, want %q", err, got, want)
		}
	}
}

func FuzzParseHash(f *testing.F) {
	for _, encoded := range vectors {
		f.Add(encoded)
	}
	f.Fuzz(func(t *testing.T, in string) {
		h, err := ParseHash(in)
		if err != nil {
			return
		}
		if err := h.check(); err != nil {
			t.Fatalf("ParseHash(%q) accepted a cost out of bounds: %v", in, err)
		}
		if a, ok := h.scheme.(argon2Hash); ok && a.encode() != in {
			t.Fatalf("ParseHash(%q) reads back as %q", in, a.encode())
		}
	})
}
