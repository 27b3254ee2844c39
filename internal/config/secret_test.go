package config

import (
	"encoding/json"
	"fmt"
	"strings"
	"testing"
)

// secret is what no test may find printed.
const secret = "hunter2hunter2"

// masterKeyText is the text of a master key, with the secret in it.
const masterKeyText = "kt_mk_" + secret + "ssssssssssssssssssssssssssssA"

func TestK7_NothingPrintsSecrets(t *testing.T) {
	c := mustLoad(t, "", []string{
		"KEYTURN_MASTER_KEY=" + masterKeyText,
		"KEYTURN_STORE=mongodb://kt:" + secret + "@h1:1,h2:2/keyturn?replicaSet=rs0&tlsCertificateKeyFilePassword=" + secret,
	})
	encoded, err := json.Marshal(struct {
		*Config
		Effective []Value
	}{c, c.Effective()})
	if err != nil {
		t.Fatal(err)
	}
	for _, printed := range []string{
		fmt.Sprint(c), fmt.Sprintf("%v %+v %#v %s", *c, *c, *c, c.Store), fmt.Sprint(c.Effective()), string(encoded),
	} {
		if strings.Contains(printed, secret) {
			t.Errorf("the secret is in %s", printed)
		}
	}
	if got := effective(t, c, "master_key"); got != (Value{"master_key", "****", FromEnvironment}) {
		t.Errorf("master_key prints as %v", got)
	}
	const shown = "mongodb://kt:****@h1:1,h2:2/keyturn?replicaSet=rs0&tlsCertificateKeyFilePassword=****"
	if got := effective(t, c, "store").Value; got != shown {
		t.Errorf("store prints as %s, want %s", got, shown)
	}
	if c.MasterKey.Reveal() != masterKeyText || strings.Count(c.Store.Reveal(), secret) != 2 {
		t.Error("Reveal does not return the value itself")
	}
}

func TestK7_ErrorsHoldNoSecrets(t *testing.T) {
	for name, load := range map[string]func() error{
		"another scheme":          func() error { return loadError(t, "", []string{"KEYTURN_STORE=mongo://kt:" + secret + "@h"}) },
		"no scheme":               func() error { return loadError(t, "", []string{"KEYTURN_STORE=kt:" + secret + "@h"}) },
		"bare slash":              func() error { return loadError(t, "", []string{"KEYTURN_STORE=mongodb://kt:a/" + secret + "@h"}) },
		"bare question mark":      func() error { return loadError(t, "", []string{"KEYTURN_STORE=mongodb://kt:a?" + secret + "@h"}) },
		"bare at":                 func() error { return loadError(t, "", []string{"KEYTURN_STORE=mongodb://kt:a@" + secret + "@h,"}) },
		"a parameter":             func() error { return loadError(t, "", []string{"KEYTURN_STORE=mongodb:///?proxyPassword=" + secret}) },
		"the wrong variable":      func() error { return loadError(t, "", []string{"KEYTURN_ISSUER=mongodb://kt:" + secret + "@h"}) },
		"an issuer":               func() error { return loadError(t, "", []string{"KEYTURN_ISSUER=https://kt:" + secret + "@h"}) },
		"an origin":               func() error { return loadError(t, "", []string{"KEYTURN_CORS_ORIGINS=https://kt:" + secret + "@h"}) },
		"a master key in a file":  func() error { return loadError(t, "master_key: "+secret+"\n", nil) },
		"a misspelt variable":     func() error { return loadError(t, "", []string{"KEYTURN_MASTERKEY=" + secret}) },
		"a key of YAML":           func() error { return loadError(t, "? mongodb://kt:"+secret+"@h\n: x\n", nil) },
		"YAML that is no mapping": func() error { return loadError(t, secret+"\n", nil) },
		"YAML with an anchor":     func() error { return loadError(t, "store: *"+secret+"\n", nil) },
		"an unusable master key":  func() error { return loadError(t, "", []string{"KEYTURN_MASTER_KEY=" + secret}) },
		"two master keys": func() error {
			return loadError(t, "", []string{"KEYTURN_MASTER_KEY=" + masterKeyText, "KEYTURN_MASTER_KEY_FILE=f"})
		},
		"ParseStore": func() error { _, err := ParseStore("mongodb://kt:" + secret + "@"); return err },
	} {
		err := load()
		if err == nil {
			t.Errorf("%s: no error", name)
		} else if strings.Contains(err.Error(), secret) {
			t.Errorf("%s: the secret is in %v", name, err)
		}
	}
}

func loadError(t *testing.T, yaml string, environ []string) error {
	t.Helper()
	_, err := loadArgs(t, yaml, environ)
	return err
}

func TestStoreIsMasked(t *testing.T) {
	for uri, want := range map[string]string{
		"sqlite:/data/a@b.db":                 "sqlite:/data/a@b.db",
		"mongodb://h":                         "mongodb://h/keyturn",
		"mongodb://h:1,h:2/db?replicaSet=rs0": "mongodb://h:1,h:2/db?replicaSet=rs0",
		"mongodb://u:p%40@h/db":               "mongodb://u:****@h/db",
		"mongodb+srv://u:p@h.example/db":      "mongodb+srv://u:****@h.example/db",
		"mongodb://token@h":                   "mongodb://****@h/keyturn?authSource=admin",
		"mongodb://u:p%3Aq@h/?authMechanismProperties=AWS_SESSION_TOKEN:x&w=majority": "mongodb://u:****@h/keyturn?authMechanismProperties=****&w=majority&authSource=admin",
	} {
		s, err := ParseStore(uri)
		if err != nil || s.String() != want || s.Reveal() != uri {
			t.Errorf("%s prints as %s (%v), want %s", uri, s, err, want)
		}
	}
}

func TestZeroSecretPrintsNothing(t *testing.T) {
	if s := NewSecret(""); !s.IsZero() || s.String() != "" || s.Reveal() != "" {
		t.Errorf("the empty secret prints as %q", s)
	}
	if s := NewSecret(secret); s.IsZero() || s.String() != masked || s.Reveal() != secret {
		t.Errorf("a secret prints as %q", s)
	}
}
