package mongodb

import (
	"encoding/binary"
	"net"
	"net/url"
	"strings"
	"sync"
	"testing"

	"go.mongodb.org/mongo-driver/v2/bson"

	"github.com/keyturn/keyturn/internal/store/mongodb/mongotest"
)

// mishap is what happens to one command on its way through a replica set.
type mishap int

const (
	none            mishap = iota
	hangsUp                // the member dies before the command
	hangsUpAfter           // the member dies after it, before the answer
	neverAnswers           // as hangsUpAfter, and so does every retry of the same write
	stepsDown              // the member has become a secondary: another is elected
	stepsDownAfter         // the member steps down under the command, which was carried out
	noMajority             // the command was carried out, and no majority has it in time
	staleConfig            // a router's picture of the shards is out of date, again and again
	cursorDies             // the cursor is gone when more is asked for
	deposedAnswers         // the member was deposed and does not know: it answers with what has been
	deposedAccepted        // as deposedAnswers, but for a write: it accepts it and finds no majority
)

func (m mishap) String() string {
	return [...]string{"none", "hangs up", "hangs up after", "never answers", "steps down", "steps down after", "no majority",
		"stale config", "cursor dies", "deposed answers", "deposed accepts"}[m]
}

// simulation is a replica set of two members, played before one engine that keeps
// the documents. It does what no engine of the tests does: elections, writes that
// are known when they are retried, members that die or were deposed.
type simulation struct {
	engine  string // its address
	members []net.Listener

	mu      sync.Mutex
	primary int
	term    int64
	// answered has what was answered to the writes that carry a number.
	answered map[string]bson.D
	// past is the database that a deposed primary knows.
	past string
	// script says what happens to a command; hello is none.
	script func(asked message) mishap
}

// simulate starts a replica set on an empty database and returns the URI of both.
func simulate(t *testing.T) (s *simulation, through, direct string) {
	t.Helper()
	direct = mongotest.URI(t)
	u, err := url.Parse(direct)
	if err != nil {
		t.Fatal(err)
	}
	s = &simulation{engine: u.Host, answered: map[string]bson.D{}}
	for i := range 2 {
		l, err := net.Listen("tcp", "127.0.0.1:0")
		if err != nil {
			t.Fatal(err)
		}
		t.Cleanup(func() { l.Close() })
		s.members = append(s.members, l)
		go func() {
			for {
				c, err := l.Accept()
				if err != nil {
					return
				}
				go s.serve(c, i)
			}
		}()
	}
	u.Host = s.members[0].Addr().String() + "," + s.members[1].Addr().String()
	u.RawQuery = "replicaSet=sim&heartbeatFrequencyMS=500"
	return s, u.String(), direct
}

// play has script decide from now on; nil lets everything through.
func (s *simulation) play(script func(asked message) mishap) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.script = script
}

// serve answers the commands on one connection to a member.
func (s *simulation) serve(c net.Conn, member int) {
	defer c.Close()
	engine, err := net.Dial("tcp", s.engine)
	if err != nil {
		return
	}
	defer engine.Close()
	for {
		asked, err := readMessage(c)
		if err != nil {
			return
		}
		answer := s.answer(engine, asked, member)
		if answer == nil || asked.reply(c, answer) != nil {
			return
		}
	}
}

