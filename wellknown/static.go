package wellknown

import (
	"net/http"
	"time"
)

// Static serves one document that does not change.
type Static struct {
	document *document
	cache    []string
}

// NewStatic returns a handler for a document of that media type, which may be
// cached for maxAge. It answers GET and HEAD and is safe for concurrent use.
func NewStatic(body []byte, mediaType string, maxAge time.Duration) *Static {
	s := &Static{document: newDocument(body), cache: []string{"public, max-age=" + seconds(maxAge)}}
	s.document.header.kind = []string{mediaType}
	return s
}

func (s *Static) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	s.document.serve(w, r, s.cache)
}
