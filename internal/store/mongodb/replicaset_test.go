package mongodb

import (
	"strings"
	"sync"
	"testing"
	"time"

	"go.mongodb.org/mongo-driver/v2/bson"

	"github.com/keyturn/keyturn/internal/audit"
	"github.com/keyturn/keyturn/keys"
	"github.com/keyturn/keyturn/oauth"
	"github.com/keyturn/keyturn/users"
)

// TestF5_WhatAReplicaSetIsAsked records every command that the store sends to
// what it takes for a MongoDB replica set: writes must be acknowledged by a
// majority and its journals and, where they change one document, carry the
// number by which the server knows a retry; reads must be of what a majority
// has; nothing may be part of a transaction.
func TestF5_WhatAReplicaSetIsAsked(t *testing.T) {
	t.Parallel()
	var mu sync.Mutex
	asked := map[string]int{}
	address := pretends(t, bson.M{"setName": "rs0"}, mongod(7), func(command string, doc bson.Raw) bson.M {
		mu.Lock()
		asked[command]++
		mu.Unlock()
		return examine(t, command, doc)
	})
	st, err := Open(t.Context(), "mongodb://"+address+"/db?replicaSet=rs0")
	if err != nil {
		t.Fatal(err)
	}
	askEverything(t, st)
	if err := st.Close(); err != nil {
		t.Error(err)
	}
	for _, command := range []string{"insert", "update", "findAndModify", "delete", "find", "createIndexes"} {
		if asked[command] == 0 {
			t.Errorf("%s was never sent", command)
		}
	}
}

// examine holds one command to the store's promises and answers it as a server
// without any document would.
func examine(t *testing.T, command string, doc bson.Raw) bson.M {
	field := func(path ...string) bson.RawValue { return doc.Lookup(path...) }
	if !field("startTransaction").IsZero() {
		t.Errorf("%s is part of a transaction", command)
	}
	answer := bson.M{"ok": 1}
	switch command {
	case "insert", "update", "findAndModify", "delete", "createIndexes":
		if w, _ := field("writeConcern", "w").StringValueOK(); w != "majority" && command != "createIndexes" {
			t.Errorf("%s: not acknowledged by a majority: %v", command, doc)
		}
		if j, _ := field("writeConcern", "j").BooleanOK(); !j && command != "createIndexes" {
			t.Errorf("%s: not journaled: %v", command, doc)
		}
		if field("txnNumber").IsZero() && !many(doc) && command != "createIndexes" {
			t.Errorf("%s: the driver would not retry it: %v", command, doc)
		}
		answer["n"], answer["nModified"], answer["value"] = 1, 1, nil
		if upsert, _ := field("upsert").BooleanOK(); upsert {
			answer["value"] = bson.M{"_id": "k", "count": int64(1)}
		}
	case "find":
		want := "majority"
		if field("filter", "_id").String() == `"linear"` {
			want = "linearizable"
		}
		level, _ := field("readConcern", "level").StringValueOK()
		twice := field("filter", "_id").String() == `"both"` && level == "linearizable"
		if level != want && !twice {
			t.Errorf("read concern is %q; want %q: %v", level, want, doc)
		}
		answer["cursor"] = bson.M{"id": int64(0), "ns": "db.c", "firstBatch": bson.A{}}
	}
	return answer
}

// many reports whether a command is for any number of documents, which MongoDB
// does not retry; those that the store sends can be repeated at will.
func many(doc bson.Raw) bool {
	multi, _ := doc.Lookup("updates", "0", "multi").BooleanOK()
	limit, deletes := doc.Lookup("deletes", "0", "limit").AsInt64OK()
	return multi || deletes && limit == 0
}

