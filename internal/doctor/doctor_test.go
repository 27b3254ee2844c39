package doctor_test

import (
	"crypto/tls"
	"crypto/x509"
	"errors"
	"fmt"
	"go/ast"
	"go/parser"
	"go/token"
	"net/http"
	"net/http/httptest"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/keyturn/keyturn/internal/doctor"
	"github.com/keyturn/keyturn/keys"
)

// deployment is a server as healthy ones are, with places to make it ill.
type deployment struct {
	*httptest.Server
	// issuer is what it calls itself, at where it is examined.
	issuer, at string
	base       string
	// now is the doctor's clock.
	now      func() time.Time
	jwks     string
	ready    int
	headers  map[string]map[string]string
	override map[string]http.HandlerFunc
}

const (
	oauthMetadata = "/.well-known/oauth-authorization-server"
	oidcMetadata  = "/.well-known/openid-configuration"
	jwksPath      = "/.well-known/jwks.json"
)

func healthy(t *testing.T) *deployment {
	d := &deployment{
		jwks: `{"keys":[{"kid":"a","alg":"ES256"},{"kid":"b","alg":"ES256"}]}`, ready: 200,
		headers: map[string]map[string]string{
			jwksPath:       {"Cache-Control": "public, max-age=900", "ETag": `"x"`},
			"/oauth/token": {"Cache-Control": "no-store", "Allow": "POST, OPTIONS", "Strict-Transport-Security": "max-age=1"},
		},
		override: map[string]http.HandlerFunc{},
	}
	d.Server = httptest.NewTLSServer(d)
	t.Cleanup(d.Close)
	d.issuer, d.at, d.now = d.URL, d.URL, time.Now
	return d
}

func (d *deployment) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	r.URL.Path = strings.TrimPrefix(r.URL.Path, d.base)
	if serve, ok := d.override[r.URL.Path]; ok {
		serve(w, r)
		return
	}
	for name, value := range d.headers[r.URL.Path] {
		w.Header().Set(name, value)
	}
	switch r.URL.Path {
	case oauthMetadata, oidcMetadata:
		fmt.Fprintf(w, `{"issuer":%q,"token_endpoint":"%s/oauth/token","jwks_uri":"%s/.well-known/jwks.json","id_token_signing_alg_values_supported":["ES256"]}`,
			d.issuer, d.issuer, d.issuer)
	case jwksPath:
		if r.Header.Get("If-None-Match") != "" {
			w.WriteHeader(http.StatusNotModified)
			return
		}
		fmt.Fprint(w, d.jwks)
	case "/oauth/token":
		w.WriteHeader(http.StatusMethodNotAllowed)
	case "/readyz":
		w.WriteHeader(d.ready)
		fmt.Fprintf(w, `{"store":%q}`, map[int]string{200: "ok", 503: "unreachable"}[d.ready])
	default:
		http.NotFound(w, r)
	}
}

// below gives its issuer a path, which it strips.
func (d *deployment) below(base string) {
	d.base = base
	d.issuer, d.at = d.issuer+base, d.at+base
}

func (d *deployment) examine(t *testing.T) []doctor.Finding {
	roots := x509.NewCertPool()
	if certificate := d.Certificate(); certificate != nil {
		roots.AddCert(certificate)
	}
	return doctor.New(d.at, 30*time.Second, &tls.Config{RootCAs: roots}, d.now).Examine(t.Context())
}

// withoutTLS serves it in the clear at a host.
func (d *deployment) withoutTLS(host string) {
	d.Server.Close()
	d.Server = httptest.NewServer(d)
	d.at = strings.Replace(d.URL, "127.0.0.1", host, 1)
	d.issuer = d.at
}

// hangUp ends the connection without an answer.
func hangUp(http.ResponseWriter, *http.Request) { panic(http.ErrAbortHandler) }

// illness is a way to be ill and what must be found then.
type illness struct {
	sicken  func(*deployment)
	check   string
	verdict doctor.Verdict
	seen    string
}

