package main

import (
	"bufio"
	"bytes"
	"strconv"
)

// answerHead is what the loop must know of a response before its body.
type answerHead struct {
	status int
	length int
	close  bool
}

// readHead reads the head of the next response if it is whole in the buffer and
// of the plain kind: HTTP/1.1, final, with a body of a stated length. If it is
// not, readHead takes nothing and reports false, and net/http has to read it.
//
// The loop shares the processor with the server that it measures, and looks at
// three things of a head only; net/http would make a map of all of it.
func readHead(in *bufio.Reader) (answerHead, bool) {
	if _, err := in.Peek(1); err != nil {
		return answerHead{}, false
	}
	buffered, _ := in.Peek(in.Buffered())
	end := bytes.Index(buffered, []byte("\r\n\r\n"))
	if end < 0 {
		return answerHead{}, false
	}
	head, ok := parseHead(buffered[:end])
	if ok {
		_, _ = in.Discard(end + 4) // it is in the buffer
	}
	return head, ok
}

// parseHead reads the lines of a head (RFC 9112 §4, §6.3).
func parseHead(text []byte) (answerHead, bool) {
	h := answerHead{length: -1}
	line, rest, _ := bytes.Cut(text, []byte("\r\n"))
	const version = "HTTP/1.1 "
	if len(line) < len(version)+3 || string(line[:len(version)]) != version {
		return h, false
	}
	status, err := strconv.Atoi(string(line[len(version) : len(version)+3]))
	if err != nil || status < 200 || status == 204 || status == 304 {
		return h, false
	}
	h.status = status
	for len(rest) > 0 {
		line, rest, _ = bytes.Cut(rest, []byte("\r\n"))
		name, value, ok := bytes.Cut(line, []byte(":"))
		if !ok || len(name) == 0 || name[0] == ' ' || name[0] == '\t' {
			return h, false
		}
		switch value = bytes.Trim(value, " \t"); {
		case bytes.EqualFold(name, []byte("Content-Length")):
			n, err := strconv.ParseUint(string(value), 10, 31)
			if err != nil || h.length >= 0 {
				return h, false
			}
			h.length = int(n)
		case bytes.EqualFold(name, []byte("Connection")):
			h.close = bytes.EqualFold(value, []byte("close"))
		case bytes.EqualFold(name, []byte("Transfer-Encoding")):
			return h, false
		}
	}
	return h, h.length >= 0
}
