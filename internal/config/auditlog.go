package config

import (
	"errors"
	"net"
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

// rotatesNoFile refuses to rotate an audit log that is not a file.
func rotatesNoFile(c *Config, set bool) (reason, accepted string) {
	if set && (c.AuditLog == "stdout" || c.AuditLog == "stderr" || strings.Contains(c.AuditLog, "://")) {
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
