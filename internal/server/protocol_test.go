package server_test

import (
	"encoding/base64"
	"encoding/json"
	"fmt"
	"net/http"
	"net/http/httptest"
	"net/url"
	"slices"
	"strings"
	"testing"
	"time"
)

// protocolCase is one request and what the RFCs say of its answer. What is
// written {…} in a header or a body stands for what protocolWords says.
type protocolCase struct {
	section string // of the RFC that says so
	method  string
	path    string
	header  []string // names and values
	body    string
	status  int
	code    string // the member error, or the challenge's, or the problem's anchor
}

// protocolWords are the credentials and tokens that a world has.
func (w *world) protocolWords() map[string]string {
	held, page := w.login(), pages(w)
	basic := func(id, secret string) string {
		return "Basic " + base64.StdEncoding.EncodeToString([]byte(url.QueryEscape(id)+":"+url.QueryEscape(secret)))
	}
	own := read[tokens](w.t, w.post("/oauth/token", values{"grant_type": {"client_credentials"}}), 200)
	return map[string]string{
		"{shop}": basic("shop", w.secret), "{wrong}": basic("shop", "wrong"), "{nobody}": basic("nobody", "x"), "{page}": basic("page", ""),
		"{secret}": url.QueryEscape(w.secret), "{access}": held.Access, "{refresh}": held.Refresh, "{pageaccess}": page.Access, "{pagerefresh}": page.Refresh,
		"{own}": own.Access, "{user}": url.QueryEscape(email), "{pass}": url.QueryEscape(password), "{email}": email, "{password}": password,
		"{api}": audienceWithout(w, held), "{expired}": w.token(saying().with("exp", time.Now().Add(-time.Hour).Unix())),
		"{foreign}": w.token(saying().with("iss", "https://other.example")), "{twice}": w.tokenOf(`{"iss":"` + issuer + `","sub":"a","Sub":"b","aud":"` + issuer + `","exp":9999999999,"client_id":"shop"}`),
	}
}

// tokenOf signs a text as an access token.
func (w *world) tokenOf(payload string) string {
	token, _, err := w.keeper.Ring().Sign("at+jwt", []byte(payload))
	must(w.t, err)
	return token
}

func protocolCases() []protocolCase {
	return slices.Concat(
		clientAuthCases(), formCases(), tokenCases(), revocationCases(), introspectionCases(), bearerCases(), firstPartyCases(), methodCases(),
		pathCases(), corsCases(), documentCases(),
	)
}

var formHeader = []string{"Content-Type", "application/x-www-form-urlencoded"}

func post(section, path, body string, status int, code string, header ...string) protocolCase {
	return protocolCase{section, "POST", path, slices.Concat(formHeader, header), body, status, code}
}

var oauthEndpoints = []string{"/oauth/token", "/oauth/revoke", "/oauth/introspect"}

