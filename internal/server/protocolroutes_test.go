package server_test

import (
	"slices"
	"strings"
)

// bearerCases are RFC 6750 §2 and §3 and RFC 9068 §4 on every route that needs an
// access token.
func bearerCases() (cases []protocolCase) {
	for _, route := range borne() {
		method, path, _ := strings.Cut(route, " ")
		for _, c := range []struct {
			section, header string
			status          int
			code            string
		}{
			{"RFC 6750 §3", "", 401, ""},
			{"RFC 6750 §3", "{shop}", 401, ""},
			{"RFC 6750 §2.1", "Token {access}", 401, ""},
			{"RFC 6750 §3.1", "Bearer", 400, "invalid_request"},
			{"RFC 6750 §3.1", "Bearer ", 400, "invalid_request"},
			{"RFC 6750 §3.1", "Bearer a b", 400, "invalid_request"},
			{"RFC 6750 §3.1", "Bearer {access} {access}", 400, "invalid_request"},
			{"RFC 6750 §3.1", "Bearer {access}, Basic x", 400, "invalid_request"},
			{"RFC 6750 §3.1", "Bearer x", 401, "invalid_token"},
			{"RFC 6750 §3.1", "Bearer {expired}", 401, "invalid_token"},
			{"RFC 6750 §3.1", "Bearer {foreign}", 401, "invalid_token"},
			{"RFC 6750 §3.1", "Bearer {refresh}", 401, "invalid_token"},
			{"RFC 8725 §2.4", "Bearer {twice}", 401, "invalid_token"},
			{"RFC 6750 §3.1", "Bearer {own}", 403, "insufficient_scope"},
		} {
			var header []string
			if c.header != "" {
				header = []string{"Authorization", c.header}
			}
			cases = append(cases, protocolCase{c.section, method, path, header, "", c.status, c.code})
		}
		bearer := []string{"Authorization", "Bearer {access}"}
		cases = append(cases,
			protocolCase{"RFC 6750 §3.1", method, path, slices.Concat(bearer, bearer), "", 400, "invalid_request"},
			protocolCase{"RFC 6750 §3.1", method, path + "?access_token={access}", bearer, "", 400, "invalid_request"},
			protocolCase{"RFC 9700 §4.3.2", method, path + "?access_token={access}", nil, "", 401, ""})
		if strings.HasPrefix(path, "/auth/") {
			cases = append(cases, protocolCase{"RFC 9068 §4", method, path, []string{"Authorization", "Bearer {api}"}, "", 401, "invalid_token"},
				protocolCase{"RFC 6750 §3.1", method, path, []string{"Authorization", "Bearer {pageaccess}"}, "", 403, "insufficient_scope"})
		}
	}
	return append(cases,
		protocolCase{"RFC 6750 §2.1", "GET", "/oauth/userinfo", []string{"Authorization", "bEARER {access}"}, "", 200, ""},
		protocolCase{"RFC 6750 §2.1", "GET", "/auth/me", []string{"Authorization", "Bearer  {access}"}, "", 200, ""},
		protocolCase{"OpenID Connect Core §5.3", "POST", "/oauth/userinfo", []string{"Authorization", "Bearer {access}"}, "", 200, ""},
		protocolCase{"OpenID Connect Core §5.3", "GET", "/oauth/userinfo", []string{"Authorization", "Bearer {pageaccess}"}, "", 200, ""})
}

