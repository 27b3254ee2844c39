package line

import (
	"net/netip"
	"slices"
	"strconv"
	"strings"
	"time"
	"unicode/utf8"

	"github.com/keyturn/keyturn/internal/audit"
)

// Limits of strings in a line, in bytes. A longer string is cut at a character
// boundary and ends in "…". Escaping can turn one byte into six; even so no line
// comes near Max.
const (
	maxWord      = 128  // action, reason, grant type, request id, version
	maxID        = 256  // client, user, session, token and key ids
	maxEmail     = 320  // the longest address that RFC 5321 allows
	maxUserAgent = 512  // user agents
	maxText      = 1024 // scope, detail
	maxNode      = 1024 // host name and path of the log
)

const (
	ecsVersion = "9.4.0"
	TimeLayout = "2006-01-02T15:04:05.000000000Z"
)

// AppendBody appends the rest of a line after the chain's members: the rest of the
// keyturn object and all ECS fields. suffix ends the line (see Suffix). checkpoint
// is a compact JWS or empty.
func AppendBody(b []byte, e *audit.Event, r *audit.Request, checkpoint string, at time.Time, suffix string) []byte {
	b = appendKeyturn(b, e, checkpoint)
	b = append(b, `},"@timestamp":"`...)
	b = appendTime(b, at)
	b = append(b, `","ecs":{"version":"`+ecsVersion+`"}`...)

	head, known := eventHeads[e.Action]
	if !known {
		head = eventHead(audit.Term{Action: e.Action})
	}
	b = append(b, head...)
	if e.Outcome == audit.Success {
		b = append(b, `success"`...)
	} else {
		b = append(b, `failure"`...)
	}
	b = appendMember(b, `,"reason":`, e.Reason.String(), maxWord)
	b = appendMember(b, `,"id":`, e.ID, maxID)
	b = append(b, '}')

	if e.UserID != "" || e.UserEmail != "" {
		b = append(b, `,"user":{`...)
		b = appendMember(b, `"id":`, e.UserID, maxID)
		if e.UserEmail != "" {
			if e.UserID != "" {
				b = append(b, ',')
			}
			// Users log in with their address.
			b = appendMember(b, `"name":`, e.UserEmail, maxEmail)
			b = appendMember(b, `,"email":`, e.UserEmail, maxEmail)
		}
		b = append(b, '}')
	}
	b = appendRequest(b, r)
	b = appendRelated(b, e, r)
	return append(b, suffix...)
}

// appendTime appends t in TimeLayout. Package time formats RFC 3339 without parsing
// a layout.
func appendTime(b []byte, t time.Time) []byte {
	b = t.UTC().AppendFormat(b, time.RFC3339)
	b[len(b)-1] = '.' // replaces the Z
	for digit, rest := 100_000_000, t.Nanosecond(); digit > 0; digit /= 10 {
		b = append(b, '0'+byte(rest/digit%10))
	}
	return append(b, 'Z')
}

// appendUse appends an earlier use of the session to the keyturn object.
func appendUse(b []byte, u *audit.Use) []byte {
	if u.At.IsZero() {
		return b
	}
	b = append(b, `,"previous":{"at":"`...)
	b = appendTime(b, u.At)
	b = append(b, '"')
	b = appendMember(b, `,"ip":`, u.IP, maxID)
	b = appendMember(b, `,"user_agent":`, u.UserAgent, maxUserAgent)
	return append(b, '}')
}

// appendRelated begins ECS related, which the suffix ends. It contains every
// address and every user of the event, so that one search finds them in whatever
// field they are.
func appendRelated(b []byte, e *audit.Event, r *audit.Request) []byte {
	b = append(b, `,"related":{`...)
	ips := [...]string{e.Previous.IP, r.IP}
	for i, ip := range ips {
		if !isIP(ip) {
			ips[i] = ""
		}
	}
	b = appendSet(b, `"ip":[`, maxID, ips[:]...)
	return appendSet(b, `"user":[`, maxEmail, e.UserID, e.UserEmail, r.Operator.User, r.Operator.Real)
}

// appendSet appends key, the start of an array, the distinct non-empty values, and
// a comma. It appends nothing if all values are empty.
func appendSet(b []byte, key string, limit int, values ...string) []byte {
	n := 0
	for i, v := range values {
		if v == "" || slices.Contains(values[:i], v) {
			continue
		}
		if n++; n == 1 {
			b = append(b, key...)
		} else {
			b = append(b, ',')
		}
		b = appendString(b, v, limit)
	}
	if n > 0 {
		b = append(b, "],"...)
	}
	return b
}

func isIP(s string) bool {
	if s == "" {
		return false // most events; ParseAddr would allocate an error
	}
	ip, err := netip.ParseAddr(s)
	return err == nil && ip.Zone() == ""
}

// appendKeyturn appends the members of the keyturn object after chain. The
// checkpoint comes first, where the verifier expects it.
func appendKeyturn(b []byte, e *audit.Event, checkpoint string) []byte {
	if checkpoint != "" {
		b = append(b, checkpointKey...)
		b = append(b, checkpoint...)
		b = append(b, '"')
	}
	b = appendMember(b, `,"client_id":`, e.ClientID, maxID)
	b = appendMember(b, `,"session_id":`, e.SessionID, maxID)
	b = appendMember(b, `,"jti":`, e.TokenID, maxID)
	b = appendMember(b, `,"kid":`, e.KeyID, maxID)
	b = appendMember(b, `,"grant_type":`, e.Grant, maxWord)
	b = appendMember(b, `,"scope":`, e.Scope, maxText)
	if e.HasGeneration {
		b = append(b, `,"generation":`...)
		b = strconv.AppendInt(b, e.Generation, 10)
		b = append(b, `,"presented_generation":`...)
		b = strconv.AppendInt(b, e.Presented, 10)
	}
	b = appendUse(b, &e.Previous)
	if e.Retold {
		b = append(b, `,"retold":true`...)
	}
	if e.Count != 0 {
		b = append(b, `,"count":`...)
		b = strconv.AppendInt(b, int64(e.Count), 10)
	}
	return appendMember(b, `,"detail":`, e.Detail, maxText)
}

