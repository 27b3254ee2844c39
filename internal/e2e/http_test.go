package e2e

import (
	"encoding/json"
	"io"
	"maps"
	"net/http"
	"net/url"
	"strings"
	"testing"
	"time"

	"github.com/keyturn/keyturn/internal/model"
)

// credentials are a client's; a public one has no secret.
type credentials struct{ id, secret string }

// web is the HTTP client of the tests.
var web = &http.Client{
	Timeout:   20 * time.Second,
	Transport: &http.Transport{MaxIdleConnsPerHost: 32},
	CheckRedirect: func(*http.Request, []*http.Request) error {
		return http.ErrUseLastResponse
	},
}

// answer is an HTTP answer, read to its end.
type answer struct {
	status int
	header http.Header
	body   string
}

// send makes one request. The error is the network's.
func send(method, url string, header http.Header, body string) (answer, error) {
	req, err := http.NewRequest(method, url, strings.NewReader(body))
	if err != nil {
		return answer{}, err
	}
	req.Header.Set("Traceparent", model.Traceparent(time.Now()))
	maps.Copy(req.Header, header)
	res, err := web.Do(req)
	if err != nil {
		return answer{}, err
	}
	defer res.Body.Close()
	read, err := io.ReadAll(res.Body)
	a := answer{res.StatusCode, res.Header, string(read)}
	if err == nil {
		hear(method, url, header, a)
	}
	return a, err
}

// mustSend is send where the network has to work.
func mustSend(t *testing.T, method, url string, header http.Header, body string) answer {
	t.Helper()
	a, err := send(method, url, header, body)
	if err != nil {
		t.Fatal(err)
	}
	return a
}

// postForm posts a form as a client: by Basic authentication if it has a
// secret, else by its id in the body.
func postForm(url string, by credentials, form url.Values) (answer, error) {
	header := http.Header{"Content-Type": {formType}}
	if by.secret != "" {
		header.Set("Authorization", basic(by))
	} else {
		form.Set("client_id", by.id)
	}
	return send("POST", url, header, form.Encode())
}

const formType = "application/x-www-form-urlencoded"

// basic is the header of RFC 6749 §2.3.1.
func basic(by credentials) string {
	r := http.Request{Header: http.Header{}}
	r.SetBasicAuth(url.QueryEscape(by.id), url.QueryEscape(by.secret))
	return r.Header.Get("Authorization")
}

// values makes a form of names and values in turn.
func values(pairs ...string) url.Values {
	form := url.Values{}
	for i := 0; i < len(pairs); i += 2 {
		form.Add(pairs[i], pairs[i+1])
	}
	return form
}

// tokens are what the token endpoint grants.
type tokens struct {
	AccessToken  string `json:"access_token"`
	RefreshToken string `json:"refresh_token"`
	TokenType    string `json:"token_type"`
	ExpiresIn    int    `json:"expires_in"`
	Scope        string `json:"scope"`
}

// grant asks the token endpoint for tokens, which it has to grant.
func (s *server) grant(t *testing.T, by credentials, pairs ...string) tokens {
	t.Helper()
	a, err := postForm(s.url+"/oauth/token", by, values(pairs...))
	if err != nil {
		t.Fatal(err)
	}
	if a.status != http.StatusOK {
		t.Fatalf("token request %v: status %d, %s", values(pairs...)["grant_type"], a.status, a.body)
	}
	checkNotStored(t, a)
	var got tokens
	a.decode(t, &got)
	if got.AccessToken == "" || got.TokenType != "Bearer" || got.ExpiresIn <= 0 {
		t.Errorf("the token answer has a token of %d characters, token_type %q, expires_in %d", len(got.AccessToken), got.TokenType, got.ExpiresIn)
	}
	return got
}

// login starts a session with a password.
func (s *server) login(t *testing.T, by credentials, username, password string) tokens {
	t.Helper()
	return s.grant(t, by, "grant_type", "password", "username", username, "password", password)
}

func (a answer) decode(t *testing.T, v any) {
	t.Helper()
	if err := json.Unmarshal([]byte(a.body), v); err != nil {
		t.Fatalf("the answer %q is not the JSON expected: %v", a.body, err)
	}
}

// member returns one text member of a JSON answer.
func (a answer) member(t *testing.T, name string) string {
	t.Helper()
	var object map[string]any
	a.decode(t, &object)
	text, _ := object[name].(string)
	return text
}

// active asks the introspection endpoint about a token.
func (s *server) active(t *testing.T, by credentials, token string) bool {
	t.Helper()
	a, err := postForm(s.url+"/oauth/introspect", by, values("token", token))
	if err != nil {
		t.Fatal(err)
	}
	if a.status != http.StatusOK {
		t.Fatalf("introspection: status %d, %s", a.status, a.body)
	}
	var got struct{ Active bool }
	a.decode(t, &got)
	return got.Active
}

// bearer is the header that presents an access token.
func bearer(token string) http.Header {
	return http.Header{"Authorization": {"Bearer " + token}}
}
