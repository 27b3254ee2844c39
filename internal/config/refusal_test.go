package config

import (
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
)

func TestRefusals(t *testing.T) {
	for _, test := range slices.Concat(refusedValues, refusedTogether) {
		var environ []string
		if slices.Contains(test.args, "--master-key-file=keys") {
			environ = append(environ, "KEYTURN_MASTER_KEY="+masterKeyText)
		}
		c, err := loadArgs(t, "", environ, test.args...)
		switch {
		case err == nil:
			t.Errorf("%q is accepted", test.args)
		case err.Error() != test.want:
			t.Errorf("%q:\n got %s\nwant %s", test.args, err, test.want)
		case c != nil:
			t.Errorf("%q gives a Config along with the error", test.args)
		}
	}
}

// TestBoundsAreAccepted takes each value just inside what TestRefusals refuses.
func TestBoundsAreAccepted(t *testing.T) {
	for _, args := range [][]string{
		{"--store=sqlite:/var/lib/keyturn/a b.db"}, {"--store=mongodb://u:p%2F@h1,h2/db?replicaSet=rs0"}, {"--store=mongodb+srv://h/db"},
		{"--store=mongodb://[::1]:27017"},
		{"--listen=127.0.0.1:65535"}, {"--listen=[fe80::1%eth0]:80", "--issuer=https://a.example"},
		{"--admin-listen=off"}, {"--admin-listen=:0"}, {"--listen=127.0.0.1:0", "--admin-listen=127.0.0.1:0"},
		{"--trusted-proxies=10.0.0.0/8 ::1 fc00::/7"},
		{"--cors-origins=https://a.example:8443,http://localhost:3000,http://[::1]:3000,capacitor://localhost,http://a.example:443"},
		{"--tls-cert-file=c", "--tls-key-file=k", "--issuer=https://localhost"},
		{"--listen=0.0.0.0:8080", "--issuer=http://localhost:8080"},
		{"--clock-skew=1ms", "--jwks-max-age=1ms", "--key-poll-interval=1ms", "--key-publish-lead=3ms", "--key-rotation-interval=3ms"},
		{"--key-publish-lead=15m40s"}, {"--key-rotation-interval=24h"}, {"--key-rotation-interval=3650d"},
		{"--refresh-idle-ttl=720h"}, {"--retry-window=0"}, {"--retry-window=29999ms", "--refresh-idle-ttl=30s"},
		{"--access-token-ttl=721h"},
		{"--password-min-length=8"}, {"--password-min-length=64"},
		{"--argon2-memory=47104", "--argon2-time=1"}, {"--argon2-memory=12288", "--argon2-time=3"},
		{"--argon2-memory=9216", "--argon2-time=4"}, {"--argon2-memory=7168", "--argon2-time=5"},
		{"--argon2-memory=262144", "--argon2-time=4", "--argon2-threads=16"}, {"--argon2-memory=7168", "--argon2-time=146"}, {"--hash-concurrency=1024"},
		{"--first-party-client=" + strings.Repeat("~", 128)},
		{"--mail-from=", "--mail-port=587", "--mail-language=en"},
		{"--mail-webhook-url=https://hooks.example.com", "--mail-webhook-secret-file=s", "--mail-language=de", "--mail-notices=none", "--mail-templates-dir=t", "--mail-from=a@example.com"},
	} {
		if _, err := loadArgs(t, "", nil, args...); err != nil {
			t.Errorf("%q: %v", args, err)
		}
	}
}

func TestLongValuesAreBounded(t *testing.T) {
	_, err := loadArgs(t, "", nil, "--log-level="+strings.Repeat("ü", 1000))
	want := `log_level: "` + strings.Repeat("ü", 120) + `…" from the flag is refused; accepted: debug, info, warn, error`
	if err == nil || err.Error() != want {
		t.Errorf("got %v", err)
	}
	_, err = loadArgs(t, "", nil, "--trusted-proxies="+strings.Repeat("10.0.0.1,", 257))
	if err == nil || !strings.Contains(err.Error(), "it has more than 256 items") {
		t.Errorf("got %v", err)
	}
}

func TestAllErrorsAreReportedTogether(t *testing.T) {
	_, err := loadArgs(t, "lisen: x\nstore: [a]\n",
		[]string{"KEYTURN_LOG_LEVEL=loud", "KEYTURN_ISUER=x", "KEYTURN_CLOCK_SKEW=1"}, "--key-rotation-interval=1h", "--jwks-max-age=30h")
	want := strings.Join([]string{
		`"lisen" from the file is not the name of a setting; did you mean listen?`,
		`store: a list from the file is refused` + wantStore,
		`"KEYTURN_ISUER" from the environment is not the name of a setting; did you mean KEYTURN_ISSUER?`,
		`log_level: "loud" from the environment is refused; accepted: debug, info, warn, error`,
		`clock_skew: "1" from the environment is refused: it has no unit` + wantDuration,
		`key_rotation_interval: "1h0m0s" from the flag is refused: the next key could not be published early enough; accepted: at least key_publish_lead, 24h0m0s`,
	}, "\n")
	if err == nil || err.Error() != want {
		t.Errorf("got\n%v\nwant\n%s", err, want)
	}
}