// clientAuthCases are RFC 6749 §2.3 and §3.2.1, RFC 7617 and RFC 7521 §4.2 at the
// three endpoints where clients authenticate.
func clientAuthCases() (cases []protocolCase) {
	const assertion = "client_assertion_type=urn%3Aietf%3Aparams%3Aoauth%3Aclient-assertion-type%3Ajwt-bearer&client_assertion="
	b64 := func(s string) string { return base64.StdEncoding.EncodeToString([]byte(s)) }
	jws := func(header, payload string) string {
		return base64.RawURLEncoding.EncodeToString([]byte(header)) + "." + base64.RawURLEncoding.EncodeToString([]byte(payload)) + ".AAAA"
	}
	for _, path := range oauthEndpoints {
		for _, c := range []struct {
			section, header, body string
			status                int
			code                  string
		}{
			{"RFC 6749 §3.2.1", "", "", 401, "invalid_client"},
			{"RFC 6749 §2.3.1", "{wrong}", "", 401, "invalid_client"},
			{"RFC 6749 §2.3.1", "{nobody}", "", 401, "invalid_client"},
			{"RFC 6749 §2.3.1", "", "client_id=shop", 401, "invalid_client"},
			{"RFC 6749 §2.3.1", "", "client_id=shop&client_secret=wrong", 401, "invalid_client"},
			{"RFC 6749 §2.3.1", "", "client_secret={secret}", 401, "invalid_client"},
			{"RFC 6749 §2.3.1", "", "client_id=&client_secret={secret}", 401, "invalid_client"},
			{"RFC 6749 §2.3.1", "", "client_id=page&client_secret=x", 401, "invalid_client"},
			{"RFC 6749 §2.3.1", "", "client_id=SHOP&client_secret={secret}", 401, "invalid_client"},
			{"RFC 6749 §2.3.1", "", "client_id=caf%C3%A9", 401, "invalid_client"},
			{"RFC 6749 §2.3", "{shop}", "client_id=shop&client_secret={secret}", 400, "invalid_request"},
			{"RFC 6749 §2.3", "{shop}", "client_secret=x", 400, "invalid_request"},
			{"RFC 6749 §2.3", "{shop}", "client_id=page", 400, "invalid_request"},
			{"RFC 7617 §2", "Basic", "", 401, "invalid_client"},
			{"RFC 7617 §2", "Basic *", "", 401, "invalid_client"},
			{"RFC 7617 §2", "Basic " + b64("shop"), "", 401, "invalid_client"},
			{"RFC 7617 §2", "Basic " + b64("%zz:x"), "", 401, "invalid_client"},
			{"RFC 7617 §2", "Basic " + b64(":x"), "", 401, "invalid_client"},
			{"RFC 7617 §2", "Basic " + b64("shop:"), "", 401, "invalid_client"},
			{"RFC 7617 §2", "Bearer {access}", "", 401, "invalid_client"},
			{"RFC 7617 §2", "Digest x", "", 401, "invalid_client"},
			{"RFC 7521 §4.2", "", "client_assertion=x", 400, "invalid_request"},
			{"RFC 7521 §4.2", "", "client_assertion_type=urn%3Aietf%3Aparams%3Aoauth%3Aclient-assertion-type%3Ajwt-bearer", 400, "invalid_request"},
			{"RFC 7521 §4.2", "", "client_assertion_type=urn%3Aietf%3Aparams%3Aoauth%3Aclient-assertion-type%3Asaml2-bearer&client_assertion=x", 400, "invalid_request"},
			{"RFC 7521 §4.2", "{shop}", assertion + jws(`{"alg":"ES256"}`, `{"iss":"shop","sub":"shop"}`), 400, "invalid_request"},
			{"RFC 7521 §4.2", "", "client_id=page&" + assertion + jws(`{"alg":"ES256"}`, `{"iss":"shop","sub":"shop"}`), 400, "invalid_request"},
			{"RFC 7521 §4.2", "", "client_secret=x&" + assertion + jws(`{"alg":"ES256"}`, `{"iss":"shop","sub":"shop"}`), 400, "invalid_request"},
			{"RFC 7523 §3", "", assertion + "x", 401, "invalid_client"},
			{"RFC 7523 §3", "", assertion + "a.b.c", 401, "invalid_client"},
			{"RFC 7523 §3", "", assertion + "{access}", 401, "invalid_client"},
			{"RFC 7523 §3", "", assertion + jws(`{"alg":"none"}`, `{"iss":"shop","sub":"shop"}`), 401, "invalid_client"},
			{"RFC 7523 §3", "", assertion + jws(`{"alg":"HS256"}`, `{"iss":"shop","sub":"shop"}`), 401, "invalid_client"},
			{"RFC 7523 §3", "", assertion + jws(`{"alg":"ES256"}`, `{"iss":"shop","sub":"page"}`), 401, "invalid_client"},
			{"RFC 7523 §3", "", assertion + jws(`{"alg":"ES256"}`, `{"sub":"shop"}`), 401, "invalid_client"},
			{"RFC 7523 §3", "", assertion + jws(`{"alg":"ES256"}`, `[]`), 401, "invalid_client"},
			{"RFC 7515 §4.1.11", "", assertion + jws(`{"alg":"ES256","crit":[]}`, `{"iss":"shop","sub":"shop"}`), 401, "invalid_client"},
			{"RFC 7797 §6", "", assertion + jws(`{"alg":"ES256","b64":false,"crit":["b64"]}`, `{"iss":"shop","sub":"shop"}`), 401, "invalid_client"},
			{"RFC 7515 §4", "", assertion + jws(`{"alg":"ES256","alg":"none"}`, `{"iss":"shop","sub":"shop"}`), 401, "invalid_client"},
			{"RFC 8725 §2.4", "", assertion + jws(`{"alg":"ES256","ALG":"none"}`, `{"iss":"shop","sub":"shop"}`), 401, "invalid_client"},
			{"RFC 7519 §4", "", assertion + jws(`{"alg":"ES256"}`, `{"iss":"shop","sub":"shop","sub":"page"}`), 401, "invalid_client"},
			{"RFC 8725 §3.11", "", assertion + jws(`{"alg":"ES256","typ":"at+jwt"}`, `{"iss":"shop","sub":"shop"}`), 401, "invalid_client"},
		} {
			var header []string
			if c.header != "" {
				header = []string{"Authorization", c.header}
			}
			cases = append(cases, post(c.section, path, c.body, c.status, c.code, header...))
		}
		cases = append(cases, post("RFC 6749 §2.3", path, "", 400, "invalid_request", "Authorization", "{shop}", "Authorization", "{shop}"))
	}
	return cases
}

