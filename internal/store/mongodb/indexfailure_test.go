package mongodb

import (
	"strings"
	"sync"
	"testing"
	"time"

	"go.mongodb.org/mongo-driver/v2/bson"
	"go.mongodb.org/mongo-driver/v2/mongo"
)

// TestT1_AnIndexThatFailsKeepsNoOther has a server refuse one index a few times: the
// others are made in the same round, the indexes by which the server deletes go, it is
// told that one is missing, and in the end it is made.
func TestT1_AnIndexThatFailsKeepsNoOther(t *testing.T) {
	t.Parallel()
	var mu sync.Mutex
	refused := 0
	asked, dropped := map[string]bool{}, map[string]bool{}
	again := make(chan struct{})
	address := pretends(t, bson.M{"setName": "rs0"}, mongod(7), func(command string, doc bson.Raw) bson.M {
		mu.Lock()
		defer mu.Unlock()
		switch command {
		case "createIndexes":
			name := doc.Lookup("createIndexes").StringValue() + "." + doc.Lookup("indexes", "0", "name").StringValue()
			if name == "families.user_live" && refused < 3 {
				if refused++; refused == 2 {
					mu.Unlock()
					<-again // until the first round was looked at
					mu.Lock()
				}
				return bson.M{"ok": 0, "code": 85, "codeName": "IndexOptionsConflict", "errmsg": "refused"}
			}
			asked[name] = true
			return bson.M{"ok": 1}
		case "listIndexes":
			all := bson.A{ofID}
			if doc.Lookup("listIndexes").StringValue() == "families" {
				all = append(all, bson.M{"name": "purge", "key": bson.M{"purge_at": 1}, "expireAfterSeconds": 0})
			}
			return bson.M{"ok": 1, "cursor": bson.M{"id": int64(0), "ns": "db.c", "firstBatch": all}}
		case "dropIndexes":
			dropped[doc.Lookup("index").StringValue()] = true
			return bson.M{"ok": 1}
		}
		return done()
	})
	opened, err := Open(t.Context(), "mongodb://"+address+"/?replicaSet=rs0", Options{Indexes: NoIndexes})
	if err != nil {
		t.Fatal(err)
	}
	st := newStore(opened.client, opened.users.Database().Name())
	t.Cleanup(func() { st.Close() })
	st.engine, st.retryAfter = opened.engine, time.Millisecond
	if err := st.makeIndexes(t.Context(), AllIndexes); err != nil {
		t.Fatal(err)
	}
	if err := st.Migrate(t.Context()); err == nil || !strings.Contains(err.Error(), "user_live") {
		t.Errorf("the first round: %v", err)
	}
	mu.Lock()
	if len(asked) != len(st.indexes())-1 || !dropped["purge"] {
		t.Errorf("%d of %d indexes were made, and %v dropped", len(asked), len(st.indexes()), dropped)
	}
	mu.Unlock()
	for !st.IndexesMissing() {
		<-time.After(time.Millisecond)
	}
	close(again)
	for st.IndexesMissing() {
		<-time.After(time.Millisecond)
	}
	mu.Lock()
	defer mu.Unlock()
	if !asked["families.user_live"] {
		t.Error("the one that failed was not made again")
	}
}

// TestCheckNamesTheIndexesOfOthers: those by which the server deletes or refuses, and
// those in the way of Keyturn's.
func TestCheckNamesTheIndexesOfOthers(t *testing.T) {
	st := anyStore(t)
	now := raw(t, bson.M{"v": int32(0)}).Lookup("v")
	keys := raw(t, bson.M{"expire_at": 1})
	for name, c := range map[string]struct {
		other standing
		says  string
	}{
		"of the collection":   {standing{Name: "_id_", Keys: raw(t, bson.M{"_id": 1})}, ""},
		"harmless":            {standing{Name: "ops", Keys: keys}, ""},
		"deletes":             {standing{Name: "ops", Keys: keys, Expire: now}, "the index ops of denied_tokens has expireAfterSeconds"},
		"refuses":             {standing{Name: "ops", Keys: keys, Unique: true}, "the index ops of denied_tokens is unique"},
		"of an earlier build": {standing{Name: "expire", Keys: keys, Expire: now}, ""}, // it is dropped
	} {
		wrong := st.strangers(map[*mongo.Collection][]standing{st.denied: {c.other}})
		if len(wrong) > 1 || (len(wrong) == 1) != (c.says != "") || c.says != "" && !strings.HasPrefix(wrong[0], c.says) {
			t.Errorf("%s: %q; want %q", name, wrong, c.says)
		}
	}
	want := index{on: st.families, name: "client_live", keys: bson.D{{Key: "client_id", Value: 1}}}
	same := standing{Name: "other", Keys: raw(t, bson.M{"client_id": 1})}
	if problem := want.problem([]standing{same}); problem != "" {
		t.Errorf("one of another name that does the same: %q", problem)
	}
	same.Hidden = true
	if problem := want.problem([]standing{same}); !strings.Contains(problem, "drop other") {
		t.Errorf("a hidden one: %q", problem)
	}
	same.Hidden, same.Sparse = false, true
	if problem := want.problem([]standing{same}); problem != want.missing() {
		t.Errorf("one beside which it can stand: %q", problem)
	}
	want.unique, want.sparse, same.Unique = true, true, true
	if problem := want.problem([]standing{same}); !strings.Contains(problem, "drop other") {
		t.Errorf("a unique one, which errors name: %q", problem)
	}
}