// firstPartyCases are the bodies of the /auth routes: RFC 8259, and RFC 9457 for
// what is answered.
func firstPartyCases() (cases []protocolCase) {
	bodies := map[string]string{
		"/auth/login":        `{"email":"{email}","password":"{password}"}`,
		"/auth/refresh":      `{"refresh_token":"{apprefresh}"}`,
		"/auth/reset":        `{"token":"kt_pr_x","new_password":"another long sentence"}`,
		"/auth/signup":       `{"email":"eve@example.com","password":"a long enough sentence"}`,
		"/auth/me":           `{"first_name":"Grace"}`,
		"/auth/factors":      `{"challenge":"x","code":"123456"}`,
		"/auth/login/factor": `{"challenge":"x","code":"123456"}`,
		"/auth/password":     `{"current_password":"wrong","new_password":"another long sentence"}`,
	}
	for path, good := range bodies {
		header := []string{"Content-Type", "application/json", "Authorization", "Bearer {access}"}
		first := good[2 : 2+strings.IndexByte(good[2:], '"')]
		add := func(section, body string, status int, code string) {
			cases = append(cases, protocolCase{section, "POST", path, header, body, status, code})
		}
		add("RFC 8259 §2", "", 400, "malformed-body")
		add("RFC 8259 §2", "{", 400, "malformed-body")
		add("RFC 8259 §2", "[]", 400, "malformed-body")
		add("RFC 8259 §2", `"x"`, 400, "malformed-body")
		add("RFC 8259 §2", good+"{}", 400, "malformed-body")
		add("RFC 8259 §2", good+"x", 400, "malformed-body")
		add("RFC 8259 §8.1", "\xff", 400, "malformed-body")
		add("RFC 8259 §4", `{"`+first+`":"a",`+good[1:], 400, "malformed-body")
		add("RFC 8259 §4", `{"`+strings.ToUpper(first)+`":"a",`+good[1:], 400, "malformed-body")
		add("RFC 8259 §4", strings.Replace(good, first, strings.ToUpper(first[:1])+first[1:], 1), 400, "malformed-body")
		add("RFC 8259 §4", `{"admin":true,`+good[1:], 400, "malformed-body")
		add("RFC 8259 §3", `{"`+first+`":1}`, 400, "malformed-body")
		add("RFC 8259 §3", `{"`+first+`":["a"]}`, 400, "malformed-body")
		add("RFC 8259 §9", strings.Repeat("[", 10000), 400, "malformed-body")
		add("RFC 9110 §15.5.14", `{"`+first+`":"`+strings.Repeat("x", 17<<10)+`"}`, 413, "body-too-large")
		for _, kind := range []string{"", "text/plain", "application/x-www-form-urlencoded", "application/jsonp", "application/vnd.api+json"} {
			cases = append(cases, protocolCase{"RFC 9110 §15.5.16", "POST", path, []string{"Content-Type", kind, "Authorization", "Bearer {access}"}, good, 415, "wrong-content-type"})
		}
		add("RFC 8259 §8.2", strings.Replace(good, `":"`, `":"\ud83d`, 1), 400, "malformed-body")
		cases = append(cases, protocolCase{"RFC 9110 §8.3", "POST", path, append(slices.Clone(header), "Content-Type", "application/json"), good, 415, "wrong-content-type"})
		cases = append(cases, protocolCase{"RFC 9110 §15.5.16", "POST", path, append(slices.Clone(header), "Content-Encoding", "gzip"), good, 415, "wrong-content-type"})
	}
	for _, c := range []struct {
		path, body string
		status     int
		code       string
	}{
		{"/auth/login", bodies["/auth/login"], 200, ""},
		{"/auth/login", `{"email":"{email}","password":"wrong"}`, 403, "wrong-credentials"},
		{"/auth/login", `{"email":"nobody@example.com","password":"wrong"}`, 403, "wrong-credentials"},
		{"/auth/login", `{"email":"","password":"wrong"}`, 400, "malformed-body"},
		{"/auth/refresh", bodies["/auth/refresh"], 200, ""},
		{"/auth/refresh", `{"refresh_token":"x"}`, 403, "session-is-over"},
		{"/auth/refresh", `{"refresh_token":"{access}"}`, 403, "session-is-over"},
		{"/auth/reset", bodies["/auth/reset"], 403, "one-time-token-is-over"},
		{"/auth/signup", bodies["/auth/signup"], 201, ""},
		{"/auth/signup", `{"email":"{email}","password":"a long enough sentence"}`, 409, "already-taken"},
		{"/auth/signup", `{"email":"x","password":"a long enough sentence"}`, 422, "unacceptable-value"},
		{"/auth/signup", `{"email":"eve@example.com","password":"short"}`, 422, "unacceptable-value"},
		{"/auth/password", bodies["/auth/password"], 403, "wrong-credentials"},
		{"/auth/factors", bodies["/auth/factors"], 403, "log-in-is-over"},
		{"/auth/me", bodies["/auth/me"], 200, ""},
		{"/auth/me", `{"last_name":"\n"}`, 422, "unacceptable-value"},
		{"/auth/login/factor", bodies["/auth/login/factor"], 403, "log-in-is-over"},
		{"/auth/login/factor", `{"challenge":"","code":"123456"}`, 400, "malformed-body"},
	} {
		cases = append(cases, protocolCase{"RFC 9457 §3", "POST", c.path, []string{"Content-Type", "application/json", "Authorization", "Bearer {access}"}, c.body, c.status, c.code})
	}
	bearer := []string{"Authorization", "Bearer {access}"}
	return append(cases,
		protocolCase{"RFC 9110 §9.3.1", "GET", "/auth/me", bearer, "", 200, ""},
		protocolCase{"RFC 9110 §9.3.2", "HEAD", "/auth/me", bearer, "", 200, ""},
		protocolCase{"RFC 9110 §9.3.1", "GET", "/auth/sessions", bearer, "", 200, ""},
		protocolCase{"RFC 9110 §9.3.5", "DELETE", "/auth/sessions", bearer, "", 200, ""},
		protocolCase{"RFC 9110 §15.5.5", "DELETE", "/auth/sessions/none", bearer, "", 404, "not-found"},
		protocolCase{"RFC 9110 §9.3.1", "GET", "/auth/factors", bearer, "", 200, ""},
		protocolCase{"RFC 9110 §15.5.5", "DELETE", "/auth/factors/none", bearer, "", 404, "not-found"},
		protocolCase{"RFC 9110 §15.5.5", "POST", "/auth/recovery-codes", bearer, "", 404, "not-found"},
		protocolCase{"RFC 9110 §9.3.3", "POST", "/auth/logout", bearer, "", 204, ""})
}