// formCases are RFC 6749 §3.2 and appendix B: how parameters are sent.
func formCases() (cases []protocolCase) {
	for _, path := range oauthEndpoints {
		for _, c := range []struct {
			section, contentType, query, body string
			status                            int
		}{
			{"RFC 6749 §3.2", "application/json", "", `{"token":"x"}`, 400},
			{"RFC 6749 §3.2", "", "", "token=x", 400},
			{"RFC 6749 §3.2", "text/plain", "", "token=x", 400},
			{"RFC 6749 §3.2", "multipart/form-data; boundary=x", "", "--x--", 400},
			{"RFC 6749 §B", "application/x-www-form-urlencoded; charset=iso-8859-1", "", "token=x", 400},
			{"RFC 6749 §3.2", "application/x-www-form-urlencoded", "", "token=a&token=b", 400},
			{"RFC 6749 §3.2", "application/x-www-form-urlencoded", "", "other=a&other=b", 400},
			{"RFC 6749 §3.2", "application/x-www-form-urlencoded", "", "token=a&tok%65n=b", 400},
			{"RFC 6749 §B", "application/x-www-form-urlencoded", "", "token=%zz", 400},
			{"RFC 6749 §B", "application/x-www-form-urlencoded", "", "token=%", 400},
			{"RFC 6749 §B", "application/x-www-form-urlencoded", "", "token=%ff", 400},
			{"RFC 6749 §B", "application/x-www-form-urlencoded", "", "token=%00", 400},
			{"RFC 6749 §B", "application/x-www-form-urlencoded", "", "token=a;scope=b", 400},
			{"RFC 6749 §2.3.1", "application/x-www-form-urlencoded", "?client_id=shop&client_secret=x", "", 400},
			{"RFC 6749 §2.3.1", "application/x-www-form-urlencoded", "?token=x", "", 400},
			{"RFC 6749 §2.3.1", "application/x-www-form-urlencoded", "?grant_type=password", "", 400},
			{"RFC 6749 §2.3.1", "application/x-www-form-urlencoded", "?a=%zz", "", 400},
			{"RFC 9110 §15.5.14", "application/x-www-form-urlencoded", "", "token=" + strings.Repeat("x", 33<<10), 413},
		} {
			header := []string{"Authorization", "{shop}"}
			if c.contentType != "" {
				header = append(header, "Content-Type", c.contentType)
			}
			cases = append(cases, protocolCase{c.section, "POST", path + c.query, header, c.body, c.status, "invalid_request"})
		}
		for _, coding := range []string{"gzip", "deflate", "br", "zstd", "GZIP", "identity, gzip"} {
			cases = append(cases, post("RFC 9110 §15.5.16", path, "token=x", 415, "invalid_request", "Authorization", "{shop}", "Content-Encoding", coding))
		}
	}
	return cases
}

