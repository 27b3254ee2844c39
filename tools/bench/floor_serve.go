package main

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"time"
)

// serveFloor is the child process: it reads its order, answers when it serves,
// and ends with its standard input, so that it cannot outlive its parent.
func serveFloor(stdin io.Reader, stdout io.Writer) error {
	orders, answers := json.NewDecoder(stdin), json.NewEncoder(stdout)
	var order floorOrder
	if err := orders.Decode(&order); err != nil {
		return fmt.Errorf("read the order: %w", err)
	}
	if order.Kind == floorHash {
		return serveHashes(order.Argon2, orders, answers)
	}
	h, token, done, err := floorHandler(order)
	if err != nil {
		return err
	}
	if err := serveHTTP(h, token, stdin, answers); err != nil {
		return err
	}
	return done()
}

// floorHandler returns the handler for an order, the token that its clients
// begin with, and what must be called at the end.
func floorHandler(order floorOrder) (h http.Handler, token string, done func() error, err error) {
	done = func() error { return nil }
	switch order.Kind {
	case floorBytes:
		return bytesHandler(order.Bytes), "", done, nil
	case floorSign, floorVerify:
		s, err := newPlainSigner()
		if err != nil {
			return nil, "", nil, err
		}
		if order.Kind == floorSign {
			return signHandler(s), "", done, nil
		}
		token, err := s.sign()
		return verifyHandler(s), token, done, err
	case floorRefresh:
		s, err := newPlainSigner()
		if err != nil {
			return nil, "", nil, err
		}
		f, err := openFamilies(order.Dir, order.Families)
		if err != nil {
			return nil, "", nil, err
		}
		return refreshHandler(s, f), sampleToken(), f.close, nil
	}
	return nil, "", nil, fmt.Errorf("floor %q: must be %s, %s, %s, %s or %s",
		order.Kind, floorBytes, floorHash, floorSign, floorVerify, floorRefresh)
}

// serveHTTP serves h on a loopback port until stdin ends.
func serveHTTP(h http.Handler, token string, stdin io.Reader, answers *json.Encoder) error {
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		return err
	}
	srv := &http.Server{Handler: h, ReadHeaderTimeout: requestTimeout}
	served := make(chan error, 1)
	go func() { served <- srv.Serve(l) }()
	if err := answers.Encode(floorReady{URL: "http://" + l.Addr().String(), Token: token}); err != nil {
		srv.Close()
		<-served
		return err
	}
	_, err = io.Copy(io.Discard, stdin)
	// What is under way still uses what is closed next.
	ctx, cancel := context.WithTimeout(context.Background(), requestTimeout)
	defer cancel()
	err = errors.Join(err, srv.Shutdown(ctx))
	<-served
	return err
}

// bytesHandler answers with the same bytes always.
func bytesHandler(body []byte) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
		w.Header().Set("Content-Type", "application/json")
		w.Write(body)
	})
}

// writeTokens answers as the token endpoint does (RFC 6749 §5.1).
func writeTokens(w http.ResponseWriter, access, refresh string) {
	body, err := json.Marshal(struct {
		AccessToken  string `json:"access_token"`
		RefreshToken string `json:"refresh_token,omitempty"`
		TokenType    string `json:"token_type"`
		ExpiresIn    int    `json:"expires_in"`
	}{access, refresh, "Bearer", int(tokenLife / time.Second)})
	if err != nil {
		http.Error(w, err.Error(), http.StatusInternalServerError)
		return
	}
	w.Header().Set("Content-Type", "application/json")
	w.Write(body)
}
