package clients_test

import (
	"context"
	"crypto/x509"
	"fmt"
	"net/http"
	"net/http/httptest"
	"net/netip"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/keyturn/keyturn/internal/clients"
)

// okp is an Ed25519 public key with that kid, or with none.
func okp(kid string) string {
	key := `{"kty":"OKP","crv":"Ed25519","x":"11qYAYKxCrfVS_7TyWQHOg7hcvPapiMlrwIaaPcHURo","kid":"` + kid + `"}`
	return strings.Replace(key, `,"kid":""`, "", 1)
}

func set(keys ...string) string { return `{"keys":[` + strings.Join(keys, ",") + `]}` }

// publisher is a client's web server, with a certificate that is trusted.
type publisher struct {
	*httptest.Server
	fetches atomic.Int64
	mu      sync.Mutex
	serve   http.HandlerFunc
}

func newPublisher(t *testing.T) *publisher {
	p := &publisher{}
	p.Server = httptest.NewTLSServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		p.fetches.Add(1)
		p.mu.Lock()
		serve := p.serve
		p.mu.Unlock()
		serve(w, r)
	}))
	t.Cleanup(p.Close)
	return p
}

func (p *publisher) answer(serve http.HandlerFunc) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.serve = serve
}

func (p *publisher) publish(text string) {
	p.answer(func(w http.ResponseWriter, _ *http.Request) { fmt.Fprint(w, text) })
}

func (p *publisher) roots() *x509.CertPool {
	roots := x509.NewCertPool()
	roots.AddCert(p.Certificate())
	return roots
}

var loopback = []netip.Prefix{netip.MustParsePrefix("127.0.0.0/8"), netip.MustParsePrefix("::1/128")}

// TestClientJWKSIsNotFetchedFromPrivateAddresses has names and addresses that
// lead to this machine: nothing is to arrive there.
func TestClientJWKSIsNotFetchedFromPrivateAddresses(t *testing.T) {
	p := newPublisher(t)
	p.publish(set(okp("a")))
	_, port, _ := strings.Cut(strings.TrimPrefix(p.URL, "https://"), ":")
	for _, host := range []string{"127.0.0.1", "localhost", "[::1]", "[::ffff:127.0.0.1]", "0.0.0.0", "127.1.2.3"} {
		keys := clients.TrustingKeys(nil, p.roots(), time.Now)
		_, err := keys.Keys(t.Context(), clients.Client{JWKSURI: "https://" + host + ":" + port + "/jwks"}, "a")
		if err == nil || !strings.Contains(err.Error(), "prohibited IP") && !strings.Contains(err.Error(), "no such host") {
			t.Errorf("%s: %v; want the address to be prohibited", host, err)
		}
	}
	for _, address := range []string{
		"10.0.0.1", "172.16.0.1", "192.168.1.1", "169.254.169.254", "100.64.0.1", "[fe80::1]", "[fc00::1]", "[64:ff9b::7f00:1]", "[2002:7f00:1::]",
	} {
		keys := clients.NewKeys(nil, time.Now)
		_, err := keys.Keys(t.Context(), clients.Client{JWKSURI: "https://" + address + "/jwks"}, "a")
		if err == nil || !strings.Contains(err.Error(), "prohibited IP") {
			t.Errorf("%s: %v; want the address to be prohibited", address, err)
		}
	}
	if n := p.fetches.Load(); n != 0 {
		t.Errorf("%d fetches arrived at a private address", n)
	}
	keys := clients.TrustingKeys(loopback, p.roots(), time.Now)
	if got, err := keys.Keys(t.Context(), clients.Client{JWKSURI: p.URL}, "a"); err != nil || !slices.Equal(got, []string{"a"}) {
		t.Errorf("from a network that is allowed: %v, %v", got, err)
	}
}