// tokenCases are RFC 6749 §4.3, §4.4, §5 and §6, and RFC 8707 §2.
func tokenCases() (cases []protocolCase) {
	for _, c := range []struct {
		section, body string
		status        int
		code          string
	}{
		{"RFC 6749 §4.3.3", "grant_type=password&username={user}&password={pass}", 200, ""},
		{"RFC 6749 §4.3.3", "grant_type=password&username={user}&password={pass}&scope=openid", 200, ""},
		{"RFC 6749 §4.3.3", "grant_type=password&username={user}&password={pass}&scope=openid+openid", 200, ""},
		{"RFC 6749 §3.2", "grant_type=password&username={user}&password={pass}&scope=", 200, ""},
		{"RFC 6749 §3.2", "grant_type=password&username={user}&password={pass}&unknown=1", 200, ""},
		{"RFC 6749 §4.3.2", "grant_type=password&username={user}", 400, "invalid_request"},
		{"RFC 6749 §4.3.2", "grant_type=password&password={pass}", 400, "invalid_request"},
		{"RFC 6749 §3.2", "grant_type=password&username=&password={pass}", 400, "invalid_request"},
		{"RFC 6749 §5.2", "grant_type=password&username={user}&password=wrong", 400, "invalid_grant"},
		{"RFC 6749 §5.2", "grant_type=password&username=nobody%40example.com&password={pass}", 400, "invalid_grant"},
		{"RFC 6749 §5.2", "grant_type=password&username=nobody&password={pass}", 400, "invalid_grant"},
		{"RFC 6749 §5.2", "grant_type=password&username={user}&password={pass}&scope=admin", 400, "invalid_scope"},
		{"RFC 6749 §3.3", "grant_type=password&username={user}&password={pass}&scope=%22", 400, "invalid_scope"},
		{"RFC 6749 §3.3", "grant_type=password&username={user}&password={pass}&scope=openid%09email", 400, "invalid_scope"},
		{"RFC 8707 §2", "grant_type=password&username={user}&password={pass}&resource=https%3A%2F%2Fapi.example.com", 200, ""},
		{"RFC 8707 §2", "grant_type=password&username={user}&password={pass}&resource=https%3A%2F%2Fevil.example", 400, "invalid_target"},
		{"RFC 8707 §2", "grant_type=password&username={user}&password={pass}&resource=https%3A%2F%2Fapi.example.com%23x", 400, "invalid_target"},
		{"RFC 8707 §2", "grant_type=password&username={user}&password={pass}&resource=https%3A%2F%2Fapi.example.com&resource=https%3A%2F%2Fevil.example", 400, "invalid_target"},
		{"RFC 6749 §4.4", "grant_type=client_credentials", 200, ""},
		{"RFC 6749 §4.4", "grant_type=client_credentials&scope=openid", 200, ""},
		{"RFC 6749 §4.4", "grant_type=client_credentials&scope=admin", 400, "invalid_scope"},
		{"RFC 8707 §2", "grant_type=client_credentials&resource=https%3A%2F%2Fevil.example", 400, "invalid_target"},
		{"RFC 6749 §5.2", "", 400, "invalid_request"},
		{"RFC 6749 §3.2", "grant_type=", 400, "invalid_request"},
		{"RFC 6749 §5.2", "grant_type=authorization_code&code=x", 400, "unsupported_grant_type"},
		{"RFC 6749 §5.2", "grant_type=implicit", 400, "unsupported_grant_type"},
		{"RFC 6749 §5.2", "grant_type=PASSWORD&username={user}&password={pass}", 400, "unsupported_grant_type"},
		{"RFC 6749 §5.2", "grant_type=urn%3Aietf%3Aparams%3Aoauth%3Agrant-type%3Ajwt-bearer&assertion=x", 400, "unsupported_grant_type"},
		{"RFC 8628 §3.4", "grant_type=urn%3Aietf%3Aparams%3Aoauth%3Agrant-type%3Adevice_code&device_code=x", 400, "unsupported_grant_type"},
		{"RFC 8693 §2.1", "grant_type=urn%3Aietf%3Aparams%3Aoauth%3Agrant-type%3Atoken-exchange", 400, "unsupported_grant_type"},
		{"RFC 6749 §6", "grant_type=refresh_token", 400, "invalid_request"},
		{"RFC 6749 §6", "grant_type=refresh_token&refresh_token=", 400, "invalid_request"},
		{"RFC 6749 §6", "grant_type=refresh_token&refresh_token=x", 400, "invalid_grant"},
		{"RFC 6749 §6", "grant_type=refresh_token&refresh_token=kt_rt_x", 400, "invalid_grant"},
		{"RFC 6749 §6", "grant_type=refresh_token&refresh_token={access}", 400, "invalid_grant"},
		{"RFC 6749 §6", "grant_type=refresh_token&refresh_token={refresh}%20", 400, "invalid_grant"},
		{"RFC 6749 §6", "grant_type=refresh_token&refresh_token={refresh}&scope=admin", 400, "invalid_scope"},
		{"RFC 6749 §6", "grant_type=refresh_token&refresh_token={refresh}&scope=openid", 200, ""},
		{"RFC 6749 §6", "grant_type=refresh_token&refresh_token={refresh}", 200, ""},
		{"RFC 8707 §2.2", "grant_type=refresh_token&refresh_token={refresh}&resource=https%3A%2F%2Fevil.example", 400, "invalid_target"},
		{"RFC 6749 §6, RFC 9700 §4.14.2", "grant_type=refresh_token&refresh_token={pagerefresh}", 400, "invalid_grant"},
	} {
		cases = append(cases,
			post(c.section, "/oauth/token", c.body, c.status, c.code, "Authorization", "{shop}"),
			post(c.section, "/oauth/token", strings.TrimPrefix(c.body+"&client_id=shop&client_secret={secret}", "&"), c.status, c.code))
	}
	return append(cases,
		post("RFC 6749 §4.4", "/oauth/token", "grant_type=client_credentials&client_id=page", 400, "unauthorized_client"),
		post("RFC 6749 §6", "/oauth/token", "grant_type=refresh_token&refresh_token={pagerefresh}&client_id=page", 200, ""),
		post("RFC 6749 §6", "/oauth/token", "grant_type=refresh_token&refresh_token={refresh}", 401, "invalid_client"),
		post("RFC 6749 §6", "/oauth/token", "grant_type=refresh_token&refresh_token={refresh}&client_id=shop", 401, "invalid_client"),
		post("RFC 6749 §6", "/oauth/token", "grant_type=refresh_token&refresh_token={refresh}", 401, "invalid_client", "Authorization", "{wrong}"),
	)
}