// askEverything calls every method that sends something of its own. What it
// answers does not matter.
func askEverything(t *testing.T, st *Store) {
	t.Helper()
	ctx, at := t.Context(), time.Now()
	_ = st.CreateUser(ctx, users.User{UID: "u", EmailKey: "e"})
	_, _ = st.UserByID(ctx, "u")
	_, _ = st.SetPassword(ctx, "u", 1, "h", at)
	_, _ = st.UsernameTaken(ctx, "u")
	_, _ = st.SetReset(ctx, "u", []byte{1}, at, at)
	_, _ = st.SetClaims(ctx, "u", nil, "", at)
	_ = st.DeleteUser(ctx, "u")
	_ = st.RehashPassword(ctx, "u", "a", "b")
	_, _ = st.SetDisabled(ctx, "u", true, at)
	_ = st.Settle(ctx, "u", 1)
	_, _ = st.Unsettled(ctx, 1)
	_, _ = st.AddCount(ctx, "k", 1, at)
	_, _ = st.Counts(ctx, []string{"k"})
	_ = st.ResetCounts(ctx, []string{"k"})
	_ = st.CreateClient(ctx, oauth.Client{ID: "c"})
	_ = st.DisableClient(ctx, "c", at)
	_ = st.CreateFamily(ctx, oauth.Family{ID: "f"})
	_, _ = st.FamilyByID(ctx, "linear")
	_, _ = st.RotateFamily(ctx, "both", "c", func(oauth.Family, oauth.Client) (*oauth.Rotation, error) { return &oauth.Rotation{}, nil })
	_, _ = st.RevokeFamily(ctx, "f", at, "r")
	_, _ = st.RevokeFamiliesOfUser(ctx, "u", "", at, "r")
	_, _ = st.SetFamilyClaims(ctx, "u", "{}")
	_, _ = st.FamiliesOfUser(ctx, "u", at, 1)
	_ = st.DenyToken(ctx, "jti", at)
	_, _ = st.TokenDenied(ctx, "jti")
	_ = st.CreateKey(ctx, keys.Record{KID: "kid"})
	_ = st.UpdateKey(ctx, keys.Record{KID: "kid"})
	_, _ = st.Keys(ctx)
	_ = st.SetAnchor(ctx, audit.Anchor{Chain: "c"})
	_, _ = st.Anchors(ctx)
	_, _ = st.Sweep(ctx, at, 1)
	_ = st.Ping(ctx)
}

// TestTTLIndexes looks at the indexes that a server able to remove what has
// expired is asked for.
func TestTTLIndexes(t *testing.T) {
	t.Parallel()
	var mu sync.Mutex
	var expiring []string
	address := pretends(t, bson.M{"setName": "rs0"}, mongod(7), func(command string, doc bson.Raw) bson.M {
		mu.Lock()
		defer mu.Unlock()
		seconds, ok := doc.Lookup("indexes", "0", "expireAfterSeconds").AsInt64OK()
		if command == "createIndexes" && ok && seconds == 0 {
			expiring = append(expiring, doc.Lookup("createIndexes").StringValue())
		}
		return bson.M{"ok": 1}
	})
	st, err := Open(t.Context(), "mongodb://"+address+"/?replicaSet=rs0")
	if err != nil {
		t.Fatal(err)
	}
	if err := st.Close(); err != nil {
		t.Error(err)
	}
	if got := strings.Join(expiring, " "); got != "families denied_tokens counters" {
		t.Errorf("documents expire in %q", got)
	}
}

// TestK7_PasswordStaysOutOfServerErrors opens a store on a server that refuses
// the password and repeats it.
func TestK7_PasswordStaysOutOfServerErrors(t *testing.T) {
	t.Parallel()
	address := pretends(t, bson.M{"setName": "rs0"}, mongod(7), func(command string, _ bson.Raw) bson.M {
		return bson.M{"ok": 0, "code": 18, "codeName": "AuthenticationFailed", "errmsg": command + ": not hunter22"}
	})
	_, err := Open(t.Context(), "mongodb://ada:hunter22@"+address+"/?replicaSet=rs0&serverSelectionTimeoutMS=1000")
	if err == nil {
		t.Fatal("the server let the store in")
	}
	if strings.Contains(err.Error(), "hunter22") || !strings.Contains(err.Error(), "AuthenticationFailed") {
		t.Errorf("error is %q", err)
	}
}