func TestClientJWKSIsFetchedWithCare(t *testing.T) {
	for name, c := range map[string]struct {
		serve http.HandlerFunc
		want  string
	}{
		"redirect": {func(w http.ResponseWriter, r *http.Request) {
			if r.URL.Path == "/" {
				http.Redirect(w, r, "/elsewhere", http.StatusFound)
				return
			}
			fmt.Fprint(w, set(okp("a")))
		}, "redirects are not followed"},
		"too large": {func(w http.ResponseWriter, _ *http.Request) {
			fmt.Fprint(w, strings.Repeat(" ", 64<<10), set(okp("a")))
		}, "larger than"},
		"not found": {http.NotFound, "404"},
		"a page":    {func(w http.ResponseWriter, _ *http.Request) { fmt.Fprint(w, "<html>") }, "not a JWK set"},
		"no usable key": {func(w http.ResponseWriter, _ *http.Request) {
			fmt.Fprint(w, set(`{"kty":"oct","k":"AAAA","kid":"a"}`))
		}, "no key of the JWK set"},
		"one kid twice": {func(w http.ResponseWriter, _ *http.Request) {
			fmt.Fprint(w, set(okp("a"), `{"kty":"oct","k":"AAAA","kid":"a"}`, okp("a")))
		}, "key 3 of the JWK set: the kid \"a\" is given twice"},
		"too slow": {nil, "Timeout"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			p := newPublisher(t)
			if c.serve == nil {
				// Not until the client has left: an answer made as it hangs up could still reach it.
				left := make(chan struct{})
				t.Cleanup(func() { close(left) })
				c.serve = func(http.ResponseWriter, *http.Request) { <-left }
			}
			p.answer(c.serve)
			keys := clients.TrustingKeys(loopback, p.roots(), time.Now)
			got, err := keys.Keys(t.Context(), clients.Client{JWKSURI: p.URL + "/"}, "a")
			if err == nil || !strings.Contains(err.Error(), c.want) || got != nil {
				t.Errorf("got %v, %v; want an error with %q", got, err, c.want)
			}
			if n := p.fetches.Load(); n != 1 {
				t.Errorf("%d requests were made; want 1", n)
			}
		})
	}
	t.Run("foreign certificate", func(t *testing.T) {
		p := newPublisher(t)
		p.publish(set(okp("a")))
		keys := clients.TrustingKeys(loopback, x509.NewCertPool(), time.Now)
		if _, err := keys.Keys(t.Context(), clients.Client{JWKSURI: p.URL}, "a"); err == nil || !strings.Contains(err.Error(), "certificate") {
			t.Errorf("error is %v", err)
		}
	})
	t.Run("plain http", func(t *testing.T) {
		keys := clients.NewKeys(loopback, time.Now)
		if _, err := keys.Keys(t.Context(), clients.Client{JWKSURI: "http://127.0.0.1:1/"}, "a"); err == nil || !strings.Contains(err.Error(), "https") {
			t.Errorf("error is %v", err)
		}
	})
}

func TestClientJWKSIsCached(t *testing.T) {
	p := newPublisher(t)
	p.publish(set(okp("a"), `{"kty":"RSA","use":"enc","kid":"e","e":"AQAB","n":"AQAB"}`))
	now := time.Now()
	keys := clients.TrustingKeys(loopback, p.roots(), func() time.Time { return now })
	client := clients.Client{JWKSURI: p.URL}
	step := func(after time.Duration, kid string, want []string, fetches int64) {
		t.Helper()
		now = now.Add(after)
		got, err := keys.Keys(t.Context(), client, kid)
		if want == nil && err == nil || want != nil && err != nil || !slices.Equal(got, want) || p.fetches.Load() != fetches {
			t.Errorf("got %v, %v after %d fetches; want %v after %d", got, err, p.fetches.Load(), want, fetches)
		}
	}
	step(0, "a", []string{"a"}, 1)
	step(4*time.Minute, "a", []string{"a"}, 1)
	// A key that is not there yet is looked for, but not at once again.
	step(0, "b", []string{"a"}, 2)
	p.publish(set(okp("a"), okp("b")))
	step(9*time.Second, "b", []string{"a"}, 2)
	step(time.Second, "b", []string{"a", "b"}, 3)
	step(5*time.Minute, "a", []string{"a", "b"}, 4)
	// A publisher that is down is borne for an hour.
	p.answer(http.NotFound)
	step(5*time.Minute, "a", []string{"a", "b"}, 5)
	step(9*time.Second, "a", []string{"a", "b"}, 5)
	step(54*time.Minute, "a", []string{"a", "b"}, 6)
	step(time.Minute, "a", nil, 7)
	step(time.Second, "a", nil, 7)
	p.publish(set(okp("c")))
	step(9*time.Second, "c", []string{"c"}, 8)
}

func TestClientJWKSIsFetchedOnceForMany(t *testing.T) {
	p := newPublisher(t)
	p.publish(set(okp("a")))
	keys := clients.TrustingKeys(loopback, p.roots(), time.Now)
	var all sync.WaitGroup
	for range 20 {
		all.Go(func() {
			if _, err := keys.Keys(context.Background(), clients.Client{JWKSURI: p.URL}, "a"); err != nil {
				t.Error(err)
			}
		})
	}
	all.Wait()
	if n := p.fetches.Load(); n != 1 {
		t.Errorf("%d fetches for 20 requests at once; want 1", n)
	}
}

