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
	held, page := w.login(), byPage(w)
	basic := func(id, secret string) string {
		return "Basic " + base64.StdEncoding.EncodeToString([]byte(url.QueryEscape(id)+":"+url.QueryEscape(secret)))
	}
	own := read[tokens](w.t, w.post("/oauth/token", values{"grant_type": {"client_credentials"}}), 200)
	return map[string]string{
		"{shop}": basic("shop", w.secret), "{wrong}": basic("shop", "wrong"), "{nobody}": basic("nobody", "x"), "{page}": basic("page", ""),
		"{secret}": url.QueryEscape(w.secret), "{access}": held.Access, "{refresh}": held.Refresh, "{apprefresh}": w.appLogin().Refresh, "{pageaccess}": page.Access, "{pagerefresh}": page.Refresh,
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
		clientAuthCases(), formCases(), tokenCases(), pushCases(), revocationCases(), introspectionCases(), bearerCases(), firstPartyCases(), methodCases(),
		pathCases(), corsCases(), documentCases(),
	)
}

var formHeader = []string{"Content-Type", "application/x-www-form-urlencoded"}

func post(section, path, body string, status int, code string, header ...string) protocolCase {
	return protocolCase{section, "POST", path, slices.Concat(formHeader, header), body, status, code}
}

var oauthEndpoints = []string{"/oauth/token", "/oauth/par", "/oauth/revoke", "/oauth/introspect"}

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
