package config

import (
	"net/netip"
	"os"
	"path/filepath"
	"reflect"
	"runtime"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/spf13/pflag"

	"github.com/keyturn/keyturn/internal/clients"
)

// loadArgs loads with flags, variables and, unless yaml is empty, a file.
func loadArgs(t *testing.T, yaml string, environ []string, args ...string) (*Config, error) {
	t.Helper()
	fs := pflag.NewFlagSet("keyturn", pflag.ContinueOnError)
	AddFlags(fs)
	if err := fs.Parse(args); err != nil {
		t.Fatalf("parse flags: %v", err)
	}
	if yaml != "" {
		environ = append(slices.Clone(environ), "KEYTURN_CONFIG="+writeFile(t, yaml))
	}
	return Load(fs, environ)
}

func writeFile(t *testing.T, content string) string {
	t.Helper()
	path := filepath.Join(t.TempDir(), "keyturn.yaml")
	if err := os.WriteFile(path, []byte(content), 0o600); err != nil {
		t.Fatal(err)
	}
	return path
}

func mustLoad(t *testing.T, yaml string, environ []string, args ...string) *Config {
	t.Helper()
	c, err := loadArgs(t, yaml, environ, args...)
	if err != nil {
		t.Fatalf("Load: %v", err)
	}
	return c
}

func effective(t *testing.T, c *Config, name string) Value {
	t.Helper()
	for _, v := range c.Effective() {
		if v.Name == name {
			return v
		}
	}
	t.Fatalf("no effective value for %s", name)
	return Value{}
}

func TestDefaults(t *testing.T) {
	c, err := Load(nil, nil)
	if err != nil {
		t.Fatal(err)
	}
	want := &Config{
		Store:  Secret{value: "sqlite:keyturn.db", shown: "sqlite:keyturn.db"},
		Issuer: "http://127.0.0.1:8080", Listen: "127.0.0.1:8080", AdminListen: "127.0.0.1:9090", ClientAddress: "x-forwarded-for",
		MongoDBEngineRisk: "refuse", AuditLog: "keyturn-audit.log", LogLevel: "info", SigningAlg: "ES256",
		KeyRotationInterval: 720 * time.Hour, KeyPublishLead: 24 * time.Hour,
		KeyPollInterval: 10 * time.Second, ClockSkew: 30 * time.Second, JWKSMaxAge: 15 * time.Minute,
		AccessTokenTTL: time.Hour, RefreshIdleTTL: 48 * time.Hour, RefreshTTL: 720 * time.Hour, BrowserSessionTTL: 12 * time.Hour, BrowserRememberTTL: 720 * time.Hour, AccountDeletionGrace: 168 * time.Hour, PageName: "Keyturn", MailPort: 587, MailSecurity: "starttls", MailLanguage: "en", MailNotices: "all",
		RetryWindow: clients.RetryUntilUsed, PasswordGrant: true, Signup: true, PasswordMinLength: 15,
		Argon2Memory: 19456, Argon2Time: 2, Argon2Threads: 1, HashConcurrency: runtime.GOMAXPROCS(0),
		LoginThrottle: true, ShutdownTimeout: 15 * time.Second, RequestTimeout: 10 * time.Second,
		sources: c.sources,
	}
	if !reflect.DeepEqual(c, want) {
		t.Errorf("defaults are\n%+v, want\n%+v", c, want)
	}
	for _, v := range c.Effective() {
		if v.Source != FromDefault {
			t.Errorf("%s comes from the %s, want default", v.Name, v.Source)
		}
	}
}

func TestEachSourceOverridesTheOnesBefore(t *testing.T) {
	file := "clock_skew: 1s\n"
	variable := []string{"KEYTURN_CLOCK_SKEW=2s"}
	flag := "--clock-skew=3s"
	for _, test := range []struct {
		name   string
		config *Config
		want   Value
	}{
		{"nothing", mustLoad(t, "", nil), Value{"clock_skew", "30s", FromDefault}},
		{"file", mustLoad(t, file, nil), Value{"clock_skew", "1s", FromFile}},
		{"variable", mustLoad(t, file, variable), Value{"clock_skew", "2s", FromEnvironment}},
		{"flag", mustLoad(t, file, variable, flag), Value{"clock_skew", "3s", FromFlag}},
		{"flag alone", mustLoad(t, "", nil, flag), Value{"clock_skew", "3s", FromFlag}},
		{"flag over variable", mustLoad(t, "", variable, flag), Value{"clock_skew", "3s", FromFlag}},
		{"flag over file", mustLoad(t, file, nil, flag), Value{"clock_skew", "3s", FromFlag}},
	} {
		if got := effective(t, test.config, "clock_skew"); got != test.want {
			t.Errorf("%s: got %v, want %v", test.name, got, test.want)
		}
	}
}

