package mongodb

import (
	"encoding/binary"
	"io"
	"maps"
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
		maps.Copy(to, *from)
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

// opens answers what a store asks when it is opened as an empty database does,
// and reports whether that was asked.
func opens(command string, asked bson.Raw) (answer bson.M, opening bool) {
	none := bson.M{"ok": 1, "cursor": bson.M{"id": int64(0), "ns": "db.c", "firstBatch": bson.A{}}}
	switch command {
	case "createIndexes":
		return bson.M{"ok": 1}, true
	case "listIndexes":
		return none, true
	}
	return nil, false
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
		m, err := readMessage(c)
		if err != nil {
			return
		}
		document := answer(m.command, m.document)
		if document == nil {
			return // it hangs up instead
		}
		if err := m.reply(c, document); err != nil {
			return
		}
	}
}

// message is a message of the wire protocol; document is the command in it.
type message struct {
	whole    []byte // header included
	command  string
	document bson.Raw
}

func readMessage(c io.Reader) (m message, err error) {
	m.whole = make([]byte, 16)
	if _, err := io.ReadFull(c, m.whole); err != nil {
		return m, err
	}
	m.whole = append(m.whole, make([]byte, binary.LittleEndian.Uint32(m.whole)-16)...)
	if _, err := io.ReadFull(c, m.whole[16:]); err != nil {
		return m, err
	}
	body := m.whole[16:]
	switch m.opcode() {
	case opQuery:
		name, _, _ := strings.Cut(string(body[4:]), "\x00")
		m.document = body[4+len(name)+1+8:]
	case opReply:
		m.document = body[20:]
	default:
		m.document = sections(body[4:])
	}
	first, err := m.document.IndexErr(0)
	if err != nil {
		return m, err
	}
	m.command = first.Key()
	return m, nil
}

func (m message) opcode() uint32 { return binary.LittleEndian.Uint32(m.whole[12:]) }

// reply answers m.
func (m message) reply(c io.Writer, document any) error {
	opcode, prefix := uint32(opMsg), make([]byte, 5) // flags, section kind
	if m.opcode() == opQuery {
		opcode, prefix = opReply, make([]byte, 20)
		prefix[16] = 1 // documents in the reply
	}
	reply, err := bson.Marshal(document)
	if err != nil {
		return err
	}
	out := make([]byte, 16)
	binary.LittleEndian.PutUint32(out, uint32(16+len(prefix)+len(reply)))
	copy(out[8:12], m.whole[4:8]) // in response to
	binary.LittleEndian.PutUint32(out[12:], opcode)
	_, err = c.Write(append(append(out, prefix...), reply...))
	return err
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