// servedRoutes are all routes and the methods that they take.
var servedRoutes = map[string][]string{
	"/oauth/token": {"POST"}, "/oauth/par": {"POST"}, "/oauth/revoke": {"POST"}, "/oauth/introspect": {"POST"}, "/oauth/userinfo": {"GET", "POST"}, "/oauth/logout": {"GET", "POST"},
	"/auth/signup": {"POST"}, "/auth/reset": {"POST"}, "/auth/login": {"POST"}, "/auth/refresh": {"POST"}, "/auth/logout": {"POST"},
	"/auth/login/factor": {"POST"}, "/auth/factors": {"GET", "POST"}, "/auth/factors/totp": {"GET"}, "/auth/factors/passkey": {"GET"}, "/auth/login/passkey": {"GET"}, "/auth/factors/x": {"DELETE"}, "/auth/recovery-codes": {"POST"},
	"/auth/me": {"GET", "POST", "DELETE"}, "/auth/me/data": {"GET"}, "/auth/password": {"POST"}, "/auth/sessions": {"GET", "DELETE"}, "/auth/sessions/x": {"DELETE"}, "/auth/grants": {"GET"}, "/auth/grants/x": {"DELETE"},
	"/": {"GET"}, "/account": {"GET"}, "/account/login": {"GET", "POST"}, "/account/logout": {"GET", "POST"}, "/account/signup": {"GET", "POST"},
	"/account/password": {"GET", "POST"}, "/account/profile": {"GET", "POST"}, "/account/data": {"GET"}, "/account/delete": {"GET", "POST"}, "/account/sessions": {"GET", "POST"}, "/account/consent": {"POST"}, "/account/applications": {"GET", "POST"}, "/account/factors": {"GET", "POST"}, "/account/factors/app": {"GET", "POST"},
	"/healthz": {"GET"}, "/readyz": {"GET"},
	"/.well-known/jwks.json": {"GET"}, "/.well-known/oauth-authorization-server": {"GET"}, "/.well-known/openid-configuration": {"GET"}, "/openapi.yaml": {"GET"},
}

// methodCases are RFC 9110 §9 and §15.5.6 on every route.
func methodCases() (cases []protocolCase) {
	for path, served := range servedRoutes {
		for _, method := range []string{"GET", "HEAD", "POST", "PUT", "PATCH", "DELETE", "TRACE", "CONNECT", "PROPFIND", "get"} {
			if slices.Contains(served, method) || method == "HEAD" && slices.Contains(served, "GET") {
				continue
			}
			cases = append(cases, protocolCase{"RFC 9110 §15.5.6", method, path, nil, "", 405, "wrong-method"})
		}
		cases = append(cases, protocolCase{"RFC 9110 §9.3.7", "OPTIONS", path, nil, "", 204, ""})
	}
	return cases
}

