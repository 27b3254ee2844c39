package clients

import (
	"fmt"
	"net/url"
	"strconv"
	"strings"
)

// maxURILength bounds a registered URI.
const maxURILength = 1024

// parseURI parses a URI that is registered, whatever it is for, or says what is wrong
// with it. It refuses what two readers could take for two addresses.
func parseURI(uri string) (u *url.URL, why string) {
	u, err := url.Parse(uri)
	switch {
	case err != nil || u.Scheme == "" || len(uri) > maxURILength || strings.ContainsFunc(uri, func(c rune) bool { return c <= ' ' || c > '~' || c == '\\' || c == '*' }):
		return nil, fmt.Sprintf("use an absolute URI of at most %d visible ASCII characters, without wildcards", maxURILength)
	case strings.Contains(uri, "#"):
		return nil, "it must have no fragment (RFC 6749 §3.1.2)"
	case u.User != nil:
		return nil, "it must name no user"
	case u.Host != u.Hostname() && !strings.HasSuffix(u.Host, "]") && !isPort(u.Port()):
		return nil, "its port must be a number from 1 to 65535"
	}
	return u, ""
}

func isPort(text string) bool {
	n, err := strconv.ParseUint(text, 10, 16)
	return err == nil && n > 0 && text[0] != '0'
}
