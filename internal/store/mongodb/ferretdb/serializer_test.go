package main

import (
	"bytes"
	"encoding/binary"
	"net"
	"runtime"
	"sync"
	"sync/atomic"
	"testing"
)

// wire builds a message with an opcode and a body.
func wire(opcode uint32, body ...byte) message {
	m := make(message, headerLen, headerLen+len(body))
	binary.LittleEndian.PutUint32(m, uint32(headerLen+len(body)))
	binary.LittleEndian.PutUint32(m[12:], opcode)
	return append(m, body...)
}

// TestOneCommandAtATime has many clients talk at once to a server that notices
// when a second request arrives before it answered the first.
func TestOneCommandAtATime(t *testing.T) {
	var underWay atomic.Int32
	var overlaps atomic.Int32
	server := listen(t, func(c net.Conn) {
		for {
			m, err := readMessage(c)
			if err != nil {
				return
			}
			if m.moreToCome() {
				continue
			}
			if underWay.Add(1) > 1 {
				overlaps.Add(1)
			}
			for range 20 { // let others run
				runtime.Gosched()
			}
			underWay.Add(-1)
			if _, err := c.Write(m); err != nil {
				return
			}
		}
	})
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer l.Close()
	go (&serializer{server: server}).serve(l)

	var clients sync.WaitGroup
	for i := range 16 {
		clients.Go(func() {
			c, err := net.Dial("tcp", l.Addr().String())
			if err != nil {
				t.Error(err)
				return
			}
			defer c.Close()
			for j := range 50 {
				unanswered := wire(opMsg, flagMoreToCome, 0, 0, 0)
				asked := wire(opMsg, 0, 0, 0, 0, byte(i), byte(j))
				if _, err := c.Write(append(unanswered, asked...)); err != nil {
					t.Error(err)
					return
				}
				if got, err := readMessage(c); err != nil || !bytes.Equal(got, asked) {
					t.Errorf("answer is %v, %v; want %v", got, err, asked)
					return
				}
			}
		})
	}
	clients.Wait()
	if n := overlaps.Load(); n > 0 {
		t.Errorf("%d requests arrived while another was under way", n)
	}
}

// listen serves connections with handle until the test ends.
func listen(t *testing.T, handle func(net.Conn)) (address string) {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { l.Close() })
	go func() {
		for {
			c, err := l.Accept()
			if err != nil {
				return
			}
			go func() {
				defer c.Close()
				handle(c)
			}()
		}
	}()
	return l.Addr().String()
}

func FuzzReadMessage(f *testing.F) {
	f.Add([]byte(wire(opMsg, 2, 0, 0, 0)))
	f.Add([]byte(wire(2004)))
	f.Add([]byte{255, 255, 255, 127, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0})
	f.Fuzz(func(t *testing.T, data []byte) {
		m, err := readMessage(bytes.NewReader(data))
		if err != nil {
			return
		}
		_ = m.moreToCome()
		if !bytes.HasPrefix(data, m) || len(m) != int(binary.LittleEndian.Uint32(data)) {
			t.Errorf("%x was read as %x", data, m)
		}
	})
}