// illnesses are all that the doctor knows.
func illnesses() map[string]illness {
	return map[string]illness{
		"well":                    {func(*deployment) {}, "", doctor.OK, ""},
		"another issuer":          {func(d *deployment) { d.issuer = "https://other.example" }, "metadata", doctor.Failure, "calls itself"},
		"a path in the issuer":    {func(d *deployment) { d.below("/login") }, "metadata", doctor.Warning, oauthMetadata + "/login answered 404"},
		"one path not passed":     {func(d *deployment) { d.override[oidcMetadata] = http.NotFound }, "metadata", doctor.Failure, "404"},
		"documents that differ":   {func(d *deployment) { d.override[oidcMetadata] = write("{}") }, "metadata", doctor.Failure, "differ"},
		"a page for the metadata": {func(d *deployment) { d.override[oauthMetadata] = write("<html>") }, "metadata", doctor.Failure, "not JSON"},
		"no standby":              {func(d *deployment) { d.jwks = `{"keys":[{"kid":"a","alg":"ES256"}]}` }, "keys", doctor.Failure, "no standby"},
		"a private key": {func(d *deployment) {
			d.jwks = `{"keys":[{"kid":"a","alg":"ES256","d":"x"},{"kid":"b","alg":"ES256"}]}`
		}, "keys", doctor.Failure, "PRIVATE"},
		"an unknown algorithm":  {func(d *deployment) { d.jwks = strings.Replace(d.jwks, "ES256", "RS256", 1) }, "keys", doctor.Failure, "RS256"},
		"no keys":               {func(d *deployment) { d.override[jwksPath] = http.NotFound }, "keys", doctor.Failure, "404"},
		"no ETag":               {func(d *deployment) { delete(d.headers[jwksPath], "ETag") }, "jwks caching", doctor.Failure, "ETag"},
		"no max-age":            {func(d *deployment) { d.headers[jwksPath]["Cache-Control"] = "no-cache" }, "jwks caching", doctor.Failure, "no-cache"},
		"max-age of nothing":    {func(d *deployment) { d.headers[jwksPath]["Cache-Control"] = "max-age=0" }, "jwks caching", doctor.Warning, "max-age=0"},
		"no 304":                {func(d *deployment) { d.override[jwksPath] = d.always }, "jwks caching", doctor.Warning, "200"},
		"token endpoint hidden": {func(d *deployment) { d.override["/oauth/token"] = http.NotFound }, "token endpoint", doctor.Failure, "404"},
		"cached tokens":         {func(d *deployment) { delete(d.headers["/oauth/token"], "Cache-Control") }, "token endpoint", doctor.Failure, "no-store"},
		"no HSTS":               {func(d *deployment) { delete(d.headers["/oauth/token"], "Strict-Transport-Security") }, "token endpoint", doctor.Warning, "Strict"},
		"a page for readiness":  {func(d *deployment) { d.override["/readyz"] = write("<html>") }, "store", doctor.Failure, "not by Keyturn"},
		"warnings": {func(d *deployment) { d.override["/readyz"] = write(`{"store":"ok","warnings":["no_standby"]}`) },
			"warnings", doctor.Warning, "no_standby"},
		"a forged address": {func(d *deployment) {
			d.override["/readyz"] = func(w http.ResponseWriter, r *http.Request) {
				warnings := "[]"
				if r.Header.Get("X-Forwarded-For") != "" && r.Header.Get("Forwarded") != "" {
					warnings = `["client_address_unreadable"]`
				}
				fmt.Fprintf(w, `{"store":"ok","warnings":%s}`, warnings)
			}
		}, "client address", doctor.Warning, "believes what this machine writes"},
		"addresses that cannot be read": {func(d *deployment) {
			d.override["/readyz"] = write(`{"store":"ok","warnings":["client_address_unreadable"]}`)
		}, "warnings", doctor.Warning, "client_address_unreadable"},
		"no answer":      {func(d *deployment) { d.override[oidcMetadata] = hangUp }, "metadata", doctor.Failure, "was not answered"},
		"store down":     {func(d *deployment) { d.ready = 503 }, "store", doctor.Failure, "unreachable"},
		"metrics public": {func(d *deployment) { d.override["/metrics"] = write("keyturn_key_view_age_seconds 1") }, "metrics", doctor.Failure, "public"},
		"no Date":        {func(d *deployment) { d.headers[oauthMetadata] = map[string]string{"Date": "x"} }, "clock", doctor.Warning, "Date"},
		"a clock off": {func(d *deployment) {
			d.headers[oauthMetadata] = map[string]string{"Date": time.Now().Add(-time.Minute).UTC().Format(http.TimeFormat)}
		}, "clock", doctor.Failure, "apart"},
		"down": {func(d *deployment) { d.Close() }, "issuer", doctor.Failure, "refused"},
		"a certificate of nobody's": {func(d *deployment) { d.at = strings.Replace(d.URL, "127.0.0.1", "localhost", 1) },
			"issuer", doctor.Failure, "certificate is valid for"},
		"a certificate that runs out": {func(d *deployment) {
			end := d.Certificate().NotAfter
			d.now = func() time.Time { return end.Add(-24 * time.Hour) }
			d.headers[oauthMetadata] = map[string]string{"Date": d.now().UTC().Format(http.TimeFormat)}
		}, "tls", doctor.Warning, "good for 1 days"},
		"plain HTTP at home": {func(d *deployment) { d.withoutTLS("127.0.0.1") }, "tls", doctor.Warning, "loopback"},
		"plain HTTP":         {func(d *deployment) { d.withoutTLS("0.0.0.0") }, "tls", doctor.Failure, "plain HTTP"},
		"endpoints of another host": {func(d *deployment) {
			text := fmt.Sprintf(`{"issuer":%q,"token_endpoint":"https://inner.example/oauth/token","jwks_uri":"%s/.well-known/jwks.json"}`, d.issuer, d.issuer)
			d.override[oauthMetadata], d.override[oidcMetadata] = write(text), write(text)
		}, "metadata", doctor.Failure, "lead elsewhere: "},
		"a slow store": {func(d *deployment) {
			var asked time.Duration
			start := time.Now()
			d.now = func() time.Time { asked += 300 * time.Millisecond; return start.Add(asked) }
		}, "store", doctor.Warning, "takes 300ms"},
	}
}

