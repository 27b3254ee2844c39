package server_test

import (
	"encoding/base64"
	"strings"
)

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
		cases = append(cases, post("RFC 9110 §8.3", path, "token=x", 400, "invalid_request", "Authorization", "{shop}", "Content-Type", "application/x-www-form-urlencoded"),
			post("RFC 9110 §8.3", path, "token=x", 400, "invalid_request", "Authorization", "{shop}", "Content-Type", "text/plain"))
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
		{"RFC 6749 §5.2", "grant_type=urn:ietf:params:oauth:grant-type:device_code&device_code=x", 400, "unsupported_grant_type"},
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
