package server

import "net/http"

// ownFraming closes the connection after a request whose end another reader may see
// elsewhere: one with a Transfer-Encoding, because net/http hides whether a
// Content-Length was beside it (RFC 9112 §6.3), and one of HTTP/1.0 with a body,
// because it hides there whether there was a Transfer-Encoding (RFC 9112 §6.1).
func ownFraming(next http.Handler) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if len(r.TransferEncoding) > 0 || !r.ProtoAtLeast(1, 1) && r.ContentLength != 0 {
			w.Header().Set("Connection", "close")
		}
		next.ServeHTTP(w, r)
	})
}
