package clientip

import (
	"net/http"
	"net/netip"
	"strings"
	"testing"
)

var trusted = []netip.Prefix{netip.MustParsePrefix("10.0.0.0/8"), netip.MustParsePrefix("fd00::/8")}

// TestU4_TheClientBehindProxies: what proxies write, and whom it names. "" is a
// client that is not known.
func TestU4_TheClientBehindProxies(t *testing.T) {
	for _, c := range []struct {
		source Source
		peer   string
		lines  []string
		want   string
	}{
		{XForwardedFor, "192.0.2.1:99", []string{"198.51.100.7"}, "192.0.2.1"},
		{XForwardedFor, "10.0.0.1:99", nil, "10.0.0.1"},
		{XForwardedFor, "10.0.0.1:99", []string{"198.51.100.7"}, "198.51.100.7"},
		{XForwardedFor, "[::ffff:10.0.0.1]:99", []string{"::ffff:198.51.100.7"}, "198.51.100.7"},
		{XForwardedFor, "10.0.0.1:99", []string{"198.51.100.7:51234"}, "198.51.100.7"},
		{XForwardedFor, "10.0.0.1:99", []string{"2001:db8::7"}, "2001:db8::7"},
		{XForwardedFor, "10.0.0.1:99", []string{"[2001:db8::7]"}, "2001:db8::7"},
		{XForwardedFor, "10.0.0.1:99", []string{"[2001:db8::7]:51234"}, "2001:db8::7"},
		{XForwardedFor, "10.0.0.1:99", []string{`"[2001:db8::7]:51234"`}, "2001:db8::7"},
		{XForwardedFor, "10.0.0.1:99", []string{"fe80::7%eth0"}, "fe80::7"},
		{XForwardedFor, "10.0.0.1:99", []string{"[fe80::7%eth0]:80"}, "fe80::7"},
		{XForwardedFor, "[fd00::1%eth0]:99", []string{" 198.51.100.7\t"}, "198.51.100.7"},
		// What the client wrote itself stands further left.
		{XForwardedFor, "10.0.0.1:99", []string{"203.0.113.9, 198.51.100.7"}, "198.51.100.7"},
		{XForwardedFor, "10.0.0.1:99", []string{"rubbish", "198.51.100.7"}, "198.51.100.7"},
		{XForwardedFor, "10.0.0.1:99", []string{"198.51.100.7, 10.0.0.2"}, "198.51.100.7"},
		{XForwardedFor, "10.0.0.1:99", []string{"10.0.0.3, 10.0.0.2"}, "10.0.0.3"},
		// What cannot be read names nobody, the proxy least of all.
		{XForwardedFor, "10.0.0.1:99", []string{"unknown"}, ""},
		{XForwardedFor, "10.0.0.1:99", []string{"[::]:80"}, ""},
		{XForwardedFor, "10.0.0.1:99", []string{"::"}, ""},
		{XForwardedFor, "10.0.0.1:99", []string{"198.51.100.7:"}, ""},
		{XForwardedFor, "10.0.0.1:99", []string{"198.051.100.7"}, ""},
		{XForwardedFor, "10.0.0.1:99", []string{strings.Repeat("203.0.113.9, ", 1000) + "198.51.100.7", "10.0.0.9"}, "198.51.100.7"},
		{XForwardedFor, "10.0.0.1:99", []string{strings.Repeat(`\",`, 4000) + "198.51.100.7"}, "198.51.100.7"},
		{XForwardedFor, "10.0.0.1:99", []string{""}, ""},
		{XForwardedFor, "10.0.0.1:99", []string{"198.51.100.7, ", ","}, "198.51.100.7"},
		{XForwardedFor, "10.0.0.1:99", []string{" ,, "}, ""},
		{XForwardedFor, "10.0.0.1:99", []string{"198.51.100.7:port"}, ""},
		{XForwardedFor, "10.0.0.1:99", []string{"198.51.100.7:99999"}, ""},
		{XForwardedFor, "10.0.0.1:99", []string{"[198.51.100.7]:80"}, ""},
		{XForwardedFor, "10.0.0.1:99", []string{`"198.51.100.7`}, ""},
		{XForwardedFor, "10.0.0.1:99", []string{"[2001:db8::7"}, ""},
		{XForwardedFor, "10.0.0.1:99", []string{"[2001:db8::7]80"}, ""},
		{XForwardedFor, "10.0.0.1:99", []string{"198.51.100.7, nobody, 10.0.0.2"}, ""},

		{Forwarded, "10.0.0.1:99", []string{"for=198.51.100.7"}, "198.51.100.7"},
		{Forwarded, "10.0.0.1:99", nil, "10.0.0.1"},
		{Forwarded, "10.0.0.1:99", []string{`For="[2001:db8::7]:4711"; proto=https ;by=203.0.113.43`}, "2001:db8::7"},
		{Forwarded, "10.0.0.1:99", []string{"for=203.0.113.9, proto=https;for=198.51.100.7"}, "198.51.100.7"},
		{Forwarded, "10.0.0.1:99", []string{"for=203.0.113.9", `for="198.51.100.7:80"`}, "198.51.100.7"},
		{Forwarded, "10.0.0.1:99", []string{"for=198.51.100.7:80, for=10.0.0.2"}, "198.51.100.7"},
		// A quote that the client left open swallows nothing.
		{Forwarded, "10.0.0.1:99", []string{`for="203.0.113.9, for="[2001:db8::7]:80"`}, "2001:db8::7"},
		{Forwarded, "10.0.0.1:99", []string{`for="203.0.113.9, for=203.0.113.8", for=198.51.100.7`}, "198.51.100.7"},
		// Names in the place of ports, empty pairs, and quotes with anything in them.
		{Forwarded, "10.0.0.1:99", []string{`for="198.51.100.7:_gateway"`}, "198.51.100.7"},
		{Forwarded, "10.0.0.1:99", []string{`for="[2001:db8::7]:_x.1"`}, "2001:db8::7"},
		{Forwarded, "10.0.0.1:99", []string{";for=198.51.100.7;;proto=http; "}, "198.51.100.7"},
		{Forwarded, "10.0.0.1:99", []string{`for=203.0.113.9, for=198.51.100.7;host="a,for=203.0.113.8"`}, "198.51.100.7"},
		{Forwarded, "10.0.0.1:99", []string{`host="a;for=\"203.0.113.8\\";for="198.51.100\.7"`}, "198.51.100.7"},
		{Forwarded, "10.0.0.1:99", []string{`for="198.51.100.7:_"`}, ""},
		{Forwarded, "10.0.0.1:99", []string{`for="198.51.100.7\`}, ""},
		{Forwarded, "10.0.0.1:99", []string{"for=0.0.0.0"}, ""},
		{Forwarded, "10.0.0.1:99", []string{";;"}, ""},
		{Forwarded, "10.0.0.1:99", []string{"for=unknown"}, ""},
		{Forwarded, "10.0.0.1:99", []string{"for=_hidden"}, ""},
		{Forwarded, "10.0.0.1:99", []string{"proto=https"}, ""},
		{Forwarded, "10.0.0.1:99", []string{"for=198.51.100.7;for=198.51.100.8"}, ""},
		{Forwarded, "10.0.0.1:99", []string{`for="198.51.100.7`}, ""},
		{Forwarded, "10.0.0.1:99", []string{"198.51.100.7"}, ""},
	} {
		h := http.Header{}
		name := map[Source]string{XForwardedFor: "X-Forwarded-For", Forwarded: "Forwarded"}[c.source]
		h[name] = c.lines
		// Beside its own header no other is looked at.
		for _, other := range naming {
			if other != name && c.lines != nil {
				h.Set(other, "for=203.0.113.99")
			}
		}
		f := &Finder{Trusted: trusted, Source: c.source}
		got := f.Find(&http.Request{RemoteAddr: c.peer, Header: h})
		if want, _ := netip.ParseAddr(c.want); got != want {
			t.Errorf("%s from %s, %q: %v, want %v", c.source, c.peer, c.lines, got, want)
		}
	}
}

// TestU4_TheProxyWritesAnotherHeader: what a trusted proxy writes where nobody looks
// for it is not silence, and a request without any is the proxy's own.
func TestU4_TheProxyWritesAnotherHeader(t *testing.T) {
	for _, source := range []Source{XForwardedFor, Forwarded} {
		f := &Finder{Trusted: trusted, Source: source}
		for _, name := range []string{"x-forwarded-for", "forwarded", "X-Real-IP", "CF-Connecting-IP", "True-Client-IP", "X-Azure-ClientIP"} {
			if http.CanonicalHeaderKey(name) == f.header() {
				continue
			}
			h := http.Header{}
			h.Set(name, "198.51.100.7")
			r := &http.Request{RemoteAddr: "10.0.0.1:1", Header: h}
			if ip := f.Find(r); ip.IsValid() {
				t.Errorf("%s is wanted and %s sent: taken for %v", source, name, ip)
			}
			if got, want := f.Shown(r), http.CanonicalHeaderKey(name)+": 198.51.100.7"; got != want {
				t.Errorf("%s: %q is shown, want %q", name, got, want)
			}
			if ip := f.Find(&http.Request{RemoteAddr: "192.0.2.1:1", Header: h}); ip.String() != "192.0.2.1" {
				t.Errorf("a stranger's %s: taken for %v", name, ip)
			}
		}
		// Orchestrators' probes set these.
		probe := http.Header{"X-Forwarded-Proto": {"https"}, "User-Agent": {"kube-probe/1.33"}, "Via": {"1.1 a"}}
		if ip := f.Find(&http.Request{RemoteAddr: "10.0.0.1:1", Header: probe}); ip.String() != "10.0.0.1" {
			t.Errorf("%s: a probe was taken for %v", source, ip)
		}
	}
	for _, name := range naming {
		if name != http.CanonicalHeaderKey(name) {
			t.Errorf("%s is in no form in which a request has it", name)
		}
	}
}

// FuzzFind: no header panics, and none of a stranger's counts.
func FuzzFind(f *testing.F) {
	for _, seed := range []string{"198.51.100.7:51234", `for="[2001:db8::7]:4711";proto=https, for=unknown`, "[fe80::1%25eth0]:1", `"`, "for=", ",;="} {
		f.Add(seed)
	}
	f.Fuzz(func(t *testing.T, header string) {
		for _, source := range []Source{XForwardedFor, Forwarded} {
			finder := &Finder{Trusted: trusted, Source: source}
			h := http.Header{"X-Forwarded-For": {header}, "Forwarded": {header}}
			if ip := finder.Find(&http.Request{RemoteAddr: "10.0.0.1:1", Header: h}); ip.Is4In6() || ip.Zone() != "" {
				t.Errorf("%s %q: %v is not in the form that is compared", source, header, ip)
			}
			if ip := finder.Find(&http.Request{RemoteAddr: "192.0.2.1:1", Header: h}); ip.String() != "192.0.2.1" {
				t.Errorf("%s %q: a stranger was taken for %v", source, header, ip)
			}
			// What the last trusted proxy adds counts, whatever stands before it.
			added := http.Header{"X-Forwarded-For": {header, "198.51.100.7"}, "Forwarded": {header, "for=198.51.100.7"}}
			if ip := finder.Find(&http.Request{RemoteAddr: "10.0.0.1:1", Header: added}); ip.String() != "198.51.100.7" {
				t.Errorf("%s %q: the client chose its address: %v", source, header, ip)
			}
		}
	})
}
