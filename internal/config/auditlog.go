package config

import (
	"errors"
	"net"
	"path/filepath"
	"strconv"
	"strings"
)

const (
	syslogTCP = "syslog+tcp://"
	syslogTLS = "syslog+tls://"
)

func checkAuditLog(s string) error {
	if s == "" {
		return errors.New("there is always an audit log")
	}
	if s == "-" {
		return errNotAccepted
	}
	receiver, ok := strings.CutPrefix(s, syslogTCP)
	if !ok {
		receiver, ok = strings.CutPrefix(s, syslogTLS)
	}
	switch {
	case ok:
		host, port, err := net.SplitHostPort(receiver)
		if n, perr := strconv.ParseUint(port, 10, 16); err != nil || perr != nil || n == 0 || host == "" || strings.ContainsAny(host, "/?#@ ") {
			return errors.New("a receiver is HOST:PORT, often with port 601 over TCP and 6514 over TLS")
		}
	case strings.Contains(s, "://"):
		return errNotAccepted
	}
	return noControl(s)
}

// AuditsInFile reports whether the audit log is a file.
func (c *Config) AuditsInFile() bool {
	return c.AuditLog != "stdout" && c.AuditLog != "stderr" && !strings.Contains(c.AuditLog, "://")
}

// overwrites refuses an audit log in a file that has another purpose.
func overwrites(c *Config) (reason, accepted string) {
	if !c.AuditsInFile() {
		return "", ""
	}
	files := map[string]string{c.MasterKeyFile: "master_key_file", c.TLSCertFile: "tls_cert_file", c.TLSKeyFile: "tls_key_file",
		c.AuditCAFile: "audit_ca_file", c.PepperFile: "pepper_file", c.PageLogoFile: "page_logo_file",
		c.MailPasswordFile: "mail_password_file", c.MailWebhookSecretFile: "mail_webhook_secret_file"}
	if db := c.SQLitePath(); db != "" {
		files[c.MasterKeyBeside()] = "the master key beside the store"
		for _, end := range []string{"", "-wal", "-shm", "-journal"} {
			files[db+end] = "the store"
		}
	}
	delete(files, "")
	log := absolute(c.AuditLog)
	for file, purpose := range files {
		if absolute(file) == log {
			return "that file is for " + purpose, "a file of its own"
		}
	}
	return "", ""
}

// absolute returns a path that can be compared, without following links.
func absolute(path string) string {
	if abs, err := filepath.Abs(path); err == nil {
		return abs
	}
	return filepath.Clean(path)
}

// rotatesNoFile refuses to rotate an audit log that is not a file.
func rotatesNoFile(c *Config, set bool) (reason, accepted string) {
	if set && !c.AuditsInFile() {
		return "audit_log is " + c.AuditLog + ", and only a file is rotated", "0"
	}
	return "", ""
}

// keepsNothing refuses to delete rotated files if Keyturn rotates none. Files
// that another program rotates have other names.
func keepsNothing(c *Config, set bool) (reason, accepted string) {
	if set && c.AuditRotateSize == 0 && c.AuditRotateAge == 0 {
		return "nothing is rotated", "0, or audit_rotate_size or audit_rotate_age with it"
	}
	return "", ""
}

// certifiesNobody refuses certificate authorities for a receiver without TLS.
func certifiesNobody(c *Config) (reason, accepted string) {
	if c.AuditCAFile != "" && !strings.HasPrefix(c.AuditLog, syslogTLS) {
		return "audit_log is no " + syslogTLS + " receiver", "nothing, or such a receiver with it"
	}
	return "", ""
}