// TestClientJWKSThatIsSlowDelaysNoKnownKey has a stranger ask for a key that is
// not in the set, at a publisher that does not answer any more.
func TestClientJWKSThatIsSlowDelaysNoKnownKey(t *testing.T) {
	p := newPublisher(t)
	p.publish(set(okp("a")))
	var now atomic.Int64
	keys := clients.TrustingKeys(loopback, p.roots(), func() time.Time { return time.Unix(now.Load(), 0) })
	now.Store(time.Now().Unix())
	client := clients.Client{JWKSURI: p.URL}
	if _, err := keys.Keys(t.Context(), client, "a"); err != nil {
		t.Fatal(err)
	}
	now.Add(60)
	asked, answer := make(chan struct{}), make(chan struct{})
	p.answer(func(http.ResponseWriter, *http.Request) { close(asked); <-answer })
	stranger := make(chan error)
	go func() {
		_, err := keys.Keys(context.Background(), client, "no such key")
		stranger <- err
	}()
	<-asked
	if got, err := keys.Keys(t.Context(), client, "a"); err != nil || !slices.Equal(got, []string{"a"}) {
		t.Errorf("the key that is known: %v, %v", got, err)
	}
	close(answer)
	<-stranger
}

// TestClientJWKSIsFetchedForWhoHangsUp: a try that is cut off would have to be
// waited for by everybody else.
func TestClientJWKSIsFetchedForWhoHangsUp(t *testing.T) {
	p := newPublisher(t)
	ctx, hangUp := context.WithCancel(t.Context())
	p.answer(func(w http.ResponseWriter, r *http.Request) {
		hangUp()
		select {
		case <-r.Context().Done(): // the fetch was cut off
		case <-time.After(200 * time.Millisecond):
		}
		fmt.Fprint(w, set(okp("a")))
	})
	now := time.Now()
	keys := clients.TrustingKeys(loopback, p.roots(), func() time.Time { return now })
	client := clients.Client{JWKSURI: p.URL}
	_, _ = keys.Keys(ctx, client, "a") // nobody is there for the answer
	if got, err := keys.Keys(t.Context(), client, "a"); err != nil || !slices.Equal(got, []string{"a"}) || p.fetches.Load() != 1 {
		t.Errorf("got %v, %v after %d fetches; want the key after one", got, err, p.fetches.Load())
	}
}

func TestParseClientJWKS(t *testing.T) {
	for name, c := range map[string]struct{ text, want string }{
		"good":           {set(okp("a"), okp("b")), ""},
		"two without id": {set(okp(""), okp("")), ""},
		"not JSON":       {"keys", "not a JWK set"},
		"one key":        {okp("a"), "not a JWK set"},
		"no key":         {set(), "0 keys"},
		"many keys":      {set(slices.Repeat([]string{okp("")}, 17)...), "17 keys"},
		"one kid twice":  {set(okp("a"), okp("a")), "twice"},
		"private":        {set(strings.Replace(okp("a"), "}", `,"d":"nWGxne_9WmC6hEr0kuwsxERJxWl7MmkZcDusAxyuf2A"}`, 1)), "private key"},
		"symmetric":      {set(`{"kty":"oct","k":"c2VjcmV0"}`), "symmetric"},
		"unknown type":   {set(`{"kty":"AKP"}`), "no key of the types"},
		"short RSA":      {set(`{"kty":"RSA","e":"AQAB","n":"` + strings.Repeat("_", 168) + `"}`), "RSA key of"},
		"for encryption": {set(strings.Replace(okp("a"), "}", `,"use":"enc"}`, 1)), "use"},
		"empty alg":      {set(strings.Replace(okp("a"), "}", `,"alg":""}`, 1)), "can be left out, but not be empty"},
		"kid of null":    {set(strings.Replace(okp(""), "}", `,"kid":null}`, 1)), `the member "kid" is null`},
		"no point":       {set(`{"kty":"OKP","crv":"Ed25519","x":"` + strings.Repeat("A", 43) + `"}`), "its x is no point of its curve"},
		"wrong alg":      {set(strings.Replace(okp("a"), "}", `,"alg":"HS256"}`, 1)), "alg"},
	} {
		t.Run(name, func(t *testing.T) {
			_, err := clients.ParseJWKS([]byte(c.text))
			if (err == nil) != (c.want == "") || err != nil && !strings.Contains(err.Error(), c.want) {
				t.Errorf("error is %v; want %q", err, c.want)
			}
		})
	}
}

func FuzzParseClientJWKS(f *testing.F) {
	f.Add(set(okp("a")))
	f.Add(`{"keys":[{"kty":"RSA","e":"AQAB","n":"AQAB"},{"kty":"EC","crv":"P-256","x":"","y":""}]}`)
	f.Fuzz(func(t *testing.T, text string) {
		keys, err := clients.ParseJWKS([]byte(text))
		if (err == nil) != (len(keys) > 0) {
			t.Errorf("%d keys and %v", len(keys), err)
		}
		for _, key := range keys {
			if !key.IsPublic() || !key.Valid() {
				t.Errorf("a key that is private or not valid was taken: %v", key.KeyID)
			}
		}
	})
}