func TestErrorsAreBounded(t *testing.T) {
	err := loadError(t, unknownKeys(mostEntries), nil)
	if err == nil {
		t.Fatal("no error")
	}
	lines := strings.Split(err.Error(), "\n")
	if len(lines) != mostProblems+1 || lines[mostProblems] != "and 950 more" {
		t.Errorf("%d lines, the last is %q", len(lines), lines[len(lines)-1])
	}
}

// unknownKeys is a file of n keys that are no settings.
func unknownKeys(n int) string {
	var yaml strings.Builder
	for i := range n {
		fmt.Fprintf(&yaml, "k%d: 1\n", i)
	}
	return yaml.String()
}

func TestUnknownNames(t *testing.T) {
	for name, want := range map[string]string{
		"stroe":             `"stroe" from the file is not the name of a setting; did you mean store?`,
		"key-poll-interval": `"key-poll-interval" from the file is not the name of a setting; did you mean key_poll_interval?`,
		"Signing_Alg":       `"Signing_Alg" from the file is not the name of a setting; did you mean signing_alg?`,
		"token.ttl":         `"token.ttl" from the file is not the name of a setting; accepted: store, master_key_file, store_must_exist, mongodb_engine_risk, `,
		"1":                 `"1" from the file is not the name of a setting; accepted: store, master_key_file, store_must_exist, mongodb_engine_risk, `,
		"config":            `"config" from the file is not the name of a setting; accepted: store, master_key_file, store_must_exist, mongodb_engine_risk, `,
	} {
		if err := loadError(t, name+": x\n", nil); err == nil || !strings.HasPrefix(err.Error(), want) {
			t.Errorf("file: got %v, want %s", err, want)
		}
	}
	for name, want := range map[string]string{
		"KEYTURN_STORE_URI":  `"KEYTURN_STORE_URI" from the environment is not the name of a setting; did you mean KEYTURN_STORE?`,
		"KEYTURN_store":      `"KEYTURN_store" from the environment is not the name of a setting; did you mean KEYTURN_STORE?`,
		"KEYTURN_MASTER_KEI": `"KEYTURN_MASTER_KEI" from the environment is not the name of a setting; did you mean KEYTURN_MASTER_KEY?`,
		"KEYTURN_ZORGLUB":    `"KEYTURN_ZORGLUB" from the environment is not the name of a setting; accepted: KEYTURN_STORE, `,
		"KEYTURN_":           `"KEYTURN_" from the environment is not the name of a setting; accepted: KEYTURN_STORE, `,
		"KEYTURN_A\nB":       `"KEYTURN_A\nB" from the environment is not the name of a setting; accepted: KEYTURN_STORE, `,
	} {
		if err := loadError(t, "", []string{name + "=x"}); err == nil || !strings.HasPrefix(err.Error(), want) {
			t.Errorf("environment: got %v, want %s", err, want)
		}
	}
}

func TestMasterKeyIsRefusedInTheFile(t *testing.T) {
	const want = `master_key: **** from the file is refused: secrets do not belong in it; accepted: KEYTURN_MASTER_KEY in the environment, or master_key_file`
	for _, environ := range [][]string{nil, {"KEYTURN_MASTER_KEY=" + masterKeyText}} {
		if err := loadError(t, "master_key: hunter2\n", environ); err == nil || err.Error() != want {
			t.Errorf("got %v", err)
		}
	}
}

func TestUnusableFiles(t *testing.T) {
	dir := t.TempDir()
	big := filepath.Join(dir, "big.yaml")
	if err := os.WriteFile(big, []byte(strings.Repeat("#", mostFileBytes+1)), 0o600); err != nil {
		t.Fatal(err)
	}
	const accepted = "; accepted: a YAML file of at most 1 MiB that maps names of settings to values"
	for path, want := range map[string]string{
		filepath.Join(dir, "missing"):          "there is no such file",
		dir:                                    "it is not a regular file",
		big:                                    "it has more than 1048576 bytes",
		"/dev/zero":                            "it is not a regular file",
		big + "/x":                             "it cannot be read",
		writeFile(t, "- a\n- b\n"):             "it is not a mapping of names to values",
		writeFile(t, "store\n"):                "it is not a mapping of names to values",
		writeFile(t, "a: 1\nsignup: [x\n"):     "it is not YAML at line 1",
		writeFile(t, "\tsignup: x\n"):          "found character that cannot start any token",
		writeFile(t, "store: *a\n"):            "it is not YAML",
		writeFile(t, "signup: on\nsignup: on"): "a name stands in it twice, at line 2",
		writeFile(t, unknownKeys(60_000)):      "a mapping in it has more than 1000 entries",
		writeFile(t, "signup: on\n---\nx: y"):  "it holds more than one document, of which only the first would count",
	} {
		err := loadError(t, "", []string{"KEYTURN_CONFIG=" + path})
		if want := `config: "` + path + `" is refused: ` + want + accepted; err == nil || err.Error() != want {
			t.Errorf("got  %v\nwant %s", err, want)
		}
	}
}

