//go:build interop

package e2e

import (
	"cmp"
	"crypto/tls"
	"fmt"
	"html"
	"io"
	"net/http"
	"net/http/cookiejar"
	"net/url"
	"regexp"
	"strings"
	"time"
)

// browser is a person's, who reads what it shows and sends the forms of the pages: it
// keeps cookies, goes where it is led, and runs no script.
type browser struct {
	client *http.Client
	// asked counts how often it was shown the form for the password.
	asked int
}

func newBrowser() (*browser, error) {
	jar, err := cookiejar.New(nil)
	if err != nil {
		return nil, err
	}
	return &browser{client: &http.Client{
		Jar: jar, Timeout: patience,
		Transport: readsPages{&http.Transport{TLSClientConfig: &tls.Config{RootCAs: trust.roots}}},
	}}, nil
}

// readsPages says what browsers say, without which some take a request for a script's.
type readsPages struct{ *http.Transport }

// RoundTrip implements http.RoundTripper.
func (b readsPages) RoundTrip(r *http.Request) (*http.Response, error) {
	r = r.Clone(r.Context())
	r.Header.Set("Accept", "text/html,application/xhtml+xml")
	return b.Transport.RoundTrip(r)
}

// screen is what the browser shows.
type screen struct {
	at     *url.URL
	status int
	text   string
}

func (s screen) String() string {
	return fmt.Sprintf("status %d at %s: %s", s.status, s.at, s.text[:min(len(s.text), 1500)])
}

// asks reports whether the form for the password is shown.
func (s screen) asks() bool { return strings.Contains(s.text, `id="password"`) }

// open goes to an address, and shows where that leads.
func (b *browser) open(address string) (screen, error) {
	res, err := b.client.Get(address)
	return b.show(res, err)
}

func (b *browser) show(res *http.Response, err error) (screen, error) {
	if err != nil {
		return screen{}, err
	}
	defer res.Body.Close()
	text, err := io.ReadAll(res.Body)
	s := screen{res.Request.URL, res.StatusCode, string(text)}
	if s.asks() {
		b.asked++
	}
	return s, err
}

// visit is open by the shop's user, who logs in where that is asked.
func (b *browser) visit(address string) (screen, error) {
	s, err := b.open(address)
	if err != nil || !s.asks() {
		return s, err
	}
	return b.send(s, "username", email, "password", password)
}

var (
	formAction = regexp.MustCompile(`<form[^>]* method="post"[^>]* action="([^"]*)"`)
	formField  = regexp.MustCompile(`<input type="hidden" name="([^"]*)" value="([^"]*)"`)
)

// send sends the form that is shown, with the hidden fields that it has.
func (b *browser) send(s screen, pairs ...string) (screen, error) {
	action := formAction.FindStringSubmatch(s.text)
	if action == nil {
		return s, fmt.Errorf("there is no form: %s", s)
	}
	to, err := s.at.Parse(html.UnescapeString(cmp.Or(action[1], s.at.String())))
	if err != nil {
		return s, err
	}
	form := values(pairs...)
	for _, field := range formField.FindAllStringSubmatch(s.text, -1) {
		form.Set(field[1], html.UnescapeString(field[2]))
	}
	res, err := b.client.PostForm(to.String(), form)
	return b.show(res, err)
}

// again asks until it is answered yes, and says what the last answer was.
func again(what string, come func() (bool, error)) error {
	var last error
	pace := time.NewTicker(100 * time.Millisecond)
	defer pace.Stop()
	for deadline := time.Now().Add(patience); time.Now().Before(deadline); <-pace.C {
		var ok bool
		if ok, last = come(); ok {
			return nil
		}
	}
	return fmt.Errorf("waited %v in vain until %s: %w", patience, what, last)
}