// answer returns what a member answers, nil where it hangs up.
func (s *simulation) answer(engine net.Conn, asked message, member int) bson.D {
	switch {
	case asked.command == "hello" || strings.EqualFold(asked.command, "isMaster"):
		return s.role(member)
	case asked.command == "endSessions":
		return bson.D{{Key: "ok", Value: 1}}
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	if member != s.primary {
		return refusal(10107, "NotWritablePrimary", true)
	}
	what := none
	if s.script != nil {
		what = s.script(asked)
	}
	switch what {
	case hangsUp:
		return nil
	case stepsDown:
		s.elect()
		return refusal(10107, "NotWritablePrimary", true)
	case staleConfig:
		return refusal(13388, "StaleConfig", false)
	case cursorDies:
		return refusal(43, "CursorNotFound", false)
	case deposedAccepted:
		return refusal(189, "PrimarySteppedDown", false)
	case deposedAnswers:
		if level, _ := asked.document.Lookup("readConcern", "level").StringValueOK(); level == "linearizable" {
			return refusal(50, "MaxTimeMSExpired", false) // it waits for a majority in vain
		}
		return s.forward(engine, asked, s.past)
	}
	answer := s.once(engine, asked)
	switch what {
	case hangsUpAfter, neverAnswers:
		return nil
	case stepsDownAfter:
		s.elect()
		return refusal(11602, "InterruptedDueToReplStateChange", true)
	case noMajority:
		return append(answer, bson.E{Key: "writeConcernError", Value: bson.M{"code": 64, "codeName": "WriteConcernFailed", "errmsg": "waiting for replication timed out"}})
	}
	return answer
}

// once carries a command out, unless it is a write that was carried out before
// under the same number.
func (s *simulation) once(engine net.Conn, asked message) bson.D {
	number, retryable := asked.document.Lookup("txnNumber").AsInt64OK()
	if !retryable {
		return s.forward(engine, asked, "")
	}
	id := asked.document.Lookup("lsid").String() + " " + asked.command + " " + bson.RawValue{Type: bson.TypeInt64, Value: binary.LittleEndian.AppendUint64(nil, uint64(number))}.String()
	if before, known := s.answered[id]; known {
		return before
	}
	answer := s.forward(engine, asked, "")
	s.answered[id] = answer
	return answer
}

// elect makes the other member the primary.
func (s *simulation) elect() {
	s.primary, s.term = 1-s.primary, s.term+1
}

func (s *simulation) role(member int) bson.D {
	s.mu.Lock()
	defer s.mu.Unlock()
	hosts := bson.A{s.members[0].Addr().String(), s.members[1].Addr().String()}
	id := bson.ObjectID{}
	binary.BigEndian.PutUint64(id[4:], uint64(s.term))
	role := bson.D{
		{Key: "isWritablePrimary", Value: member == s.primary}, {Key: "ismaster", Value: member == s.primary}, {Key: "secondary", Value: member != s.primary},
		{Key: "helloOk", Value: true}, {Key: "setName", Value: "sim"}, {Key: "setVersion", Value: 1}, {Key: "hosts", Value: hosts}, {Key: "me", Value: hosts[member]},
		{Key: "primary", Value: hosts[s.primary]}, {Key: "minWireVersion", Value: 0}, {Key: "maxWireVersion", Value: 21},
		{Key: "maxBsonObjectSize", Value: 16 << 20}, {Key: "maxMessageSizeBytes", Value: 48_000_000}, {Key: "maxWriteBatchSize", Value: 100_000},
		{Key: "logicalSessionTimeoutMinutes", Value: 30}, {Key: "ok", Value: 1},
	}
	if member == s.primary {
		role = append(role, bson.E{Key: "electionId", Value: id})
	}
	return role
}

func refusal(code int32, name string, retryable bool) bson.D {
	answer := bson.D{{Key: "ok", Value: 0}, {Key: "code", Value: code}, {Key: "codeName", Value: name}, {Key: "errmsg", Value: "as the script says"}}
	if retryable {
		answer = append(answer, bson.E{Key: "errorLabels", Value: bson.A{"RetryableWriteError"}})
	}
	return answer
}

// forward asks the engine, of another database if one is named, and without what
// it does not know.
func (s *simulation) forward(engine net.Conn, asked message, database string) bson.D {
	var command, kept bson.D
	if bson.Unmarshal(asked.document, &command) != nil {
		return nil
	}
	for _, e := range command {
		switch {
		case e.Key == "lsid" || e.Key == "txnNumber" || e.Key == "$clusterTime":
			continue
		case e.Key == "$db" && database != "":
			e.Value = database
		}
		kept = append(kept, e)
	}
	body, err := bson.Marshal(kept)
	if err != nil {
		return nil
	}
	out := make([]byte, 16, 21+len(body))
	binary.LittleEndian.PutUint32(out, uint32(21+len(body)))
	binary.LittleEndian.PutUint32(out[12:], opMsg)
	out = append(append(out, 0, 0, 0, 0, 0), body...)
	if _, err := engine.Write(out); err != nil {
		return nil
	}
	answer, err := readMessage(engine)
	if err != nil {
		return nil
	}
	var document bson.D
	if bson.Unmarshal(answer.document, &document) != nil {
		return nil
	}
	return document
}
