package doctor

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"net/http"
	"net/url"
	"slices"
	"strconv"
	"strings"
	"time"
)

const (
	oauthMetadata = "/.well-known/oauth-authorization-server"
	oidcMetadata  = "/.well-known/openid-configuration"
)

// reachable checks the connection: the address, TLS and the clock.
func (d *Doctor) reachable(ctx context.Context) bool {
	a, err := d.get(ctx, oauthMetadata)
	if err != nil {
		d.say("issuer", Failure, err.Error(), vouching(err, "make the issuer's URL lead to Keyturn, for resource servers and clients as for this machine: name, port, certificate, proxy"))
		return false
	}
	d.say("issuer", OK, d.issuer+" answers", "")
	d.transport(a)
	d.clock(a)
	return true
}

func (d *Doctor) transport(a answer) {
	u, err := url.Parse(d.issuer)
	if err != nil || a.tls == nil {
		loopback := err == nil && (u.Hostname() == "localhost" || strings.HasPrefix(u.Hostname(), "127.") || u.Hostname() == "::1")
		if loopback {
			d.say("tls", Warning, "plain HTTP on loopback", "fine for development; elsewhere the issuer must be https")
			return
		}
		d.say("tls", Failure, "plain HTTP", "end TLS before Keyturn or give it tls_cert_file and tls_key_file: passwords and tokens travel here")
		return
	}
	const soon = 14 * 24 * time.Hour
	left := a.tls.PeerCertificates[0].NotAfter.Sub(d.now())
	seen := fmt.Sprintf("certificate good for %d days more", int(left.Hours()/24))
	if left < soon {
		d.say("tls", Warning, seen, "renew the certificate; a server that reads tls_cert_file needs a restart")
		return
	}
	d.say("tls", OK, seen, "")
}

// clock compares the Date header, which has a resolution of a second, with this
// machine's clock.
func (d *Doctor) clock(a answer) {
	there, err := http.ParseTime(a.header.Get("Date"))
	if err != nil {
		d.say("clock", Warning, "no Date header", "let the proxy pass the Date header on")
		return
	}
	off := d.now().Sub(there).Abs().Truncate(time.Second)
	seen := fmt.Sprintf("%s apart from this machine", off)
	if off > d.skew+time.Second {
		d.say("clock", Failure, seen, fmt.Sprintf("run a time service on both: beyond clock_skew (%s) tokens are refused and keys turn too early or late", d.skew))
		return
	}
	d.say("clock", OK, seen, "")
}

// described holds the members of the metadata that are checked.
type described struct {
	Issuer  string   `json:"issuer"`
	Token   string   `json:"token_endpoint"`
	JWKSURI string   `json:"jwks_uri"`
	Algs    []string `json:"id_token_signing_alg_values_supported"`
}

// metadata checks both metadata documents and returns their content.
func (d *Doctor) metadata(ctx context.Context) described {
	var m described
	first, err := d.get(ctx, oauthMetadata)
	second, err2 := d.get(ctx, oidcMetadata)
	route := "have the proxy pass every path below /.well-known on, unchanged"
	switch {
	case err != nil || err2 != nil || first.status != http.StatusOK || second.status != http.StatusOK:
		d.say("metadata", Failure, oauthMetadata+" "+first.describe()+", "+oidcMetadata+" "+second.describe(), route)
		return m
	case json.Unmarshal(first.body, &m) != nil:
		d.say("metadata", Failure, "the document is not JSON", route)
		return m
	case !bytes.Equal(first.body, second.body):
		d.say("metadata", Failure, "the two documents differ", "give every replica the same settings, and keep both paths out of different caches")
	case strings.TrimSuffix(m.Issuer, "/") != d.issuer:
		d.say("metadata", Failure, "the issuer calls itself "+m.Issuer, "set issuer to the URL that clients use; resource servers compare it letter by letter")
	case !strings.HasPrefix(m.JWKSURI, d.issuer+"/") || !strings.HasPrefix(m.Token, d.issuer+"/"):
		d.say("metadata", Failure, "endpoints lead elsewhere: "+m.JWKSURI+", "+m.Token, "set issuer to the URL that clients use")
	case !d.insertedPath(ctx, first):
	default:
		d.say("metadata", OK, "both documents agree with the issuer", "")
	}
	return m
}

