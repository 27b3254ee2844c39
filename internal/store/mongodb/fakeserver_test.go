package mongodb

import (
	"encoding/binary"
	"io"
	"net"
	"strings"
	"testing"

	"go.mongodb.org/mongo-driver/v2/bson"
)

// introduces starts a server that answers hello and buildInfo, and every other
// command with an error, and returns its address.
func introduces(t *testing.T, hello, build bson.M) string {
	t.Helper()
	return pretends(t, hello, build, func(string, bson.Raw) bson.M {
		return bson.M{"ok": 0, "code": 59, "errmsg": "no such command", "codeName": "CommandNotFound"}
	})
}

// pretends starts a server that answers hello and buildInfo as given and every
// other command with what answer returns, and returns its address.
func pretends(t *testing.T, hello, build bson.M, answer func(command string, asked bson.Raw) bson.M) string {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { l.Close() })
	role := bson.M{
		"ok": 1, "isWritablePrimary": true, "ismaster": true, "helloOk": true,
		"minWireVersion": 0, "maxWireVersion": 21, "maxBsonObjectSize": 16 << 20,
		"maxMessageSizeBytes": 48_000_000, "maxWriteBatchSize": 100_000, "logicalSessionTimeoutMinutes": 30,
	}
	version := bson.M{"ok": 1}
	for from, to := range map[*bson.M]bson.M{&hello: role, &build: version} {
		for k, v := range *from {
			to[k] = v
		}
	}
	if hello["setName"] != nil {
		role["hosts"], role["me"] = bson.A{l.Addr().String()}, l.Addr().String()
	}
	every := func(command string, asked bson.Raw) bson.M {
		switch command {
		case "hello", "isMaster", "ismaster":
			return role
		case "buildInfo":
			return version
		}
		return answer(command, asked)
	}
	go func() {
		for {
			c, err := l.Accept()
			if err != nil {
				return
			}
			go converse(c, every)
		}
	}()
	return l.Addr().String()
}

const (
	opReply = 1
	opQuery = 2004
	opMsg   = 2013
)

// converse answers the commands on one connection until it is closed.
func converse(c net.Conn, answer func(command string, asked bson.Raw) bson.M) {
	defer c.Close()
	for {
		header := make([]byte, 16)
		if _, err := io.ReadFull(c, header); err != nil {
			return
		}
		body := make([]byte, binary.LittleEndian.Uint32(header)-16)
		if _, err := io.ReadFull(c, body); err != nil {
			return
		}
		opcode, prefix := uint32(opMsg), make([]byte, 5) // flags, section kind
		var document bson.Raw
		if binary.LittleEndian.Uint32(header[12:]) == opQuery {
			opcode, prefix = opReply, make([]byte, 20)
			prefix[16] = 1 // documents in the reply
			name, _, _ := strings.Cut(string(body[4:]), "\x00")
			document = body[4+len(name)+1+8:]
		} else {
			document = sections(body[4:])
		}
		first, err := document.IndexErr(0)
		if err != nil {
			return
		}
		reply, err := bson.Marshal(answer(first.Key(), document))
		if err != nil {
			return
		}
		out := make([]byte, 16)
		binary.LittleEndian.PutUint32(out, uint32(16+len(prefix)+len(reply)))
		copy(out[8:12], header[4:8]) // in response to
		binary.LittleEndian.PutUint32(out[12:], opcode)
		if _, err := c.Write(append(append(out, prefix...), reply...)); err != nil {
			return
		}
	}
}

// sections joins the sections of an OP_MSG, which are one document and any
// number of lists that belong into it, to the whole command.
func sections(body []byte) bson.Raw {
	size := func(b []byte) int { return int(binary.LittleEndian.Uint32(b)) }
	var command, lists bson.D
	for len(body) > 4 {
		kind, rest := body[0], body[1:]
		section := rest[:size(rest)]
		body = rest[len(section):]
		if kind == 0 {
			_ = bson.Unmarshal(section, &command)
			continue
		}
		name, documents, _ := strings.Cut(string(section[4:]), "\x00")
		items := bson.A{}
		for len(documents) > 4 {
			item := documents[:size([]byte(documents[:4]))]
			documents = documents[len(item):]
			items = append(items, bson.Raw(item))
		}
		lists = append(lists, bson.E{Key: name, Value: items})
	}
	whole, _ := bson.Marshal(append(command, lists...))
	return whole
}
