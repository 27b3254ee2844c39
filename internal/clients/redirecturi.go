package clients

import (
	"fmt"
	"slices"
	"strings"
)

const maxRedirectURIs = 50

// RedirectsTo reports whether the client may have its answers at uri, which is
// compared as it is (RFC 9700 §2.1). Of a URL on the loopback interface any port is
// right: a native app takes the one that is free (RFC 8252 §7.3).
func (c Client) RedirectsTo(uri string) bool {
	host, rest, ok := cutLoopback(uri)
	return slices.ContainsFunc(c.RedirectURIs, func(registered string) bool {
		if !ok {
			return registered == uri
		}
		h, r, loopback := cutLoopback(registered)
		return loopback && h == host && r == rest
	})
}

// cutLoopback splits an http URL on the loopback interface around its port.
func cutLoopback(uri string) (host, rest string, ok bool) {
	for _, host := range []string{"http://127.0.0.1", "http://[::1]"} {
		rest, ok := strings.CutPrefix(uri, host)
		if !ok {
			continue
		}
		if after, port := strings.CutPrefix(rest, ":"); port {
			rest = strings.TrimLeft(after, "0123456789")
			if !isPort(after[:len(after)-len(rest)]) {
				return "", "", false
			}
		}
		return host, rest, rest == "" || rest[0] == '/' || rest[0] == '?'
	}
	return "", "", false
}

// checkRedirectURIs refuses what answers must not be sent to, or could not be.
func checkRedirectURIs(client Client) error {
	has := slices.Contains(client.Grants, GrantAuthorizationCode)
	switch {
	case has && len(client.RedirectURIs) == 0:
		return fmt.Errorf("the grant %s needs a redirect URI", GrantAuthorizationCode)
	case !has && len(client.RedirectURIs)+len(client.PostLogoutRedirectURIs) > 0:
		return fmt.Errorf("redirect URIs are for the grant %s", GrantAuthorizationCode)
	case max(len(client.RedirectURIs), len(client.PostLogoutRedirectURIs)) > maxRedirectURIs:
		return fmt.Errorf("a client may have %d redirect URIs", maxRedirectURIs)
	}
	for _, uri := range slices.Concat(client.RedirectURIs, client.PostLogoutRedirectURIs) {
		if why := whyNoRedirect(uri, client.Public); why != "" {
			return fmt.Errorf("redirect URI %q: %s", uri, why)
		}
	}
	return nil
}

// whyNoRedirect says what keeps uri from being a redirect URI, if anything does.
func whyNoRedirect(uri string, public bool) string {
	u, why := parseURI(uri)
	switch {
	case why != "":
		return why
	case strings.HasPrefix(uri, "https://") && u.Hostname() != "":
		return ""
	case strings.HasPrefix(uri, "http://"):
		if _, _, loopback := cutLoopback(uri); loopback || u.Hostname() == "localhost" {
			return ""
		}
		return "use https; http is for 127.0.0.1, [::1] and localhost alone"
	case u.Scheme == "http" || u.Scheme == "https" || !strings.Contains(u.Scheme, "."):
		return "use an https URL, or the scheme of a native app, which is its domain name backwards, such as com.example.app:/callback (RFC 8252 §7.1)"
	case !public:
		return "only a public client may have a scheme of its own"
	}
	return ""
}
