package server_test

import (
	"bufio"
	"io"
	"net"
	"net/http"
	"strings"
	"testing"
)

// TestNothingFollowsABodyThatEndsInTwoWays sends a second request behind one whose
// end a proxy may have seen elsewhere. It is never answered.
func TestNothingFollowsABodyThatEndsInTwoWays(t *testing.T) {
	const second = "GET /second HTTP/1.1\r\nHost: k\r\nConnection: close\r\n\r\n"
	const chunked = "Transfer-Encoding: chunked\r\n"
	for _, c := range []struct {
		name, sends string
		status      int
		answers     int
	}{
		{"a length", "POST / HTTP/1.1\r\nHost: k\r\nContent-Length: 2\r\n\r\nok", 200, 2},
		{"no body", "GET / HTTP/1.1\r\nHost: k\r\n\r\n", 200, 2},
		{"HTTP/1.0 without a body", "GET / HTTP/1.0\r\nConnection: keep-alive\r\nHost: k\r\n\r\n", 200, 2},
		{"a length and chunks", "POST / HTTP/1.1\r\nHost: k\r\nContent-Length: 4\r\n" + chunked + "\r\n2\r\nok\r\n0\r\n\r\n", 200, 1},
		{"chunks and a length", "POST / HTTP/1.1\r\nHost: k\r\n" + chunked + "Content-Length: 100\r\n\r\n2\r\nok\r\n0\r\n\r\n", 200, 1},
		{"chunks", "POST / HTTP/1.1\r\nHost: k\r\n" + chunked + "\r\n2\r\nok\r\n0\r\n\r\n", 200, 1},
		{"no chunk", "POST / HTTP/1.1\r\nHost: k\r\nContent-Length: 0\r\n" + chunked + "\r\n0\r\n\r\n", 200, 1},
		{"HTTP/1.0 with chunks and a length", "POST / HTTP/1.0\r\nConnection: keep-alive\r\nHost: k\r\nContent-Length: 2\r\n" + chunked + "\r\nok", 200, 1},
		{"two lengths", "POST / HTTP/1.1\r\nHost: k\r\nContent-Length: 2\r\nContent-Length: 3\r\n\r\nok", 400, 1},
		{"two codings", "POST / HTTP/1.1\r\nHost: k\r\n" + chunked + chunked + "\r\n0\r\n\r\n", 501, 1},
		{"another coding", "POST / HTTP/1.1\r\nHost: k\r\nTransfer-Encoding: gzip, chunked\r\n\r\n0\r\n\r\n", 501, 1},
	} {
		t.Run(c.name, func(t *testing.T) {
			withPipes(t, func(t *testing.T, p *pipes) {
				client := p.dial()
				defer client.Close()
				go sendAll(client, c.sends+second)
				in, answers := bufio.NewReader(client), 0
				for {
					answer, err := http.ReadResponse(in, nil)
					if err != nil {
						break
					}
					_, _ = io.Copy(io.Discard, answer.Body)
					if answers++; answers == 1 && answer.StatusCode != c.status {
						t.Errorf("answered %d, want %d", answer.StatusCode, c.status)
					}
					if last := answers == c.answers; answer.Close != last {
						t.Errorf("answer %d says that it closes: %v", answers, answer.Close)
					}
				}
				if answers != c.answers {
					t.Errorf("%d answers, want %d", answers, c.answers)
				}
			})
		})
	}
}

// sendAll sends what the server takes.
func sendAll(c net.Conn, text string) { _, _ = io.Copy(c, strings.NewReader(text)) }