func TestMistypedYAMLValues(t *testing.T) {
	for yaml, want := range map[string]string{
		"store: {a: b}":                          `store: a mapping from the file is refused` + wantStore,
		"log_level: [info]":                      `log_level: a list from the file is refused; accepted: debug, info, warn, error`,
		"cors_origins: [{a: b}]":                 `cors_origins: a list from the file is refused` + wantOrigins,
		"log_level: !!binary aW5mbw==":           `log_level: a value with a tag from the file is refused; accepted: debug, info, warn, error`,
		"log_level: !env LEVEL":                  `log_level: a value with a tag from the file is refused; accepted: debug, info, warn, error`,
		"log_level: ~":                           `log_level: null from the file is refused: it has no value; write "" for an empty one, and quote one that begins with #; accepted: debug, info, warn, error`,
		"log_level: #fff":                        `log_level: null from the file is refused: it has no value; write "" for an empty one, and quote one that begins with #; accepted: debug, info, warn, error`,
		"cors_origins: [https://a.example, ~]":   `cors_origins: a list from the file is refused: it has no value; write "" for an empty one, and quote one that begins with #` + wantOrigins,
		"password_min_length: 010":               `password_min_length: "010" from the file is refused; accepted: a whole number from 8 to 64 characters`,
		"password_min_length: 0x1F":              `password_min_length: "0x1F" from the file is refused; accepted: a whole number from 8 to 64 characters`,
		"password_min_length: 1_6":               `password_min_length: "1_6" from the file is refused; accepted: a whole number from 8 to 64 characters`,
		"password_min_length: '+16'":             `password_min_length: "+16" from the file is refused; accepted: a whole number from 8 to 64 characters`,
		"retry_window: 30":                       `retry_window: "30" from the file is refused: it has no unit; accepted: ` + AcceptedRetryWindow,
		"password_min_length: 15.5":              `password_min_length: "15.5" from the file is refused; accepted: a whole number from 8 to 64 characters`,
		"argon2_time: 1e99":                      `argon2_time: "1e99" from the file is refused; accepted: a whole number from 1 to 256`,
		"password_min_length: .inf":              `password_min_length: ".inf" from the file is refused; accepted: a whole number from 8 to 64 characters`,
		`listen: ""`:                             `listen: "" from the file is refused` + wantListen,
		"hash_concurrency: 99999999999999999999": `hash_concurrency: "99999999999999999999" from the file is refused; accepted: a whole number from 0 to 1024`,
	} {
		if err := loadError(t, yaml, nil); err == nil || err.Error() != want {
			t.Errorf("%s:\n got %v\nwant %s", yaml, err, want)
		}
	}
	// What is wrong in the file is wrong even where a flag overrides it.
	if _, err := loadArgs(t, "store: {a: b}", nil, "--store=sqlite:x.db"); err == nil {
		t.Error("a mapping is accepted where a flag overrides it")
	}
}

func TestK7_MongoDBNeedsAMasterKey(t *testing.T) {
	mongo := "KEYTURN_STORE=mongodb://h/db"
	const want = `master_key_file: "" is refused: with mongodb every replica must be given the same master key; accepted: the path of a file that holds it, or KEYTURN_MASTER_KEY in the environment`
	for _, uri := range []string{mongo, "KEYTURN_STORE=mongodb+srv://h/db"} {
		c := mustLoad(t, "", []string{uri})
		if err := c.CheckMaster(); err == nil || err.Error() != want || !c.MongoDB() || c.SQLitePath() != "" {
			t.Errorf("%s: got %v", uri, err)
		}
	}
	for _, environ := range [][]string{{mongo, "KEYTURN_MASTER_KEY=" + masterKeyText}, {mongo, "KEYTURN_MASTER_KEY_FILE=f"}, nil} {
		if err := mustLoad(t, "", environ).CheckMaster(); err != nil {
			t.Errorf("%q: %v", environ, err)
		}
	}
	if c := mustLoad(t, "", nil); c.MongoDB() || c.SQLitePath() != "keyturn.db" {
		t.Errorf("SQLitePath is %q", c.SQLitePath())
	}
}
