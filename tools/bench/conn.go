package main

import (
	"bufio"
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"time"
)

const (
	// requestTimeout is the longest that an answer is waited for, and the
	// longest latency that is recorded.
	requestTimeout = 60 * time.Second
	// maxAnswerBytes is the longest answer that is read.
	maxAnswerBytes = 1 << 20
)

// conn is one client's connection, kept alive and opened again where the server
// closed it. It sends requests that are made up beforehand, because the client
// shares the processor with the server that it measures. Not safe for
// concurrent use.
type conn struct {
	target *target
	net    net.Conn
	// unwatch ends the watch for the end of the context.
	unwatch func() bool
	in      *bufio.Reader
	answer  bytes.Buffer
}

// do sends a request and reads its answer; the body is valid until the next
// call. After an error the next call opens a new connection.
func (c *conn) do(ctx context.Context, request []byte) (status int, body []byte, err error) {
	if c.net == nil {
		if err := c.open(ctx); err != nil {
			return 0, nil, err
		}
	}
	status, keep, err := c.exchange(request)
	if err != nil || !keep {
		c.close()
	}
	return status, c.answer.Bytes(), err
}

func (c *conn) open(ctx context.Context) error {
	nc, err := c.target.dial(ctx)
	if err != nil {
		return err
	}
	c.net = nc
	// An interrupt must not wait for an answer that does not come.
	c.unwatch = context.AfterFunc(ctx, func() { nc.Close() })
	if c.in == nil {
		c.in = bufio.NewReaderSize(nc, 8<<10)
	} else {
		c.in.Reset(nc)
	}
	return nil
}

func (c *conn) exchange(request []byte) (status int, keep bool, err error) {
	c.answer.Reset()
	if err := c.net.SetDeadline(time.Now().Add(requestTimeout)); err != nil {
		return 0, false, err
	}
	if _, err := c.net.Write(request); err != nil {
		return 0, false, err
	}
	if head, ok := readHead(c.in); ok {
		return head.status, !head.close, c.readBody(io.LimitReader(c.in, int64(head.length)), head.length)
	}
	resp, err := http.ReadResponse(c.in, nil)
	if err != nil {
		return 0, false, err
	}
	defer resp.Body.Close()
	return resp.StatusCode, !resp.Close, c.readBody(resp.Body, -1)
}

// readBody reads a body, of so many bytes unless length is negative.
func (c *conn) readBody(body io.Reader, length int) error {
	n, err := c.answer.ReadFrom(io.LimitReader(body, maxAnswerBytes+1))
	switch {
	case err != nil:
		return err
	case n > maxAnswerBytes || length > maxAnswerBytes:
		return fmt.Errorf("the answer is longer than %d bytes", maxAnswerBytes)
	case length >= 0 && n < int64(length):
		return io.ErrUnexpectedEOF
	}
	return nil
}

// close closes the connection, if there is one.
func (c *conn) close() {
	if c.net == nil {
		return
	}
	c.unwatch()
	c.net.Close()
	c.net = nil
}

// isTimeout tells a server that is silent from one that is gone.
func isTimeout(err error) bool {
	var ne net.Error
	return errors.As(err, &ne) && ne.Timeout()
}
