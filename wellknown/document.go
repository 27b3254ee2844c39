// Package wellknown serves what strangers need to use Keyturn: the public keys
// and the metadata documents.
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

// document is a rendered JSON document. The header values are slices made once,
// so that serving one allocates next to nothing; they are never changed.
type document struct {
	body []byte
	etag string
	// length is nil where net/http is left to count.
	header struct{ etag, length, kind []string }
}

var jsonType = []string{"application/json"}

// counted is how long an answer may be, in bytes, for net/http to count it: it
// then writes the Content-Length itself, at a fraction of what a header of ours
// costs. It sends a longer one in chunks where no length is given.
const counted = 2048

// hashBytes is how much of a SHA-256 makes an ETag.
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
	// An error here means that the caller has gone.
	_, _ = w.Write(d.body)
}

// matches compares as If-None-Match does: weakly (RFC 9110 §8.8.3.2). Our tags
// hold no comma, so a tag that does cannot be ours and may be cut in two.
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

// staleIfError is for how long a cache may go on serving a document when
// Keyturn cannot answer (RFC 5861 §4). An old key set then is never worse than
// none; but it still holds a key revoked meanwhile, so the time is short.
const staleIfError = time.Hour

// cacheControl is the Cache-Control header for a document that holds for age;
// whole seconds, rounded down.
func cacheControl(age time.Duration) string {
	return "public, max-age=" + seconds(age) + ", stale-if-error=" + seconds(staleIfError)
}

// lifetime is the Cache-Control header of documents that hold for full, or for less
// when the store is lost. The header for full is made once.
type lifetime struct {
	full   time.Duration
	header []string
}

func newLifetime(full time.Duration) lifetime {
	return lifetime{full, []string{cacheControl(full)}}
}

// cache returns the header for age.
func (l *lifetime) cache(age time.Duration) []string {
	if age == l.full {
		return l.header
	}
	return []string{cacheControl(age)}
}

func seconds(d time.Duration) string { return strconv.FormatInt(int64(d/time.Second), 10) }

// unavailable answers 503 as a problem document (RFC 9457), which no cache keeps.
func unavailable(w http.ResponseWriter) {
	w.Header().Set("Cache-Control", "no-store")
	problem.Unavailable(w)
}
