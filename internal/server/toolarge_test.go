package server_test

import (
	"bufio"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
)

// TestATooLargeBodyIsAnswered sends a body far over the limit, as curl does: it
// waits until it is told to go on, and then sends all of it. The answer arrives,
// and the connection is closed in order and not reset, which would take the
// answer from a client that is still sending.
func TestATooLargeBodyIsAnswered(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	s := httptest.NewServer(w.handler)
	defer s.Close()
	for path, kind := range map[string]string{"/auth/login": "application/json", "/oauth/token": "application/x-www-form-urlencoded"} {
		c, err := net.Dial("tcp", s.Listener.Addr().String())
		must(t, err)
		const size = 10 << 20
		_, err = fmt.Fprintf(c, "POST %s HTTP/1.1\r\nHost: x\r\nContent-Type: %s\r\nContent-Length: %d\r\nExpect: 100-continue\r\n\r\n", path, kind, size)
		must(t, err)
		in := bufio.NewReader(c)
		if line, err := in.ReadString('\n'); err != nil || !strings.Contains(line, "100 Continue") {
			t.Fatalf("%s: %q, %v", path, line, err)
		}
		_, err = in.ReadString('\n')
		must(t, err)
		go func() { // ends when c is closed
			_, _ = io.WriteString(c, `{"email":"a@example.com","password":"`+strings.Repeat("x", size))
		}()
		answer, err := http.ReadResponse(in, nil)
		must(t, err)
		body, err := io.ReadAll(answer.Body)
		if err != nil || answer.StatusCode != http.StatusRequestEntityTooLarge || !strings.Contains(string(body), "larger than") && !strings.Contains(string(body), "too large") {
			t.Errorf("%s: %s %s, %v", path, answer.Status, body, err)
		}
		if _, err := in.ReadByte(); err != io.EOF {
			t.Errorf("%s: after the answer %v; want the end", path, err)
		}
		must(t, c.Close())
	}
}
