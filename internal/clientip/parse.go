package clientip

import (
	"net/netip"
	"strconv"
	"strings"
)

// lastElement cuts the last element off a list. Commas between quotes do not
// separate. It scans from the end, where the proxies append, so that a quote that a
// client left open swallows none of the proxies' elements.
func lastElement(list string) (before, last string) {
	quoted := false
	for i := len(list) - 1; i >= 0; i-- {
		switch list[i] {
		case '"':
			escapes := len(list[:i]) - len(strings.TrimRight(list[:i], `\`))
			quoted = quoted != (escapes%2 == 0)
		case ',':
			if !quoted {
				return list[:i], list[i+1:]
			}
		}
	}
	return "", list
}

// parseNode parses an address as proxies write it: 192.0.2.7, 192.0.2.7:4711,
// 2001:db8::7, [2001:db8::7], [2001:db8::7]:4711, with or without a zone, and any of
// them in quotes (RFC 7239 §6 requires quotes for IPv6). It refuses the names of
// hidden nodes (RFC 7239 §6.2 and §6.3) and the unspecified addresses (0.0.0.0, ::).
func parseNode(text string) (netip.Addr, bool) {
	text = strings.Trim(text, " \t")
	if quoted, ok := strings.CutPrefix(text, `"`); ok {
		if text, ok = strings.CutSuffix(quoted, `"`); !ok {
			return netip.Addr{}, false
		}
	}
	host := text
	if inner, rest, ok := strings.Cut(strings.TrimPrefix(text, "["), "]"); ok && strings.HasPrefix(text, "[") {
		if rest != "" && (rest[0] != ':' || !isPort(rest[1:])) {
			return netip.Addr{}, false
		}
		ip, err := netip.ParseAddr(inner)
		if err != nil || !ip.Is6() || ip.IsUnspecified() {
			return netip.Addr{}, false
		}
		return plain(ip), true
	}
	if before, port, ok := strings.Cut(text, ":"); ok && strings.Count(text, ":") == 1 {
		if !isPort(port) {
			return netip.Addr{}, false
		}
		host = before
	}
	ip, err := netip.ParseAddr(host)
	if err != nil || ip.IsUnspecified() {
		return netip.Addr{}, false
	}
	return plain(ip), true
}

// isPort reports whether s is a port, or a name in its place (RFC 7239 §6.3).
func isPort(s string) bool {
	_, err := strconv.ParseUint(s, 10, 16)
	return err == nil || len(s) > 1 && s[0] == '_' && isToken(s)
}

// parseElement parses one element of a Forwarded header (RFC 7239 §4) and returns
// the address in its "for" parameter. It allows empty pairs.
func parseElement(s string) (netip.Addr, bool) {
	node, found := "", false
	for s = strings.TrimLeft(s, "; \t"); s != ""; {
		name, after, ok := strings.Cut(s, "=")
		if !ok || !isToken(name) {
			return netip.Addr{}, false
		}
		var value string
		if value, s, ok = forwardedValue(after); !ok {
			return netip.Addr{}, false
		}
		if strings.EqualFold(name, "for") {
			if found {
				return netip.Addr{}, false
			}
			node, found = value, true
		}
		if s = strings.TrimLeft(s, " \t"); s != "" && s[0] != ';' {
			return netip.Addr{}, false
		}
		s = strings.TrimLeft(s, "; \t")
	}
	if !found {
		return netip.Addr{}, false
	}
	return parseNode(node)
}

// forwardedValue parses a token or a quoted string at the beginning of s. It accepts
// an address with a colon without quotes too, because some proxies write it so.
func forwardedValue(s string) (value, rest string, ok bool) {
	if quoted, is := strings.CutPrefix(s, `"`); is {
		var text []byte
		for i := 0; i < len(quoted); i++ {
			switch quoted[i] {
			case '"':
				return string(text), quoted[i+1:], true
			case '\\':
				if i++; i == len(quoted) {
					return "", "", false
				}
			}
			text = append(text, quoted[i])
		}
		return "", "", false
	}
	end := strings.IndexAny(s, " \t;")
	if end < 0 {
		end = len(s)
	}
	return s[:end], s[end:], end > 0
}

// isToken reports whether s is a token of RFC 9110 §5.6.2.
func isToken(s string) bool {
	return s != "" && strings.Trim(s, "!#$%&'*+-.^_`|~0123456789abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ") == ""
}