func appendRequest(b []byte, r *audit.Request) []byte {
	if r.IP != "" {
		// In ECS source.ip is an address, and an index refuses a line with another
		// text; source.address takes any text.
		key := `,"source":{"address":`
		if isIP(r.IP) {
			key = `,"source":{"ip":`
		}
		b = appendMember(b, key, r.IP, maxID)
		b = append(b, '}')
	}
	if r.UserAgent != "" {
		b = appendMember(b, `,"user_agent":{"original":`, r.UserAgent, maxUserAgent)
		b = append(b, '}')
	}
	if r.ID != "" {
		b = appendMember(b, `,"http":{"request":{"id":`, r.ID, maxWord)
		b = append(b, "}}"...)
	}
	b = appendOperator(b, &r.Operator)
	if r.TraceID != "" {
		b = appendMember(b, `,"trace":{"id":`, r.TraceID, maxWord)
		b = append(b, '}')
	}
	return b
}

// appendOperator appends ECS process.*, which says who ran the command.
func appendOperator(b []byte, o *audit.Operator) []byte {
	if o.PID == 0 {
		return b
	}
	b = append(b, `,"process":{"pid":`...)
	b = strconv.AppendInt(b, int64(o.PID), 10)
	b = appendMember(b, `,"command_line":`, o.Command, maxText)
	for _, u := range []struct{ key, name string }{{`,"user":{"name":`, o.User}, {`,"real_user":{"name":`, o.Real}} {
		if u.name != "" {
			b = append(appendMember(b, u.key, u.name, maxID), '}')
		}
	}
	return append(b, '}')
}

// Suffix returns the end of every line of one process. node begins with the machine
// and a colon.
func Suffix(version, node string) string {
	host, _, _ := strings.Cut(node, ":")
	b := appendString([]byte(`"hosts":[`), host, maxID)
	b = appendString(append(b, `]},"host":{"name":`...), host, maxID)
	b = append(b, `},"service":{"name":"keyturn"`...)
	b = appendMember(b, `,"version":`, version, maxWord)
	b = append(b, `,"node":{"name":`...)
	b = appendString(b, node, maxNode)
	return string(append(b, "}}}"...))
}

// appendMember appends key (raw JSON) and s, or nothing if s is empty.
func appendMember(b []byte, key, s string, limit int) []byte {
	if s == "" {
		return b
	}
	return appendString(append(b, key...), s, limit)
}

// appendString appends at most limit bytes of s as a JSON string. The result is
// always one valid string without control characters, line or paragraph separators,
// or direction marks, so that no input can forge or split a line or mislead its
// reader. Invalid UTF-8 becomes U+FFFD.
func appendString(b []byte, s string, limit int) []byte {
	whole := len(s) <= limit
	if !whole {
		s = s[:runeBoundary(s, limit)]
	}
	b = append(b, '"')
	from := 0
	for i := 0; i < len(s); {
		if plain[s[i]] {
			i++
			continue
		}
		b = append(b, s[from:i]...)
		n := 1
		if s[i] < utf8.RuneSelf {
			b = appendEscaped(b, rune(s[i]))
		} else {
			var r rune
			r, n = utf8.DecodeRuneInString(s[i:])
			switch {
			case r == utf8.RuneError && n == 1:
				b = append(b, "\uFFFD"...)
			case misleading(r):
				b = appendEscaped(b, r)
			default:
				b = append(b, s[i:i+n]...)
			}
		}
		i += n
		from = i
	}
	b = append(b, s[from:]...)
	if !whole {
		b = append(b, "…"...)
	}
	return append(b, '"')
}

// plain marks the bytes that need no escape in a JSON string.
var plain = func() (t [256]bool) {
	for c := ' '; c < 0x7f; c++ {
		t[c] = c != '"' && c != '\\'
	}
	return t
}()

// misleading reports whether the valid character r must be escaped: C1 controls,
// line and paragraph separators, direction marks and the byte order mark.
func misleading(r rune) bool {
	switch {
	case r <= 0x9f, r == 0x061c, r == 0xfeff:
		return true
	case r == 0x200e, r == 0x200f, r >= 0x2028 && r <= 0x202e, r >= 0x2066 && r <= 0x2069:
		return true
	}
	return false
}

// appendEscaped appends the escape of a character of the basic multilingual plane.
func appendEscaped(b []byte, r rune) []byte {
	switch r {
	case '"', '\\':
		return append(b, '\\', byte(r))
	case '\n':
		return append(b, '\\', 'n')
	case '\r':
		return append(b, '\\', 'r')
	case '\t':
		return append(b, '\\', 't')
	}
	const digits = "0123456789abcdef"
	return append(b, '\\', 'u', digits[r>>12&15], digits[r>>8&15], digits[r>>4&15], digits[r&15])
}

// runeBoundary returns the last character boundary in s at or before limit, which
// must be below len(s).
func runeBoundary(s string, limit int) int {
	for i := limit; i > limit-utf8.UTFMax && i > 0; i-- {
		if utf8.RuneStart(s[i]) {
			return i
		}
	}
	return limit
}
