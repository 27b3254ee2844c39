package mongodb

import (
	"errors"
	"sync"
	"testing"
	"time"

	"go.mongodb.org/mongo-driver/v2/bson"

	"github.com/keyturn/keyturn/internal/audit"
	"github.com/keyturn/keyturn/internal/clients"
	"github.com/keyturn/keyturn/oauth"
)

// scripted opens a store on a replica set that answers commands one by one as
// script says, and returns the list of what was sent besides createIndexes.
func scripted(t *testing.T, script ...bson.M) (st *Store, sent func() []bson.Raw) {
	t.Helper()
	var mu sync.Mutex
	var commands []bson.Raw
	address := pretends(t, bson.M{"setName": "rs0"}, mongod(7), func(command string, doc bson.Raw) bson.M {
		mu.Lock()
		defer mu.Unlock()
		if answer, opening := opens(command, doc); opening {
			return answer
		}
		if len(commands) == len(script) {
			return bson.M{"ok": 1}
		}
		commands = append(commands, doc)
		return script[len(commands)-1]
	})
	st, err := Open(t.Context(), "mongodb://"+address+"/?replicaSet=rs0", Options{AcceptRisk: true})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { st.Close() })
	return st, func() []bson.Raw {
		mu.Lock()
		defer mu.Unlock()
		return commands
	}
}

// TestA2_TwoFirstHeadsAtOnce lets another replica set the first head of a chain
// between the update that finds none and the insert. That head may be the lower
// one, so the higher must be tried once more, as an update.
func TestA2_TwoFirstHeadsAtOnce(t *testing.T) {
	t.Parallel()
	st, sent := scripted(t,
		bson.M{"ok": 1, "n": 0, "nModified": 0},
		bson.M{"ok": 1, "n": 0, "writeErrors": bson.A{bson.M{"index": 0, "code": 11000, "errmsg": "E11000"}}},
		bson.M{"ok": 1, "n": 1, "nModified": 1})
	if err := st.SetAnchor(t.Context(), audit.Anchor{Chain: "c", Seq: 9}); err != nil {
		t.Fatal(err)
	}
	commands := sent()
	if len(commands) != 3 || commands[1].Index(0).Key() != "insert" {
		t.Fatalf("the commands are %v; want an update, an insert, an update", commands)
	}
	for _, command := range []bson.Raw{commands[0], commands[2]} {
		if below, _ := command.Lookup("updates", "0", "q", "seq", "$lt").Int64OK(); below != 9 {
			t.Errorf("a write could move the head back: %v", command)
		}
	}
}

// TestF6_AStaleLookIsNotTheLastWord has a primary that was deposed answer with
// what has been: a family that was ended since. A token that asks for nothing to
// be written must not be answered on the strength of that.
func TestF6_AStaleLookIsNotTheLastWord(t *testing.T) {
	t.Parallel()
	address := pretends(t, bson.M{"setName": "rs0"}, mongod(7), func(command string, doc bson.Raw) bson.M {
		found := bson.A{}
		if command == "find" && doc.Lookup("find").StringValue() == "families" {
			f := bson.M{"_id": "f", "generation": int64(5)}
			if level, _ := doc.Lookup("readConcern", "level").StringValueOK(); level == "linearizable" {
				f["revoked_at"] = time.Now()
			}
			found = append(found, f)
		}
		return bson.M{"ok": 1, "cursor": bson.M{"id": int64(0), "ns": "keyturn.c", "firstBatch": found}}
	})
	st, err := Open(t.Context(), "mongodb://"+address+"/?replicaSet=rs0", Options{AcceptRisk: true})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { st.Close() })
	ended := errors.New("ended")
	_, err = st.RotateFamily(t.Context(), "f", "c", func(f oauth.Family, _ clients.Client) (*oauth.Rotation, error) {
		if f.Generation != 5 {
			t.Errorf("decide was shown %+v", f)
		}
		if !f.RevokedAt.IsZero() {
			return nil, ended
		}
		return nil, nil // a retry, which writes nothing
	})
	if !errors.Is(err, ended) {
		t.Errorf("error is %v; want %v", err, ended)
	}
}

// TestSweepSparesWhatWasRenewed looks at the delete that follows the search:
// between the two a refresh may have given the family longer to live.
func TestSweepSparesWhatWasRenewed(t *testing.T) {
	t.Parallel()
	found := bson.M{"id": int64(0), "ns": "keyturn.families", "firstBatch": bson.A{bson.M{"_id": "f"}}}
	st, sent := scripted(t, bson.M{"ok": 1, "cursor": found}, bson.M{"ok": 1, "n": 0})
	now := time.Date(2026, time.November, 24, 0, 0, 0, 0, time.UTC)
	// The script ends before the other kinds of records; that is an error.
	if n, err := st.Sweep(t.Context(), now, 10); n != 0 || err == nil {
		t.Errorf("swept %d, %v", n, err)
	}
	commands := sent()
	if len(commands) != 2 {
		t.Fatalf("%d commands were sent; want 2", len(commands))
	}
	if at, _ := commands[1].Lookup("deletes", "0", "q", "purge_at", "$lte").DateTimeOK(); at != now.UnixMilli() {
		t.Errorf("the delete spares nothing: %v", commands[1])
	}
}
