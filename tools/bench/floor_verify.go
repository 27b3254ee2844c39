package main

import (
	"encoding/json"
	"net/http"

	"github.com/go-jose/go-jose/v4/jwt"
)

// verifyHandler verifies the token of each request and answers as the
// introspection endpoint does (RFC 7662 §2.2).
func verifyHandler(s *plainSigner) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		r.Body = http.MaxBytesReader(w, r.Body, maxAnswerBytes)
		c, err := s.verify(r.PostFormValue("token"))
		if err != nil {
			http.Error(w, "the token is not this floor's", http.StatusBadRequest)
			return
		}
		body, err := json.Marshal(struct {
			Active   bool             `json:"active"`
			Subject  string           `json:"sub"`
			ClientID string           `json:"client_id"`
			Scope    string           `json:"scope"`
			Expiry   *jwt.NumericDate `json:"exp"`
		}{true, c.Subject, c.ClientID, c.Scope, c.Expiry})
		if err != nil {
			http.Error(w, err.Error(), http.StatusInternalServerError)
			return
		}
		w.Header().Set("Content-Type", "application/json")
		w.Write(body)
	})
}
