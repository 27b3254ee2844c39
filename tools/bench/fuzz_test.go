package main

import (
	"bufio"
	"bytes"
	"io"
	"net/http"
	"strings"
	"testing"
)

func FuzzParseUsers(f *testing.F) {
	f.Add("ann@example.com:a:b\n\nbob:x\r\n")
	f.Fuzz(func(t *testing.T, text string) {
		users, err := parseUsers(strings.NewReader(text))
		if err != nil {
			return
		}
		for _, u := range users {
			if u.name == "" || u.password == "" || strings.Contains(u.name, ":") || strings.Contains(u.password, "\n") {
				t.Errorf("%+q", u)
			}
		}
	})
}

func FuzzParseTarget(f *testing.F) {
	f.Add("http://127.0.0.1:8080/x y?")
	f.Add("https://[::1%25lo]")
	f.Fuzz(func(t *testing.T, raw string) {
		tgt, err := parseTarget(raw, false)
		if err != nil {
			return
		}
		if !tgt.loopback || tgt.port == 0 {
			t.Errorf("%+v", tgt)
		}
		// Whatever the URL holds, it must not add a header of its own.
		if n := bytes.Count(tgt.get(jwksPath), []byte("\n")); n != 5 {
			t.Errorf("%q gives a request of %d lines", raw, n)
		}
	})
}

func FuzzParseArgon2(f *testing.F) {
	f.Add("19456,2,1")
	f.Fuzz(func(t *testing.T, text string) {
		c, err := parseArgon2(text)
		if err == nil && (c.Passes == 0 || c.Lanes == 0 || c.MemoryKiB < 8*uint32(c.Lanes) || c.MemoryKiB > 1<<20) {
			t.Errorf("%q: %+v", text, c)
		}
	})
}

func FuzzParseProc(f *testing.F) {
	f.Add([]byte("1 (x) S 1 1 1 0 -1 0 0 0 0 0 7 8 0 0"))
	f.Add([]byte("VmRSS:\t 12 kB\n"))
	f.Add([]byte(row("0100007F:1F90", "0A", "9")))
	f.Fuzz(func(t *testing.T, text []byte) {
		if d, err := parseStat(text); err == nil && d < 0 {
			t.Errorf("processor time %v", d)
		}
		if n, err := parseStatus(text); err == nil && n < 0 {
			t.Errorf("memory %d", n)
		}
		parseListeners(text, 8080)
	})
}

// FuzzReadHead holds readHead to net/http: whatever it reads, it reads as
// net/http does, and what it leaves is untouched.
func FuzzReadHead(f *testing.F) {
	f.Add([]byte("HTTP/1.1 200 OK\r\nContent-Length: 2\r\nConnection: close\r\n\r\n{}"))
	f.Add([]byte("HTTP/1.1 503 \r\ncontent-length:0\r\nx: y\r\n\r\nHTTP/1.1"))
	f.Add([]byte("HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n"))
	f.Fuzz(func(t *testing.T, text []byte) {
		in := bufio.NewReader(bytes.NewReader(text))
		head, ok := readHead(in)
		rest, err := io.ReadAll(in)
		if err != nil {
			t.Fatal(err)
		}
		if !ok {
			if !bytes.Equal(rest, text) {
				t.Errorf("%q was left of %q", rest, text)
			}
			return
		}
		resp, err := http.ReadResponse(bufio.NewReader(bytes.NewReader(text)), nil)
		if err != nil {
			return // net/http is stricter: its error is the server's, not the loop's
		}
		if head.status != resp.StatusCode || int64(head.length) != resp.ContentLength || head.close && !resp.Close {
			t.Errorf("%q: read %+v; net/http reads %d, %d, %t", text, head, resp.StatusCode, resp.ContentLength, resp.Close)
		}
		body, _ := io.ReadAll(resp.Body)
		if !bytes.HasPrefix(rest, body) {
			t.Errorf("%q: the body is %q; %q is left", text, body, rest)
		}
	})
}

func FuzzErrorCode(f *testing.F) {
	f.Add([]byte(`{"error":"invalid_grant"}`))
	f.Fuzz(func(t *testing.T, body []byte) {
		if s := errorCode(body); len(s) > 65 || strings.ContainsAny(s, "\x1b\n\"<") {
			t.Errorf("prints %q", s)
		}
	})
}
