// Package doctor examines a Keyturn deployment from outside, as its clients and
// resource servers see it, and says what to fix.
package doctor

import (
	"context"
	"crypto/tls"
	"fmt"
	"io"
	"net/http"
	"strings"
	"time"
)

// Verdict is the result of a check.
type Verdict string

// The verdicts. A failure means that the deployment is broken for some callers,
// or will be.
const (
	OK      Verdict = "ok"
	Warning Verdict = "warning"
	Failure Verdict = "failure"
)

// Finding is the outcome of one check.
type Finding struct {
	Check   string  `json:"check"`
	Verdict Verdict `json:"verdict"`
	// Seen says what was found, Fix what to do about it. Fix is empty if the
	// check passed.
	Seen string `json:"seen"`
	Fix  string `json:"fix,omitempty"`
}

// Doctor examines one issuer. Create it with New.
type Doctor struct {
	issuer   string
	skew     time.Duration
	client   *http.Client
	now      func() time.Time
	findings []Finding
	// published holds the kids of the key set.
	published []string
}

// patience bounds the time of one request.
const patience = 10 * time.Second

// maxAnswer bounds the body of an answer, in bytes.
const maxAnswer = 1 << 20

// New returns a Doctor for an issuer. skew is the clock difference allowed. The
// system's certificate authorities are used if trust has none.
func New(issuer string, skew time.Duration, trust *tls.Config, now func() time.Time) *Doctor {
	return &Doctor{
		issuer: strings.TrimSuffix(issuer, "/"), skew: skew, now: now,
		client: &http.Client{
			Timeout:       patience,
			Transport:     &http.Transport{TLSClientConfig: trust, Proxy: http.ProxyFromEnvironment},
			CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse },
		},
	}
}

// Examine runs every check and returns the findings in order. It only requests
// public documents and changes nothing.
func (d *Doctor) Examine(ctx context.Context) []Finding {
	d.findings = nil
	if !d.reachable(ctx) {
		return d.findings
	}
	metadata := d.metadata(ctx)
	d.keySet(ctx, metadata)
	d.tokenEndpoint(ctx)
	d.readiness(ctx)
	d.clientAddress(ctx)
	d.privateParts(ctx)
	return d.findings
}

func (d *Doctor) say(check string, verdict Verdict, seen, fix string) {
	if verdict == OK {
		fix = ""
	}
	d.findings = append(d.findings, Finding{check, verdict, seen, fix})
}

// answer is a complete HTTP answer.
type answer struct {
	status int
	header http.Header
	body   []byte
	tls    *tls.ConnectionState
	took   time.Duration
}

func (d *Doctor) get(ctx context.Context, path string, header ...string) (answer, error) {
	return d.getURL(ctx, d.issuer+path, header...)
}

func (d *Doctor) getURL(ctx context.Context, url string, header ...string) (answer, error) {
	req, err := http.NewRequestWithContext(ctx, http.MethodGet, url, nil)
	if err != nil {
		return answer{}, err
	}
	for i := 0; i < len(header); i += 2 {
		req.Header.Set(header[i], header[i+1])
	}
	start := d.now()
	res, err := d.client.Do(req)
	if err != nil {
		return answer{}, err
	}
	defer res.Body.Close()
	body, err := io.ReadAll(io.LimitReader(res.Body, maxAnswer))
	return answer{res.StatusCode, res.Header, body, res.TLS, d.now().Sub(start)}, err
}

func (a answer) describe() string {
	if a.status == 0 {
		return "was not answered"
	}
	return fmt.Sprintf("answered %d with %s", a.status, a.header.Get("Content-Type"))
}