// insertedPath checks whether the metadata of an issuer with a path are also
// where RFC 8414 §3.1 puts them, with the issuer's path behind the well-known
// one. It warns if they are not.
func (d *Doctor) insertedPath(ctx context.Context, metadata answer) bool {
	u, err := url.Parse(d.issuer)
	if err != nil || u.Path == "" {
		return true
	}
	at := u.Scheme + "://" + u.Host + oauthMetadata + u.EscapedPath()
	a, err := d.getURL(ctx, at)
	if err != nil || a.status != http.StatusOK || !bytes.Equal(a.body, metadata.body) {
		d.say("metadata", Warning, at+" "+a.describe(), "have the proxy pass that path on as well: clients that follow RFC 8414 ask there")
		return false
	}
	return true
}

type keySet struct {
	Keys []map[string]any `json:"keys"`
}

// keySet checks the published keys and how they can be cached.
func (d *Doctor) keySet(ctx context.Context, m described) {
	const path = "/.well-known/jwks.json"
	a, err := d.get(ctx, path)
	var set keySet
	if err != nil || a.status != http.StatusOK || json.Unmarshal(a.body, &set) != nil {
		d.say("keys", Failure, path+" "+a.describe(), "see the server's log; without keys no token can be verified")
		return
	}
	d.keys(set, m)
	d.caching(ctx, path, a)
}

func (d *Doctor) keys(set keySet, m described) {
	seen := fmt.Sprintf("%d published", len(set.Keys))
	for _, key := range set.Keys {
		if kid, ok := key["kid"].(string); ok {
			d.published = append(d.published, kid)
		}
		if key["d"] != nil || key["k"] != nil {
			d.say("keys", Failure, "a PRIVATE key is published", "this is no answer of Keyturn's: find out who answers, and revoke every key")
			return
		}
		if alg, _ := key["alg"].(string); len(m.Algs) > 0 && !slices.Contains(m.Algs, alg) {
			d.say("keys", Failure, fmt.Sprintf("a key of %s, which the metadata do not name", alg), "give every replica the same settings")
			return
		}
	}
	if len(set.Keys) < 2 {
		d.say("keys", Failure, seen+": no standby", "see the server's log for why the next key is not made: a turn, or an emergency, would catch resource servers without the new key")
		return
	}
	d.say("keys", OK, seen+", a standby among them", "")
}

// caching checks the headers that control the caches of resource servers.
func (d *Doctor) caching(ctx context.Context, path string, a answer) {
	keep := "have the proxy pass Cache-Control and ETag on as they are"
	age := -1
	for part := range strings.SplitSeq(a.header.Get("Cache-Control"), ",") {
		if value, ok := strings.CutPrefix(strings.TrimSpace(part), "max-age="); ok {
			if n, err := strconv.Atoi(value); err == nil {
				age = n
			}
		}
	}
	etag := a.header.Get("ETag")
	if age < 0 || etag == "" {
		d.say("jwks caching", Failure, fmt.Sprintf("Cache-Control %q, ETag %q", a.header.Get("Cache-Control"), etag), keep)
		return
	}
	again, err := d.get(ctx, path, "If-None-Match", etag)
	switch {
	case err != nil || again.status != http.StatusNotModified:
		d.say("jwks caching", Warning, "a request with If-None-Match "+again.describe(), keep)
	case age == 0:
		d.say("jwks caching", Warning, "max-age=0", "resource servers fetch the keys for every token: see why this replica has not read the keys lately, or raise jwks_max_age")
	default:
		d.say("jwks caching", OK, fmt.Sprintf("max-age %d s, 304 for the current ETag", age), "")
	}
}

