package e2e

import (
	"io"
	"math/rand/v2"
	"net"
	"sync"
	"sync/atomic"
	"testing"
)

// cutter is a network before a server that loses answers: one in so many never
// arrives, or not whole, though the server has done and said all it had to.
type cutter struct {
	address string
	server  string
	oneIn   atomic.Int64 // 0: none
	cuts    atomic.Int64
	// still is held for writing while the network swallows every byte, which
	// it delivers late, as a network does that was partitioned.
	still sync.RWMutex
}

func newCutter(t *testing.T, server string) *cutter {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { l.Close() })
	c := &cutter{address: l.Addr().String(), server: server}
	go func() {
		for {
			client, err := l.Accept()
			if err != nil {
				return
			}
			go c.carry(client)
		}
	}()
	return c
}

// carry forwards one connection. A server that is not there closes it.
func (c *cutter) carry(client net.Conn) {
	defer client.Close()
	server, err := net.Dial("tcp", c.server)
	if err != nil {
		return
	}
	defer server.Close()
	go func() {
		_, _ = io.Copy(wire{c, server}, client)
		server.Close()
	}()
	answer := make([]byte, 64<<10)
	for {
		n, err := server.Read(answer)
		if err != nil {
			return
		}
		if oneIn := c.oneIn.Load(); oneIn > 0 && rand.Int64N(oneIn) == 0 {
			c.cuts.Add(1)
			_, _ = client.Write(answer[:rand.IntN(n)])
			return
		}
		if _, err := (wire{c, client}).Write(answer[:n]); err != nil {
			return
		}
	}
}

// wire is one direction of a connection over the network.
type wire struct {
	over *cutter
	to   net.Conn
}

func (w wire) Write(p []byte) (int, error) {
	w.over.still.RLock()
	defer w.over.still.RUnlock()
	return w.to.Write(p)
}
