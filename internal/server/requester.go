package server

import (
	"net/http"
	"strings"

	"github.com/keyturn/keyturn/internal/problem"
)

// maxUserAgent bounds the stored part of a User-Agent header, in bytes.
const maxUserAgent = 512

// userAgent returns the header as text that every store and log can keep.
func userAgent(r *http.Request) string {
	s := r.UserAgent()
	if len(s) > maxUserAgent {
		s = s[:maxUserAgent]
	}
	return strings.ReplaceAll(strings.ToValidUTF8(s, "\uFFFD"), "\x00", "")
}

// traceID returns the trace-id of a well-formed traceparent header (W3C Trace
// Context §3.2): version, trace-id, parent-id and flags in lower-case hex.
func traceID(r *http.Request) string {
	h := problem.Field(r, "Traceparent")
	const length = len("00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01")
	if len(h) < length || h[2] != '-' || h[35] != '-' || h[52] != '-' || h[:2] == "ff" || h[:2] == "00" && len(h) > length {
		return ""
	}
	id := h[3:35]
	for _, part := range []string{h[:2], id, h[36:52], h[53:55]} {
		if strings.Trim(part, "0123456789abcdef") != "" {
			return ""
		}
	}
	if strings.Trim(id, "0") == "" {
		return ""
	}
	return id
}