// revocationCases are RFC 7009 §2.
func revocationCases() (cases []protocolCase) {
	for _, c := range []struct {
		section, body string
		status        int
		code          string
	}{
		{"RFC 7009 §2.1", "", 400, "invalid_request"},
		{"RFC 7009 §2.1", "token=", 400, "invalid_request"},
		{"RFC 7009 §2.2", "token=x", 200, ""},
		{"RFC 7009 §2.2", "token=kt_rt_x", 200, ""},
		{"RFC 7009 §2.2", "token={expired}", 200, ""},
		{"RFC 7009 §2.2", "token={foreign}", 200, ""},
		{"RFC 7009 §2.1", "token={access}", 200, ""},
		{"RFC 7009 §2.1", "token={own}", 200, ""},
		{"RFC 7009 §2.1", "token={refresh}", 200, ""},
		{"RFC 7009 §2.1", "token={refresh}&token_type_hint=access_token", 200, ""},
		{"RFC 7009 §2.1", "token={access}&token_type_hint=refresh_token", 200, ""},
		{"RFC 7009 §2.1", "token={access}&token_type_hint=other", 200, ""},
		{"RFC 7009 §2.1", "token={pageaccess}", 400, "invalid_grant"},
		{"RFC 7009 §2.1", "token={pagerefresh}", 400, "invalid_grant"},
	} {
		cases = append(cases, post(c.section, "/oauth/revoke", c.body, c.status, c.code, "Authorization", "{shop}"))
	}
	return append(cases,
		post("RFC 7009 §2.1", "/oauth/revoke", "token={pagerefresh}&client_id=page", 200, ""),
		post("RFC 7009 §2.1", "/oauth/revoke", "token={refresh}&client_id=page", 400, "invalid_grant"))
}