// pathCases are RFC 3986 §6: a path is met as it was sent, and nothing redirects.
func pathCases() (cases []protocolCase) {
	for _, path := range []string{
		"//", "/oauth", "/oauth/", "/oauth/token/", "//oauth/token", "/oauth//token", "/./oauth/token", "/oauth/../oauth/token", "/oauth/%74oken",
		"/OAUTH/TOKEN", "/oauth/token%00", "/oauth/token%2f", "/auth", "/auth/", "/auth//me", "/auth/sessions/", "/auth/sessions/a/b", "/.well-known/",
		"//.well-known/jwks.json", "/.well-known/jwks.json/", "/.well-known/../healthz", "/healthz/", "/metrics", "/debug/pprof/", "/robots.txt",
		"/oauth/par/", "/oauth/token;x", "/..", "/%2e%2e/healthz",
	} {
		for _, method := range []string{"GET", "POST", "CONNECT"} {
			cases = append(cases, protocolCase{"RFC 3986 §6", method, path, nil, "", 404, "not-found"})
		}
	}
	for _, target := range []string{"http://evil.example//oauth/token", "http://evil.example/x/../oauth/token", "http://evil.example"} {
		cases = append(cases, protocolCase{"RFC 9112 §3.2.2", "GET", target, nil, "", 404, "not-found"})
	}
	return append(cases,
		protocolCase{"RFC 9113 §3.4", "PRI", "*", nil, "", 404, "not-found"},
		protocolCase{"RFC 9110 §9.3.7", "OPTIONS", "*", nil, "", 404, "not-found"},
		protocolCase{"RFC 9110 §9.3.6", "CONNECT", "evil.example:443", nil, "", 404, "not-found"})
}

// corsCases are the Fetch standard's preflights.
func corsCases() (cases []protocolCase) {
	for path, methods := range servedRoutes {
		if !strings.HasPrefix(path, "/oauth/") && !strings.HasPrefix(path, "/auth/") || path == "/oauth/logout" { // a page
			continue
		}
		for _, header := range []string{"authorization", "content-type", "dpop", "idempotency-key", "traceparent", "tracestate", "authorization,content-type,traceparent"} {
			names := strings.Split(header, ",")
			slices.Sort(names)
			cases = append(cases, protocolCase{"Fetch §3.2.2", "OPTIONS", path, []string{
				"Origin", "https://app.example.com", "Access-Control-Request-Method", methods[0], "Access-Control-Request-Headers", strings.Join(names, ","),
			}, "", 204, "allowed"})
		}
		cases = append(cases,
			protocolCase{"Fetch §3.2.2", "OPTIONS", path, []string{"Origin", "https://evil.example", "Access-Control-Request-Method", methods[0]}, "", 204, "forbidden"},
			protocolCase{"Fetch §3.2.2", "OPTIONS", path, []string{"Origin", "https://app.example.com", "Access-Control-Request-Method", "PATCH"}, "", 204, "forbidden"},
			protocolCase{"Fetch §3.2.2", "OPTIONS", path, []string{
				"Origin", "https://app.example.com", "Access-Control-Request-Method", methods[0], "Access-Control-Request-Headers", "cookie",
			}, "", 204, "forbidden"})
	}
	return cases
}

// documentCases are RFC 8414 §3, RFC 7517 and RFC 9110 §13 for the documents.
func documentCases() (cases []protocolCase) {
	for path := range servedRoutes {
		if !strings.HasPrefix(path, "/.well-known/") && path != "/openapi.yaml" {
			continue
		}
		for _, method := range []string{"GET", "HEAD"} {
			cases = append(cases,
				protocolCase{"RFC 8414 §3.2", method, path, nil, "", 200, ""},
				protocolCase{"RFC 8414 §3.2", method, path, []string{"Origin", "https://anywhere.example"}, "", 200, ""},
				protocolCase{"RFC 8414 §3.2", method, path + "?x=y", nil, "", 200, ""},
				protocolCase{"RFC 9110 §13.1.2", method, path, []string{"If-None-Match", "*"}, "", 304, ""},
				protocolCase{"RFC 9110 §13.1.2", method, path, []string{"If-None-Match", `"other"`}, "", 200, ""})
		}
	}
	return cases
}