func TestOtherSettingsKeepTheirSource(t *testing.T) {
	c := mustLoad(t, "log_level: debug\nclock_skew: 1s\n", []string{"KEYTURN_CLOCK_SKEW=2s"}, "--signup=false")
	for name, want := range map[string]Source{
		"log_level": FromFile, "clock_skew": FromEnvironment, "signup": FromFlag, "store": FromDefault,
	} {
		if got := effective(t, c, name).Source; got != want {
			t.Errorf("%s comes from the %s, want %s", name, got, want)
		}
	}
}

func TestFileIsNamedByFlagBeforeVariable(t *testing.T) {
	first := writeFile(t, "clock_skew: 1s\n")
	second := writeFile(t, "clock_skew: 2s\n")
	c := mustLoad(t, "", []string{"KEYTURN_CONFIG=" + first})
	if c.ClockSkew != time.Second {
		t.Errorf("got %v, want 1s from the variable's file", c.ClockSkew)
	}
	c = mustLoad(t, "", []string{"KEYTURN_CONFIG=" + first}, "--config", second)
	if c.ClockSkew != 2*time.Second {
		t.Errorf("got %v, want 2s from the flag's file", c.ClockSkew)
	}
	if c := mustLoad(t, "", []string{"KEYTURN_CONFIG=" + first}, "--config="); c.ClockSkew == time.Second {
		t.Error("the variable's file was read although the flag names no file")
	}
}

func TestFlagsTakeUnderscores(t *testing.T) {
	if c := mustLoad(t, "", nil, "--signing_alg", "EdDSA"); c.SigningAlg != "EdDSA" {
		t.Errorf("--signing_alg gave %s", c.SigningAlg)
	}
}

func TestListsInEverySource(t *testing.T) {
	want := []netip.Prefix{netip.MustParsePrefix("10.0.0.0/8"), netip.MustParsePrefix("192.0.2.1/32"), netip.MustParsePrefix("2001:db8::/32")}
	for name, c := range map[string]*Config{
		"file, a list":           mustLoad(t, "trusted_proxies: [10.0.0.0/8, 192.0.2.1, '2001:db8::/32']\n", nil),
		"file, a string":         mustLoad(t, "trusted_proxies: 10.0.0.0/8 192.0.2.1,2001:db8::/32\n", nil),
		"variable":               mustLoad(t, "", []string{"KEYTURN_TRUSTED_PROXIES=10.0.0.0/8, 192.0.2.1 2001:db8::/32"}),
		"flag":                   mustLoad(t, "", nil, "--trusted-proxies", "10.0.0.0/8,192.0.2.1,2001:db8::/32"),
		"flag, repeated":         mustLoad(t, "", nil, "--trusted-proxies", "10.0.0.0/8", "--trusted-proxies", "192.0.2.1,2001:db8::/32"),
		"an address mapped to 6": mustLoad(t, "", nil, "--trusted-proxies", "10.0.0.0/8 ::ffff:192.0.2.1 2001:db8::/32"),
	} {
		if !slices.Equal(c.TrustedProxies, want) {
			t.Errorf("%s: got %v, want %v", name, c.TrustedProxies, want)
		}
		if got := effective(t, c, "trusted_proxies").Value; got != "10.0.0.0/8,192.0.2.1,2001:db8::/32" {
			t.Errorf("%s: prints %s", name, got)
		}
	}
	if c := mustLoad(t, "cors_origins: https://a.example\n", []string{"KEYTURN_CORS_ORIGINS="}); len(c.CORSOrigins) > 0 {
		t.Errorf("an empty variable left %v of the file's list", c.CORSOrigins)
	}
}

