package wellknown

import (
	"net/http"
	"time"
)

// Static serves one document that never changes while the process lives.
type Static struct {
	document *document
	cache    []string
}

// NewStatic returns a handler for a document of that media type, which may be
// cached for maxAge. Safe for concurrent use; it answers GET and HEAD.
func NewStatic(body []byte, mediaType string, maxAge time.Duration) *Static {
	s := &Static{document: newDocument(body), cache: []string{"public, max-age=" + seconds(maxAge)}}
	s.document.header.kind = []string{mediaType}
	return s
}

func (s *Static) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	s.document.serve(w, r, s.cache)
}