// introspectionCases are RFC 7662 §2.
func introspectionCases() (cases []protocolCase) {
	for _, c := range []struct {
		section, body string
		status        int
		code          string
	}{
		{"RFC 7662 §2.1", "", 400, "invalid_request"},
		{"RFC 7662 §2.1", "token=", 400, "invalid_request"},
		{"RFC 7662 §2.2", "token=x", 200, "inactive"},
		{"RFC 7662 §2.2", "token=kt_rt_x", 200, "inactive"},
		{"RFC 7662 §2.2", "token={expired}", 200, "inactive"},
		{"RFC 7662 §2.2", "token={foreign}", 200, "inactive"},
		{"RFC 7662 §2.2", "token={twice}", 200, "inactive"},
		{"RFC 7662 §2.2", "token={access}", 200, "active"},
		{"RFC 7662 §2.2", "token={own}", 200, "active"},
		{"RFC 7662 §2.2", "token={refresh}", 200, "active"},
		{"RFC 7662 §2.1", "token={access}&token_type_hint=refresh_token", 200, "active"},
		{"RFC 7662 §4", "token={pageaccess}", 200, "inactive"},
		{"RFC 7662 §4", "token={pagerefresh}", 200, "inactive"},
	} {
		cases = append(cases, post(c.section, "/oauth/introspect", c.body, c.status, c.code, "Authorization", "{shop}"))
	}
	return append(cases, post("RFC 7662 §2.1", "/oauth/introspect", "token={access}&client_id=page", 401, "invalid_client"))
}

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
		"/auth/login":    `{"email":"{email}","password":"{password}"}`,
		"/auth/refresh":  `{"refresh_token":"{refresh}"}`,
		"/auth/reset":    `{"token":"kt_pr_x","new_password":"another long sentence"}`,
		"/auth/signup":   `{"email":"eve@example.com","password":"a long enough sentence"}`,
		"/auth/password": `{"current_password":"wrong","new_password":"another long sentence"}`,
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
		protocolCase{"RFC 9110 §9.3.3", "POST", "/auth/logout", bearer, "", 204, ""})
}

