// Package wellknown serves the public keys and the metadata documents, which
// clients and resource servers need to use Keyturn.
package wellknown

import (
	"crypto/sha256"
	"encoding/base64"
	"net/http"
	"strconv"
	"strings"
	"time"

	"github.com/keyturn/keyturn/internal/problem"
)

// document is a rendered JSON document. The header values are slices made once, so
// that serving a document hardly allocates; they are never changed.
type document struct {
	body []byte
	etag string
	// length is nil if net/http sets Content-Length.
	header struct{ etag, length, kind []string }
}

var jsonType = []string{"application/json"}

// counted is the longest body, in bytes, for which net/http sets Content-Length
// itself, at a fraction of the cost of a header set here. net/http sends a longer
// body in chunks if no length is set.
const counted = 2048

// hashBytes is the number of bytes of a SHA-256 in an ETag.
const hashBytes = 16

func newDocument(body []byte) *document {
	sum := sha256.Sum256(body)
	d := &document{body: body}
	d.etag = `"` + base64.RawURLEncoding.EncodeToString(sum[:hashBytes]) + `"`
	d.header.etag = []string{d.etag}
	d.header.kind = jsonType
	if len(body) > counted {
		d.header.length = []string{strconv.Itoa(len(body))}
	}
	return d
}

// serve answers GET and HEAD with the document, or with 304 if the client has it
// already (RFC 9110 §13.1.2, §15.4.5). cache is the Cache-Control header.
func (d *document) serve(w http.ResponseWriter, r *http.Request, cache []string) {
	h := w.Header()
	h["Etag"] = d.header.etag
	h["Cache-Control"] = cache
	if matches(r.Header["If-None-Match"], d.etag) {
		w.WriteHeader(http.StatusNotModified)
		return
	}
	h["Content-Type"] = d.header.kind
	if r.Method == http.MethodHead {
		h["Content-Length"] = []string{strconv.Itoa(len(d.body))}
		w.WriteHeader(http.StatusOK)
		return
	}
	if d.header.length != nil {
		h["Content-Length"] = d.header.length
	}
	// A write fails only if the client has gone.
	_, _ = w.Write(d.body)
}

// matches compares weakly, as If-None-Match does (RFC 9110 §8.8.3.2). Keyturn's
// tags contain no comma, so cutting a foreign tag at a comma does no harm.
func matches(fields []string, etag string) bool {
	for _, field := range fields {
		for tag := range strings.SplitSeq(field, ",") {
			tag = strings.TrimSpace(tag)
			if tag == "*" || strings.TrimPrefix(tag, "W/") == etag {
				return true
			}
		}
	}
	return false
}

// staleIfError is how long a cache may serve a stale document if Keyturn cannot
// answer (RFC 5861 §4). An old key set is then never worse than none, but it may
// contain a key that was revoked meanwhile, so the time is short.
const staleIfError = time.Hour

// cacheControl returns the Cache-Control header of a document that is valid for
// age, rounded down to seconds.
func cacheControl(age time.Duration) string {
	return "public, max-age=" + seconds(age) + ", stale-if-error=" + seconds(staleIfError)
}

// lifetime caches the Cache-Control header of documents that are valid for full, or
// for less if the store is lost.
type lifetime struct {
	full   time.Duration
	header []string
}

func newLifetime(full time.Duration) lifetime {
	return lifetime{full, []string{cacheControl(full)}}
}

// cache returns the Cache-Control header for age.
func (l *lifetime) cache(age time.Duration) []string {
	if age == l.full {
		return l.header
	}
	return []string{cacheControl(age)}
}

func seconds(d time.Duration) string { return strconv.FormatInt(int64(d/time.Second), 10) }

// unavailable answers 503 with a problem document (RFC 9457) that must not be
// cached.
func unavailable(w http.ResponseWriter) {
	w.Header().Set("Cache-Control", "no-store")
	problem.Unavailable(w)
}