func TestFileTakesYAMLTypes(t *testing.T) {
	c := mustLoad(t, strings.Join([]string{
		"# comment", "argon2_time: 3", "argon2_memory: &m 19456", "password_grant: off", "signup: False",
		"login_throttle: false", "retry_window: 0", "issuer: ''", "trusted_proxies: []", "refresh_ttl: 30d", "",
	}, "\n"), nil)
	if c.Argon2Time != 3 || c.Argon2Memory != 19456 || c.PasswordGrant || c.Signup || c.LoginThrottle ||
		c.RetryWindow != clients.RetryNever || c.Issuer != "http://127.0.0.1:8080" || c.TrustedProxies != nil || c.RefreshTTL != 720*time.Hour {
		t.Errorf("got %+v", c)
	}
	// A scalar is the text that stands there.
	for _, text := range []string{"007", "0x1F", "1.10", "1_0", "1e3", "12345678901234567890123", "True", "2026-01-01", ".inf"} {
		c := mustLoad(t, "page_name: &name "+text+"\nfirst_party_client: *name\n", nil)
		if c.PageName != text || c.FirstPartyClient != text {
			t.Errorf("%s is read as %q and %q", text, c.PageName, c.FirstPartyClient)
		}
	}
	for name, yaml := range map[string]string{"empty": "\n", "comment": "# nothing\n", "one document": "---\nlog_level: info\n"} {
		if _, err := loadArgs(t, yaml, nil); err != nil {
			t.Errorf("%s file: %v", name, err)
		}
	}
}

func TestLastOfARepeatedFlagCounts(t *testing.T) {
	if c := mustLoad(t, "", nil, "--clock-skew=1s", "--clock-skew=2s"); c.ClockSkew != 2*time.Second {
		t.Errorf("clock_skew is %v", c.ClockSkew)
	}
	c := mustLoad(t, "", []string{"KEYTURN_CLOCK_SKEW=1s", "KEYTURN_CLOCK_SKEW=2s"})
	if c.ClockSkew != 2*time.Second {
		t.Errorf("clock_skew is %v", c.ClockSkew)
	}
}

func TestForeignVariablesAreLeftAlone(t *testing.T) {
	mustLoad(t, "", []string{
		"PATH=/bin", "KEYTURN", "KEYTURN_TEST_MONGODB_URI=mongodb://x", "keyturn_nothing=1",
		// What Kubernetes sets beside services named keyturn and keyturn-admin.
		"KEYTURN_SERVICE_HOST=10.0.0.1", "KEYTURN_SERVICE_PORT=80", "KEYTURN_SERVICE_PORT_HTTP=80",
		"KEYTURN_PORT=tcp://10.0.0.1:80", "KEYTURN_PORT_80_TCP=tcp://10.0.0.1:80", "KEYTURN_PORT_80_TCP_PROTO=tcp",
		"KEYTURN_PORT_80_TCP_PORT=80", "KEYTURN_PORT_80_TCP_ADDR=10.0.0.1",
		"KEYTURN_ADMIN_SERVICE_HOST=10.0.0.1", "KEYTURN_ADMIN_PORT=tcp://10.0.0.1:9090", "KEYTURN_ADMIN_PORT_9090_TCP_ADDR=10.0.0.1",
	})
	if _, err := loadArgs(t, "", []string{"KEYTURN_PORT=80"}); err == nil {
		t.Error("KEYTURN_PORT=80, which somebody meant, is accepted")
	}
}

func TestForeignFlagsAreLeftAlone(t *testing.T) {
	fs := pflag.NewFlagSet("keyturn", pflag.ContinueOnError)
	AddFlags(fs)
	fs.String("output", "text", "")
	if err := fs.Parse([]string{"--output", "json", "--log-level", "warn"}); err != nil {
		t.Fatal(err)
	}
	if c, err := Load(fs, nil); err != nil || c.LogLevel != "warn" {
		t.Errorf("got %v, %v", c, err)
	}
	if _, err := Load(pflag.NewFlagSet("bare", pflag.ContinueOnError), nil); err != nil {
		t.Errorf("flags without settings: %v", err)
	}
}

// TestOneFile: a second file would silently take the place of the first.
func TestOneFile(t *testing.T) {
	fs := pflag.NewFlagSet("keyturn", pflag.ContinueOnError)
	AddFlags(fs)
	if err := fs.Parse([]string{"--config=mail.yaml", "--config", "pages.yaml"}); err == nil || !strings.Contains(err.Error(), "given twice") {
		t.Errorf("two files: %v", err)
	}
}