// TestEveryIllnessIsFound makes a deployment ill in one way at a time.
func TestEveryIllnessIsFound(t *testing.T) {
	for name, c := range illnesses() {
		t.Run(name, func(t *testing.T) {
			d := healthy(t)
			c.sicken(d)
			found := false
			for _, f := range d.examine(t) {
				if f.Check != c.check {
					if f.Verdict != doctor.OK {
						t.Errorf("%s: %s %s", f.Check, f.Verdict, f.Seen)
					}
					continue
				}
				found = true
				if f.Verdict != c.verdict || !strings.Contains(f.Seen, c.seen) || f.Fix == "" {
					t.Errorf("found %+v; want %s with %q and a fix", f, c.verdict, c.seen)
				}
			}
			if !found && c.check != "" {
				t.Errorf("nothing was said of %s", c.check)
			}
		})
	}
}

func (d *deployment) always(w http.ResponseWriter, _ *http.Request) {
	for name, value := range d.headers[jwksPath] {
		w.Header().Set(name, value)
	}
	fmt.Fprint(w, d.jwks)
}

func write(text string) http.HandlerFunc {
	return func(w http.ResponseWriter, _ *http.Request) { fmt.Fprint(w, text) }
}

// TestEveryCheckHasAnIllness reads in the code what the doctor can find: there
// is an illness for each check and verdict. And each check is made of a healthy
// deployment.
func TestEveryCheckHasAnIllness(t *testing.T) {
	known := map[string]bool{}
	for _, i := range illnesses() {
		known[i.check+", "+string(i.verdict)] = true
	}
	code, err := parser.ParseFile(token.NewFileSet(), "checks.go", nil, 0)
	if err != nil {
		t.Fatal(err)
	}
	checks := map[string]bool{}
	ast.Inspect(code, func(n ast.Node) bool {
		call, ok := n.(*ast.CallExpr)
		if !ok {
			return true
		}
		if f, ok := call.Fun.(*ast.SelectorExpr); !ok || f.Sel.Name != "say" {
			return true
		}
		check, err := strconv.Unquote(call.Args[0].(*ast.BasicLit).Value)
		if err != nil {
			t.Fatal(err)
		}
		checks[check] = true
		verdict := strings.ToLower(call.Args[1].(*ast.Ident).Name)
		if verdict != string(doctor.OK) && !known[check+", "+verdict] {
			t.Errorf("nothing is ill so that the doctor says %s of %q", verdict, check)
		}
		return true
	})
	for _, f := range healthy(t).examine(t) {
		delete(checks, f.Check)
	}
	if len(checks) > 0 {
		t.Errorf("checks that are not made of a healthy deployment: %v", checks)
	}
}

