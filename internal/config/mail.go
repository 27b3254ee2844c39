package config

import (
	netmail "net/mail"
	"net/url"
	"slices"
	"strings"
)

// letters is how mail is sent.
func letters() []Setting {
	return []Setting{
		{Name: "mail_host", kind: text(func(c *Config) *string { return &c.MailHost }, "name", "the name or address of a host", checkMailHost),
			Help: "SMTP server that takes letters; without it, and without mail_webhook_url, none is sent, and everything that needs one is off"},
		{Name: "mail_port", Default: "587", kind: number(func(c *Config) *int { return &c.MailPort }, 1, 65535, ""),
			Help: "port of mail_host: often 587 for starttls and 465 for tls"},
		{Name: "mail_security", Default: "starttls", kind: oneOf(func(c *Config) *string { return &c.MailSecurity }, "starttls", "tls", "none"),
			Help: "how the connection to mail_host is protected; with starttls nothing is sent to a server that does not offer it; none is for a server on the same machine"},
		{Name: "mail_username", kind: text(func(c *Config) *string { return &c.MailUsername }, "text", "text without control characters", noControl),
			Help: "name to log in to mail_host with; empty: no log-in"},
		{Name: "mail_password_file", kind: filePath(func(c *Config) *string { return &c.MailPasswordFile }, "the path of a file"),
			Help: "file with the password of mail_username"},
		{Name: "mail_from", kind: text(func(c *Config) *string { return &c.MailFrom }, "address", "an e-mail address, such as no-reply@example.com or Engines <no-reply@example.com>", checkMailFrom),
			Help: "address that letters come from"},
		{Name: "mail_webhook_url", kind: text(func(c *Config) *string { return &c.MailWebhookURL }, "URL", "an https URL without a user (http for localhost, 127.0.0.0/8 and [::1])", checkWebhook),
			Help: "in the place of mail_host, an address that letters are posted to as JSON, signed, by which you send them yourself"},
		{Name: "mail_webhook_secret_file", kind: filePath(func(c *Config) *string { return &c.MailWebhookSecretFile }, "the path of a file"),
			Help: "file with the secret of 32 bytes or more that signs what is posted to mail_webhook_url"},
		{Name: "mail_language", Default: "en", kind: text(func(c *Config) *string { return &c.MailLanguage }, "name", "the tag of a language that there are messages in, such as de", noControl),
			Help: "language of letters to people whose language is not known"},
		{Name: "mail_notices", Default: "all", kind: oneOf(func(c *Config) *string { return &c.MailNotices }, "all", "changes", "none"),
			Help: "of what the owners of accounts are told by letters: changes are another password, other second factors, a closed account and a session that two parties used; all is also a log-in from a device or a place that is new"},
		{Name: "mail_templates_dir", kind: filePath(func(c *Config) *string { return &c.MailTemplatesDir }, "the path of a directory"),
			Help: "directory with templates of letters, such as letter.html or reset.txt, and messages, such as it.json, in addition to, or in the place of, those that are built in; read at the start"},
	}
}

// Mail reports whether letters can be sent.
func (c *Config) Mail() bool { return c.MailHost != "" || c.MailWebhookURL != "" }

func checkMailHost(s string) error {
	if s != "" && (!isName(s) && !isLoopback(s) || strings.Contains(s, "%")) {
		return errNotAccepted
	}
	return nil
}

func checkMailFrom(s string) error {
	if s == "" {
		return nil
	}
	if _, err := netmail.ParseAddress(s); err != nil || noControl(s) != nil {
		return errNotAccepted
	}
	return nil
}

func checkWebhook(s string) error {
	if s == "" {
		return nil
	}
	u, err := url.Parse(s)
	if err != nil || noControl(s) != nil || u.Host == "" || u.User != nil || u.Fragment != "" || u.Scheme != "https" && (u.Scheme != "http" || !isLoopback(u.Hostname())) {
		return errNotAccepted
	}
	return nil
}

// mailContradictions are those between the settings of mail.
var mailContradictions = slices.Concat([]contradiction{
	{[]string{"mail_webhook_url", "mail_host"}, func(c *Config) (string, string) {
		if c.MailHost != "" && c.MailWebhookURL != "" {
			return "mail_host is set too", "one of the two"
		}
		return "", ""
	}},
	{[]string{"mail_from", "mail_host"}, func(c *Config) (string, string) {
		if c.MailHost != "" && c.MailFrom == "" {
			return "mail_host is set", "the address that letters come from"
		}
		return "", ""
	}},
	{[]string{"mail_password_file", "mail_username"}, func(c *Config) (string, string) {
		if (c.MailUsername == "") != (c.MailPasswordFile == "") {
			return "a log-in takes both, and mail_username is " + quoted(c.MailUsername), "both, or neither"
		}
		return "", ""
	}},
	{[]string{"mail_security", "mail_host", "mail_username"}, func(c *Config) (string, string) {
		if c.MailSecurity == "none" && c.MailHost != "" && !isLoopback(c.MailHost) {
			return "letters open accounts, and mail_host is not this machine", "starttls or tls"
		}
		return "", ""
	}},
	{[]string{"mail_webhook_secret_file", "mail_webhook_url"}, func(c *Config) (string, string) {
		if c.MailWebhookURL != "" && c.MailWebhookSecretFile == "" {
			return "mail_webhook_url is set", "the file of its secret"
		}
		return "", ""
	}},
}, withoutEffect())

// withoutEffect refuses each setting of mail that nothing reads, because nothing carries
// letters, or something that it says nothing of.
func withoutEffect() []contradiction {
	const host, webhook = "mail_host", "mail_webhook_url"
	needs := map[string][]string{
		"mail_port": {host}, "mail_security": {host}, "mail_username": {host}, "mail_password_file": {host}, "mail_webhook_secret_file": {webhook},
	}
	var list []contradiction
	for _, s := range letters() {
		if s.Name == host || s.Name == webhook {
			continue
		}
		carriers := needs[s.Name]
		if carriers == nil {
			carriers = []string{host, webhook}
		}
		list = append(list, contradiction{[]string{s.Name, host, webhook}, func(c *Config) (string, string) {
			carried := c.MailHost != "" && carriers[0] == host || c.MailWebhookURL != "" && slices.Contains(carriers, webhook)
			if carried || s.kind.show(c) == s.Default {
				return "", ""
			}
			word := strings.Join(carriers, " or ")
			return "it has no effect without " + word, "nothing, or " + word + " with it"
		}})
	}
	return list
}
