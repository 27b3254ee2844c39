package server_test

import (
	"bufio"
	"errors"
	"io"
	"net"
	"net/http"
	"os"
	"testing"
	"testing/synctest"
	"time"

	"github.com/keyturn/keyturn/internal/server"
)

// pipes is a listener whose connections are in memory.
type pipes struct{ conns chan net.Conn }

func (p *pipes) dial() net.Conn {
	client, server := net.Pipe()
	p.conns <- server
	return client
}

func (p *pipes) Accept() (net.Conn, error) {
	c, ok := <-p.conns
	if !ok {
		return nil, net.ErrClosed
	}
	return c, nil
}

func (p *pipes) Close() error   { close(p.conns); return nil }
func (p *pipes) Addr() net.Addr { return &net.UnixAddr{} }

// withPipes runs f in a bubble with a server of our settings that listens there.
func withPipes(t *testing.T, f func(t *testing.T, p *pipes)) {
	synctest.Test(t, func(t *testing.T) {
		srv := server.PublicServer(30*time.Second, http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
			if _, err := io.Copy(w, r.Body); err != nil && !errors.Is(err, os.ErrDeadlineExceeded) {
				t.Error(err)
			}
		}))
		p := &pipes{conns: make(chan net.Conn)}
		done := make(chan error)
		go func() { done <- srv.Serve(p) }()
		f(t, p)
		srv.Close()
		<-done
	})
}

// TestSlowClientsAreCutOff says when a client that does nothing more loses its
// connection, whatever it did before.
func TestSlowClientsAreCutOff(t *testing.T) {
	const ask = "POST / HTTP/1.1\r\nHost: k\r\nContent-Length: 4\r\n\r\n"
	for _, c := range []struct {
		name, sends string
		reads       bool
		after       time.Duration
	}{
		{"nothing was asked", "", true, server.ReadHeaderTimeout},
		{"half a head", ask[:20], true, server.ReadHeaderTimeout},
		{"half a body", ask + "12", true, 30 * time.Second},
		{"an answer that it does not read", ask + "1234", false, 30*time.Second + server.ReadHeaderTimeout},
	} {
		t.Run(c.name, func(t *testing.T) {
			for _, before := range []int{0, 1, 3} {
				withPipes(t, func(t *testing.T, p *pipes) {
					client := p.dial()
					defer client.Close()
					in := bufio.NewReader(client)
					for range before {
						if _, err := io.WriteString(client, ask+"1234"); err != nil {
							t.Fatal(err)
						}
						if resp, err := http.ReadResponse(in, nil); err != nil || resp.StatusCode != http.StatusOK {
							t.Fatal(resp, err)
						}
						in.Discard(in.Buffered())
						elapse(time.Second)
					}
					begin, want := time.Now(), c.after
					if c.sends == "" && before > 0 {
						want = server.IdleTimeout - time.Second
					}
					if _, err := io.WriteString(client, c.sends); err != nil {
						t.Fatal(err)
					}
					if !c.reads {
						elapse(want + time.Nanosecond)
						want = time.Since(begin)
					}
					_, _ = io.Copy(io.Discard, in)
					if took := time.Since(begin); took != want {
						t.Errorf("after %d requests it was cut off after %v; want %v", before, took, want)
					}
				})
			}
		})
	}
}