// servedRoutes are all routes and the methods that they take.
var servedRoutes = map[string][]string{
	"/oauth/token": {"POST"}, "/oauth/revoke": {"POST"}, "/oauth/introspect": {"POST"}, "/oauth/userinfo": {"GET", "POST"},
	"/auth/signup": {"POST"}, "/auth/reset": {"POST"}, "/auth/login": {"POST"}, "/auth/refresh": {"POST"}, "/auth/logout": {"POST"},
	"/auth/me": {"GET"}, "/auth/password": {"POST"}, "/auth/sessions": {"GET", "DELETE"}, "/auth/sessions/x": {"DELETE"},
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
		"/", "//", "/oauth", "/oauth/", "/oauth/token/", "//oauth/token", "/oauth//token", "/./oauth/token", "/oauth/../oauth/token", "/oauth/%74oken",
		"/OAUTH/TOKEN", "/oauth/token%00", "/oauth/token%2f", "/auth", "/auth/", "/auth//me", "/auth/sessions/", "/auth/sessions/a/b", "/.well-known/",
		"//.well-known/jwks.json", "/.well-known/jwks.json/", "/.well-known/../healthz", "/healthz/", "/metrics", "/debug/pprof/", "/favicon.ico", "/robots.txt",
		"/oauth/authorize", "/oauth/par", "/oauth/token;x", "/..", "/%2e%2e/healthz",
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
		if !strings.HasPrefix(path, "/oauth/") && !strings.HasPrefix(path, "/auth/") {
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

// TestProtocol sends each case to a world of its own kind and holds the answer to
// what the RFC says, and every answer to what all have in common.
func TestProtocol(t *testing.T) {
	cases := protocolCases()
	if len(cases) < 800 {
		t.Errorf("there are %d cases; there were more", len(cases))
	}
	w := newWorld(t)
	must(t, w.store.Ping(t.Context()))
	words := w.protocolWords()
	for i, c := range cases {
		if changes(c) {
			words = w.protocolWords()
		}
		rec := c.send(w, words)
		if problem := c.judge(rec); problem != "" {
			t.Errorf("case %d, %s: %s %s %q %.120q: %s\n%d %v %.200s", i, c.section, c.method, c.path, c.header, c.body, problem, rec.Code, rec.Header(), rec.Body)
		}
		w.journal.take()
	}
	t.Logf("%d cases", len(cases))
}

// changes reports whether a case needs tokens that no other has used.
func changes(c protocolCase) bool {
	text := c.path + c.body + strings.Join(c.header, " ")
	return strings.Contains(text, "{refresh}") || strings.Contains(text, "{pagerefresh}") || strings.Contains(c.body, "{pageaccess}") ||
		strings.Contains(text, "{access}") && c.status < 400 || strings.Contains(c.body, "{access}") || strings.Contains(c.body, "{own}")
}

func (c protocolCase) send(w *world, words map[string]string) *httptest.ResponseRecorder {
	fill := func(s string) string {
		for word, value := range words {
			s = strings.ReplaceAll(s, word, value)
		}
		return s
	}
	r := httptest.NewRequest("POST", "/", strings.NewReader(fill(c.body)))
	r.Method = c.method
	target := fill(c.path)
	u, err := url.ParseRequestURI(target)
	if c.method == "CONNECT" && !strings.HasPrefix(target, "/") {
		u, err = &url.URL{Host: target}, nil
	}
	if target == "*" {
		u, err = &url.URL{Path: "*"}, nil
	}
	must(w.t, err)
	r.URL, r.RequestURI = u, target
	for i := 0; i < len(c.header); i += 2 {
		r.Header.Add(c.header[i], fill(c.header[i+1]))
	}
	rec := httptest.NewRecorder()
	w.handler.ServeHTTP(rec, r)
	return rec
}

// judge says what is wrong with an answer.
func (c protocolCase) judge(rec *httptest.ResponseRecorder) string {
	h := rec.Header()
	switch {
	case rec.Code != c.status:
		return fmt.Sprintf("status %d, want %d", rec.Code, c.status)
	case rec.Code >= 300 && rec.Code < 400 && rec.Code != 304 || h.Get("Location") != "":
		return "it redirects"
	case h.Get("X-Content-Type-Options") != "nosniff":
		return "it lacks the headers that every answer has"
	case rec.Code == 401 && h.Get("WWW-Authenticate") == "":
		return "401 without a challenge (RFC 9110 §15.5.2)"
	case rec.Code == 405 && h.Get("Allow") == "":
		return "405 without Allow (RFC 9110 §15.5.6)"
	}
	isDocument := strings.Contains(c.path, ".well-known") || strings.Contains(c.path, "openapi")
	if !isDocument && h.Get("Cache-Control") != "no-store" {
		return "a cache may keep it (RFC 6749 §5.1)"
	}
	var answer struct {
		Error  string
		Type   string
		Active *bool
	}
	if rec.Body.Len() > 0 && strings.Contains(h.Get("Content-Type"), "json") {
		if err := json.Unmarshal(rec.Body.Bytes(), &answer); err != nil {
			return "the body is no JSON: " + err.Error()
		}
	}
	_, anchor, _ := strings.Cut(answer.Type, "#")
	challenge := h.Get("WWW-Authenticate")
	switch {
	case c.code == "allowed" && (h.Get("Access-Control-Allow-Origin") == "" || h.Get("Access-Control-Allow-Methods") == ""):
		return "the preflight is not allowed"
	case c.code == "forbidden" && h.Get("Access-Control-Allow-Methods") != "":
		return "the preflight is allowed"
	case c.code == "allowed" || c.code == "forbidden" || c.method == http.MethodHead:
		return ""
	case c.code == "active" || c.code == "inactive":
		if answer.Active == nil || *answer.Active != (c.code == "active") {
			return "want " + c.code
		}
		return ""
	case c.code == "" && answer.Error != "", c.code == "" && strings.Contains(challenge, "error="):
		return "there is an error, and should be none"
	case c.code == "" || answer.Error == c.code || anchor == c.code || strings.Contains(challenge, `error="`+c.code+`"`):
		return ""
	}
	return "the error is another than " + c.code
}
