package config

import (
	"reflect"
	"strings"
	"testing"

	"github.com/spf13/pflag"
)

// samples is a text for every setting that differs from its zero value.
var samples = map[string]string{
	"store": "sqlite:x.db", "master_key_file": "keys", "store_must_exist": "true", "master_key": masterKeyText, "issuer": "https://auth.example.com",
	"listen": ":80", "admin_listen": ":90", "profiling": "true", "tls_cert_file": "c.pem", "tls_key_file": "k.pem",
	"trusted_proxies": "10.0.0.7", "client_address": "forwarded", "request_timeout": "1s", "shutdown_delay": "1s", "shutdown_timeout": "1s", "audit_log": "stdout",
	"audit_buffer": "5", "audit_loss": "6", "audit_ca_file": "ca.pem",
	"audit_rotate_size": "7", "audit_rotate_age": "1d", "audit_keep": "8", "audit_keep_age": "9d",
	"log_level": "debug", "signing_alg": "EdDSA", "signing_algs": "ES256,RS256", "key_rotation_interval": "1d", "key_publish_lead": "1h",
	"key_poll_interval": "1s", "clock_skew": "1ms", "jwks_max_age": "1m", "access_token_ttl": "5m",
	"refresh_idle_ttl": "1h", "refresh_ttl": "2h", "browser_session_ttl": "3h", "retry_window": "1s", "password_min_length": "8",
	"argon2_memory": "47104", "argon2_time": "3", "argon2_threads": "2", "pepper_file": "pepper", "hash_concurrency": "3",
	"password_grant": "on", "signup": "true", "dpop_nonce": "true", "require_second_factor": "admin,*", "login_throttle": "on", "mongodb_engine_risk": "accept", "cors_origins": "https://app.example.com",
	"first_party_client": "app", "client_jwks_networks": "10.0.0.0/8,fc00::/7",
	"browser_remember_ttl": "7d", "account_deletion_grace": "3d", "page_name": "Engines", "page_logo_file": "logo.svg", "page_color": "#0b57d0", "page_dark_color": "#8ab4f8", "page_privacy_url": "https://example.com/privacy",
	"page_terms_url": "https://example.com/terms", "page_support_url": "mailto:help@example.com", "page_messages_dir": "messages",
	"mail_host": "mail.example.com", "mail_port": "465", "mail_security": "tls", "mail_username": "keyturn", "mail_password_file": "mail.pw", "mail_from": "Engines <no-reply@example.com>",
	"mail_webhook_url": "https://hooks.example.com/mail", "mail_webhook_secret_file": "hook.secret", "mail_language": "de", "mail_notices": "changes", "mail_templates_dir": "letters",
}

// TestEveryFieldIsOneSetting sets each setting alone and looks which field
// changed: exactly one, another for each, and in the end every field.
func TestEveryFieldIsOneSetting(t *testing.T) {
	settingOf := make(map[string]string)
	for _, s := range Settings() {
		sample, found := samples[s.Name]
		if !found {
			t.Errorf("%s has no sample here", s.Name)
			continue
		}
		var c Config
		if err := s.kind.set(&c, sample); err != nil {
			t.Errorf("%s refuses %q: %v", s.Name, sample, err)
			continue
		}
		changed := changedFields(c)
		if len(changed) != 1 {
			t.Errorf("%s changes the fields %v, want one", s.Name, changed)
			continue
		}
		if other, taken := settingOf[changed[0]]; taken {
			t.Errorf("%s and %s are the same field %s", s.Name, other, changed[0])
		}
		settingOf[changed[0]] = s.Name
		if field := strings.ToLower(changed[0]); field != strings.ReplaceAll(s.Name, "_", "") {
			t.Errorf("%s is the field %s", s.Name, changed[0])
		}
	}
	for field := range reflect.TypeFor[Config]().Fields() {
		if _, found := settingOf[field.Name]; field.IsExported() && !found {
			t.Errorf("the field %s has no setting", field.Name)
		}
	}
}

func changedFields(c Config) []string {
	var names []string
	for field, value := range reflect.ValueOf(c).Fields() {
		if field.IsExported() && !value.IsZero() {
			names = append(names, field.Name)
		}
	}
	return names
}

func TestEverySettingIsDescribed(t *testing.T) {
	fs := pflag.NewFlagSet("keyturn", pflag.ContinueOnError)
	AddFlags(fs)
	for _, s := range Settings() {
		if s.Help == "" || s.Type == "" || s.Accepts == "" {
			t.Errorf("%s lacks help, type or what it accepts: %+v", s.Name, s)
		}
		var c Config
		if err := s.kind.set(&c, s.Default); err != nil {
			t.Errorf("%s refuses its own default %q: %v", s.Name, s.Default, err)
		}
		f := fs.Lookup(s.Flag())
		if s.EnvironmentOnly {
			if f != nil {
				t.Errorf("%s is a flag", s.Name)
			}
			continue
		}
		if f == nil || f.DefValue != s.Default || f.Value.Type() != s.Type || !strings.Contains(f.Usage, s.Env()) {
			t.Errorf("%s: its flag is %+v", s.Name, f)
		}
	}
}

func TestSettingsReturnsACopy(t *testing.T) {
	Settings()[0].Name = "changed"
	if Settings()[0].Name == "changed" {
		t.Error("a caller can change the table")
	}
}
