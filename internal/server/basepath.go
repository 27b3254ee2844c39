package server

import (
	"net/http"
	"net/url"
	"strings"

	"github.com/gorilla/mux"

	"github.com/keyturn/keyturn/wellknown"
)

// basePath returns the path of an issuer without a trailing slash. Most issuers
// have none.
func basePath(issuer string) string {
	u, err := url.Parse(issuer)
	if err != nil {
		return ""
	}
	return strings.TrimRight(u.EscapedPath(), "/")
}

// underIssuer serves the routes below the issuer's path as well as at the root,
// because a proxy may strip the path or not.
func (s *Server) underIssuer(next http.Handler) http.Handler {
	base := basePath(s.settings.Issuer)
	if base == "" {
		return next
	}
	// RFC 8414 §3.1 puts the path of the issuer behind the well-known one.
	for _, path := range []string{wellknown.AuthorizationServerPath, wellknown.OpenIDPath} {
		s.byPath[path+base] = s.byPath[path]
	}
	stripped := http.StripPrefix(base, next)
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if strings.HasPrefix(r.URL.Path, base+"/") && !s.leads(r) {
			stripped.ServeHTTP(w, r)
			return
		}
		next.ServeHTTP(w, r)
	})
}

// leads reports whether the unchanged path of a request has a route.
func (s *Server) leads(r *http.Request) bool {
	if _, ok := s.byPath[r.URL.Path]; ok {
		return true
	}
	var m mux.RouteMatch
	return s.routes.Match(r, &m) && m.Route != nil
}
