package main

import (
	"encoding/binary"
	"fmt"
	"io"
	"net"
	"sync"
)

// serializer is a proxy before a server that lets one command at a time
// through: it forwards a request, waits for the response and only then turns to
// the next request, whichever connection that came by. FerretDB carries out an
// update as a read and then a write; behind the serializer nothing comes
// between the two, so that an update of one document is atomic as MongoDB's is.
type serializer struct {
	server string
	turn   sync.Mutex
}

// serve accepts connections until l is closed.
func (s *serializer) serve(l net.Listener) {
	for {
		client, err := l.Accept()
		if err != nil {
			return
		}
		go s.connection(client)
	}
}

// connection carries one client's commands until either side hangs up.
func (s *serializer) connection(client net.Conn) {
	defer client.Close()
	server, err := net.Dial("tcp", s.server)
	if err != nil {
		return
	}
	defer server.Close()
	for {
		request, err := readMessage(client)
		if err != nil {
			return
		}
		responses, err := s.exchange(server, request)
		if err != nil {
			return
		}
		for _, response := range responses {
			if _, err := client.Write(response); err != nil {
				return
			}
		}
	}
}

// exchange sends one request and returns what the server answers to it.
func (s *serializer) exchange(server net.Conn, request message) ([]message, error) {
	s.turn.Lock()
	defer s.turn.Unlock()
	if _, err := server.Write(request); err != nil {
		return nil, err
	}
	if request.moreToCome() {
		return nil, nil // the client wants no response
	}
	var responses []message
	for {
		response, err := readMessage(server)
		if err != nil {
			return nil, err
		}
		responses = append(responses, response)
		if !response.moreToCome() {
			return responses, nil
		}
	}
}

// The wire protocol: a header of four little-endian int32 (length of the whole
// message, request id, id of the request responded to, opcode), then the body,
// which in an OP_MSG begins with flags.
const (
	headerLen      = 16
	opMsg          = 2013
	flagMoreToCome = 1 << 1
	// maxMessageLen is MongoDB's maxMessageSizeBytes.
	maxMessageLen = 48_000_000
)

// message is one whole message, header included.
type message []byte

// readMessage reads the next message, of at most maxMessageLen bytes.
func readMessage(r io.Reader) (message, error) {
	var header [headerLen]byte
	if _, err := io.ReadFull(r, header[:]); err != nil {
		return nil, err
	}
	n := int32(binary.LittleEndian.Uint32(header[:]))
	if n < headerLen || n > maxMessageLen {
		return nil, fmt.Errorf("a message of %d bytes; from %d to %d are allowed", n, headerLen, maxMessageLen)
	}
	m := make(message, n)
	copy(m, header[:])
	if _, err := io.ReadFull(r, m[headerLen:]); err != nil {
		return nil, err
	}
	return m, nil
}

// moreToCome reports whether the sender of m goes on without a reply.
func (m message) moreToCome() bool {
	if len(m) < headerLen+4 || binary.LittleEndian.Uint32(m[12:]) != opMsg {
		return false
	}
	return binary.LittleEndian.Uint32(m[headerLen:])&flagMoreToCome != 0
}