func TestSchedule(t *testing.T) {
	now := time.Now()
	active := keys.Info{KID: "a", State: keys.Active, ActivateAt: now.Add(-time.Hour), MasterID: "m"}
	standby := keys.Info{KID: "b", State: keys.Standby, ActivateAt: now.Add(time.Hour)}
	old, erased := active, active
	old.ActivateAt = now.Add(-100 * time.Hour)
	erased.MasterID = ""
	for want, list := range map[string][]keys.Info{
		"none of 0":      nil,
		"no standby":     {active},
		"overdue":        {old, standby},
		"is gone":        {erased, standby},
		"takes over in ": {active, standby},
	} {
		f := doctor.Schedule(list, 24*time.Hour, now)
		if !strings.Contains(f.Seen, want) || (f.Verdict == doctor.OK) != (want == "takes over in ") {
			t.Errorf("%s: %+v", want, f)
		}
	}
}

// TestAnIssuerWithAPath: one whose metadata are where RFC 8414 §3.1 wants them too
// is healthy.
func TestAnIssuerWithAPath(t *testing.T) {
	d := healthy(t)
	d.below("/login")
	d.override[oauthMetadata+"/login"] = func(w http.ResponseWriter, r *http.Request) {
		r.URL.Path = oauthMetadata
		d.ServeHTTP(w, r)
	}
	for _, f := range d.examine(t) {
		if f.Check == "metadata" && f.Verdict != doctor.OK {
			t.Errorf("%+v", f)
		}
	}
}

// TestEngine warns of an engine that breaks promises, and names any.
func TestEngine(t *testing.T) {
	for verdict, breaks := range map[doctor.Verdict]bool{doctor.OK: false, doctor.Warning: true} {
		if f := doctor.Engine("MongoDB 8.0.1, sharded cluster", breaks); f.Verdict != verdict || !strings.Contains(f.Seen, "MongoDB 8.0.1") || (f.Fix != "") != breaks {
			t.Errorf("%+v", f)
		}
	}
}

func TestMail(t *testing.T) {
	for verdict, err := range map[doctor.Verdict]error{doctor.OK: nil, doctor.Failure: errors.New("535 wrong password")} {
		if f := doctor.Mail("mail.example.com", err); f.Verdict != verdict || !strings.Contains(f.Seen, "mail.example.com") || (err != nil) != strings.Contains(f.Seen+f.Fix, "535 wrong password") {
			t.Errorf("%+v", f)
		}
	}
}

// TestWebhook names its host alone.
func TestWebhook(t *testing.T) {
	for verdict, err := range map[doctor.Verdict]error{doctor.OK: nil, doctor.Failure: errors.New("connection refused")} {
		f := doctor.Webhook("https://hooks.example.com/mail?key=hidden", err)
		if f.Verdict != verdict || !strings.HasPrefix(f.Seen, "hooks.example.com") || strings.Contains(f.Seen+f.Fix, "hidden") || (err != nil) != strings.Contains(f.Fix, "mail_webhook_url") {
			t.Errorf("%+v", f)
		}
	}
}

// TestNothingVouches says what to do about a certificate of a private authority.
func TestNothingVouches(t *testing.T) {
	err := fmt.Errorf("dial failed: %w", x509.UnknownAuthorityError{})
	for _, f := range []doctor.Finding{doctor.Mail("mail.example.com", err), doctor.Webhook("https://hooks.example.com/", err)} {
		if !strings.Contains(f.Fix, "SSL_CERT_FILE") {
			t.Errorf("%+v", f)
		}
	}
	d := healthy(t)
	f := doctor.New(d.at, 0, nil, d.now).Examine(t.Context())[0]
	if f.Verdict != doctor.Failure || !strings.Contains(f.Fix, "SSL_CERT_FILE") {
		t.Errorf("%+v", f)
	}
}

func TestPepper(t *testing.T) {
	for _, needed := range []bool{true, false} {
		for _, given := range []bool{true, false} {
			f := doctor.Pepper(needed, given)
			if fails := f.Verdict == doctor.Failure; fails != (needed && !given) || fails != strings.Contains(f.Fix, "pepper_file") {
				t.Errorf("needed %t, given %t: %+v", needed, given, f)
			}
		}
	}
}
