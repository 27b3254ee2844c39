//go:build interop

package e2e

import (
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
	// issuer is where the pages are that people think about; elsewhere they press
	// the button that is there.
	issuer string
	// asked counts how often it was shown the form for the password.
	asked int
}

func newBrowser(issuer string) (*browser, error) {
	jar, err := cookiejar.New(nil)
	if err != nil {
		return nil, err
	}
	return &browser{issuer: issuer, client: &http.Client{
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
	s, err := b.show(b.client.Get(address))
	if err == nil && !strings.HasPrefix(s.at.String(), b.issuer) && formTag.MatchString(s.text) {
		return b.send(s)
	}
	return s, err
}

func (b *browser) show(res *http.Response, err error) (screen, error) {
	if err != nil {
		return screen{}, err
	}
	defer res.Body.Close()
	text, err := io.ReadAll(res.Body)
	s := screen{res.Request.URL, res.StatusCode, string(text)}
	if s.asks() && s.status != http.StatusServiceUnavailable {
		b.asked++
	}
	return s, err
}

// visit is open by the shop's user, who logs in where that is asked, and tries again
// in a moment where the page says so.
func (b *browser) visit(address string) (screen, error) {
	s, err := b.open(address)
	if err != nil || !s.asks() {
		return s, err
	}
	form := s
	err = again("the page is not busy", func() (bool, error) {
		s, err = b.send(form, "username", email, "password", password)
		return err != nil || s.status != http.StatusServiceUnavailable, err
	})
	return s, err
}

var (
	formTag   = regexp.MustCompile(`<form [^>]*>`)
	inputTag  = regexp.MustCompile(`<input [^>]*>`)
	attribute = regexp.MustCompile(`([a-z]+)=["']([^"']*)["']`)
)

func attributes(tag string) map[string]string {
	all := map[string]string{}
	for _, pair := range attribute.FindAllStringSubmatch(tag, -1) {
		all[pair[1]] = html.UnescapeString(pair[2])
	}
	return all
}

// send sends the form that is shown, with the hidden fields that it has.
func (b *browser) send(s screen, pairs ...string) (screen, error) {
	to, err := s.at.Parse(attributes(formTag.FindString(s.text))["action"])
	if err != nil {
		return s, err
	}
	form := values(pairs...)
	for _, tag := range inputTag.FindAllString(s.text, -1) {
		if input := attributes(tag); input["type"] == "hidden" {
			form.Set(input["name"], input["value"])
		}
	}
	return b.show(b.client.PostForm(to.String(), form))
}

// again asks until it is answered yes, which may come with an error.
func again(what string, come func() (bool, error)) error {
	var last error
	pace := time.NewTicker(100 * time.Millisecond)
	defer pace.Stop()
	for deadline := time.Now().Add(patience); time.Now().Before(deadline); <-pace.C {
		var ok bool
		if ok, last = come(); ok {
			return last
		}
	}
	return fmt.Errorf("waited %v in vain until %s: %v", patience, what, last)
}