// tokenEndpoint checks the token endpoint with a GET, which decides nothing and
// so writes no event.
func (d *Doctor) tokenEndpoint(ctx context.Context) {
	a, err := d.get(ctx, "/oauth/token")
	switch {
	case err != nil || a.status != http.StatusMethodNotAllowed || !strings.Contains(a.header.Get("Allow"), "POST"):
		d.say("token endpoint", Failure, "GET /oauth/token "+a.describe()+"; want 405 from Keyturn", "have the proxy pass /oauth/ on")
	case !strings.Contains(a.header.Get("Cache-Control"), "no-store"):
		d.say("token endpoint", Failure, "without Cache-Control: no-store", "have the proxy leave the header as it is, and cache nothing below /oauth and /auth")
	case strings.HasPrefix(d.issuer, "https:") && a.header.Get("Strict-Transport-Security") == "":
		d.say("token endpoint", Warning, "without Strict-Transport-Security", "set issuer to the https URL, and have the proxy pass the header on")
	default:
		d.say("token endpoint", OK, "answers, and nothing of it is stored", "")
	}
}

// readiness asks several times to measure the time, which includes a write to the
// store.
func (d *Doctor) readiness(ctx context.Context) {
	const times, slow = 5, 250 * time.Millisecond
	var took []time.Duration
	var ready struct {
		Store    string   `json:"store"`
		Warnings []string `json:"warnings"`
	}
	for range times {
		a, err := d.get(ctx, "/readyz")
		if err != nil || a.status != http.StatusOK {
			seen := "/readyz " + a.describe()
			if err == nil && len(a.body) < 300 {
				seen += ": " + string(a.body)
			}
			d.say("store", Failure, seen, "the answer names what failed; the server's log says why")
			return
		}
		if json.Unmarshal(a.body, &ready) != nil || ready.Store != "ok" {
			d.say("store", Failure, "/readyz "+a.describe()+", and not by Keyturn", "have the proxy pass /readyz on")
			return
		}
		took = append(took, a.took)
	}
	d.latency(took, slow)
	if len(ready.Warnings) > 0 {
		d.say("warnings", Warning, "the server warns: "+strings.Join(ready.Warnings, ", "), "see its log, which says more of each")
		return
	}
	d.say("warnings", OK, "the server warns of nothing", "")
}

// clientAddress sends what is no address in the headers that name clients. A server that
// believes it does not know its client, and says so in that answer alone. One does not see
// it, or pays no heed to it, whose outermost proxy overwrites the header.
func (d *Doctor) clientAddress(ctx context.Context) {
	const unreadable = "client_address_unreadable"
	warned := func(header ...string) bool {
		a, err := d.get(ctx, "/readyz", header...)
		return err == nil && bytes.Contains(a.body, []byte(unreadable))
	}
	switch {
	case warned(): // of others' addresses, as readiness said
	case warned("X-Forwarded-For", "keyturn-doctor", "Forwarded", "for=keyturn-doctor"):
		d.say("client address", Warning, "the server believes what this machine writes into X-Forwarded-For or Forwarded",
			"have the outermost proxy overwrite the header, not append to it, and only proxies in trusted_proxies: who is believed chooses an address for each guess at a password. On a machine that is a proxy itself this is right")
	default:
		d.say("client address", OK, "what this machine writes into X-Forwarded-For is not believed", "")
	}
}

func (d *Doctor) latency(took []time.Duration, slow time.Duration) {
	slices.Sort(took)
	median := took[len(took)/2].Round(100 * time.Microsecond)
	seen := fmt.Sprintf("a round trip with a write to the store takes %s", median)
	if median > slow {
		d.say("store", Warning, seen, "look at the store's disk and network: every login and refresh waits for such a write")
		return
	}
	d.say("store", OK, seen, "")
}

// privateParts checks that what must not be public cannot be reached.
func (d *Doctor) privateParts(ctx context.Context) {
	a, err := d.get(ctx, "/metrics")
	if err == nil && a.status == http.StatusOK && bytes.Contains(a.body, []byte("keyturn_")) {
		d.say("metrics", Failure, "/metrics is public", "keep admin_listen on loopback or an inner network, and /metrics out of the proxy")
		return
	}
	d.say("metrics", OK, "not reachable from here", "")
}
