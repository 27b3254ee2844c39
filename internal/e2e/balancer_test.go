package e2e

import (
	"fmt"
	"net/http"
	"net/http/httptest"
	"net/http/httputil"
	"net/url"
	"sync/atomic"
	"testing"
)

// balancer spreads the requests for public documents over replicas and asks the
// next one where one does not answer.
type balancer struct {
	*httptest.Server
	url      string
	next     atomic.Uint64
	replicas []string
}

// newBalancer takes a port. Once its replicas are known it can be started.
func newBalancer(t *testing.T) *balancer {
	t.Helper()
	b := &balancer{}
	b.Server = httptest.NewUnstartedServer(&httputil.ReverseProxy{
		Transport: b,
		Rewrite:   func(*httputil.ProxyRequest) {},
		// A connection that is kept would hold back the clock of the resource
		// server in Go.
		ModifyResponse: func(res *http.Response) error {
			res.Header.Set("Connection", "close")
			return nil
		},
		ErrorHandler: func(w http.ResponseWriter, _ *http.Request, err error) {
			http.Error(w, err.Error(), http.StatusBadGateway)
		},
	})
	b.url = "http://" + b.Listener.Addr().String()
	t.Cleanup(b.Close)
	return b
}

// RoundTrip sends a request without a body to a replica that answers it.
func (b *balancer) RoundTrip(r *http.Request) (*http.Response, error) {
	first := b.next.Add(1)
	err := fmt.Errorf("no replica has %s", r.URL.Path)
	for i := range b.replicas {
		to, bad := url.Parse(b.replicas[(first+uint64(i))%uint64(len(b.replicas))])
		if bad != nil {
			return nil, bad
		}
		out := r.Clone(r.Context())
		out.URL.Scheme, out.URL.Host, out.Host, out.Body = to.Scheme, to.Host, to.Host, nil
		var res *http.Response
		if res, err = web.Transport.RoundTrip(out); err != nil {
			continue
		}
		if res.StatusCode < http.StatusInternalServerError {
			return res, nil
		}
		res.Body.Close()
		err = fmt.Errorf("%s answered %s", to, res.Status)
	}
	return nil, err
}
