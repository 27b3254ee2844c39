package dpop

import (
	"net/url"
	"strings"
)

// sameURL reports whether an htu names the requested URL. It compares after the
// normalisation of RFC 3986 §6.2.2 and §6.2.3, without query and fragment, as RFC
// 9449 §4.3 requires.
func sameURL(htu, asked string) bool {
	if htu == asked {
		return true
	}
	a, ok := normal(htu)
	b, known := normal(asked)
	return ok && known && a == b
}

// normal returns the normal form of an http or https URL without query and
// fragment.
func normal(text string) (string, bool) {
	u, err := url.Parse(text)
	if err != nil || u.Scheme != "http" && u.Scheme != "https" || u.Opaque != "" || u.User != nil || u.Hostname() == "" {
		return "", false
	}
	host := strings.TrimSuffix(strings.ToLower(u.Host), ":")
	host = strings.TrimSuffix(host, map[string]string{"http": ":80", "https": ":443"}[u.Scheme])
	plain, err := url.Parse(u.Scheme + "://" + host + unescaped(u.EscapedPath()))
	if err != nil {
		return "", false
	}
	if plain = plain.ResolveReference(plain); plain.Path == "" {
		plain.Path = "/"
	}
	return plain.String(), true
}

// unescaped removes every unnecessary percent-encoding from a path, and writes the
// others in capitals.
func unescaped(path string) string {
	const unreserved = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-._~"
	var b strings.Builder
	for i := 0; i < len(path); i++ {
		if path[i] != '%' {
			b.WriteByte(path[i])
			continue
		}
		code := strings.ToUpper(path[i : i+3]) // url.Parse has checked the two digits
		if c, err := url.PathUnescape(code); err == nil && strings.Contains(unreserved, c) {
			code = c
		}
		b.WriteString(code)
		i += 2
	}
	return b.String()
}
