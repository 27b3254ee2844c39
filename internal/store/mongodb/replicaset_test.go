package mongodb

import (
	"reflect"
	"strings"
	"sync"
	"testing"
	"time"

	"go.mongodb.org/mongo-driver/v2/bson"

	"github.com/keyturn/keyturn/internal/clients"
	"github.com/keyturn/keyturn/internal/store"
	"github.com/keyturn/keyturn/oauth"
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
	st, err := Open(t.Context(), "mongodb://"+address+"/db?replicaSet=rs0", Options{AcceptRisk: true})
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
		if upsert, _ := field("updates", "0", "upsert").BooleanOK(); upsert || !field("upsert").IsZero() {
			t.Errorf("%s is an upsert, which is not one step everywhere: %v", command, doc)
		}
		if multi, _ := field("updates", "0", "multi").BooleanOK(); multi {
			t.Errorf("an update is of many documents, some of which it may miss: %v", doc)
		}
	case "listIndexes":
		answer, _ = opens(command, doc)
	case "find":
		if _, opening := opens(command, doc); opening {
			answer["cursor"] = bson.M{"id": int64(0), "ns": "db.c", "firstBatch": bson.A{}}
			break
		}
		level, _ := field("readConcern", "level").StringValueOK()
		if level != "majority" && level != "linearizable" {
			t.Errorf("read concern is %q: %v", level, doc)
		}
		if decides(field) && level != "linearizable" {
			t.Errorf("a deposed primary could answer this with what has been: %v", doc)
		}
		answer["cursor"] = bson.M{"id": int64(0), "ns": "db.c", "firstBatch": bson.A{}}
	}
	return answer
}

// decides reports whether a find is one that something is decided by without a
// write that follows. The first look at the session of a refresh, with the id
// "both", is not.
func decides(field func(path ...string) bson.RawValue) bool {
	in, id := field("find").StringValue(), field("filter", "_id")
	one := id.Type == bson.TypeString
	switch in {
	case "families":
		return one && id.StringValue() != "both" || !field("projection", "created_at").IsZero()
	case "users", "clients", "denied_tokens":
		return one
	case "keys":
		return !field("filter", "archived").IsZero()
	}
	return false
}

// many reports whether a command is for any number of documents, which MongoDB
// does not retry; those that the store sends can be repeated at will.
func many(doc bson.Raw) bool {
	multi, _ := doc.Lookup("updates", "0", "multi").BooleanOK()
	limit, deletes := doc.Lookup("deletes", "0", "limit").AsInt64OK()
	return multi || deletes && limit == 0
}

// askEverything calls every method that a store has, whichever they are. What it
// answers does not matter.
func askEverything(t *testing.T, st *Store) {
	t.Helper()
	_, _ = st.FamilyByID(t.Context(), "linear")
	_, _ = st.RotateFamily(t.Context(), "both", "linear", func(oauth.Family, clients.Client) (*oauth.Rotation, error) { return &oauth.Rotation{}, nil })
	of := reflect.TypeFor[store.Store]()
	for i := range of.NumMethod() {
		m := of.Method(i)
		if m.Name == "Close" || m.Name == "FamilyByID" || m.Name == "RotateFamily" {
			continue
		}
		args := []reflect.Value{reflect.ValueOf(t.Context())}
		for n := 1; n < m.Type.NumIn(); n++ {
			args = append(args, argument(m.Type.In(n)))
		}
		reflect.ValueOf(st).MethodByName(m.Name).Call(args)
	}
}

// argument makes an argument with which a method has something to do.
func argument(of reflect.Type) reflect.Value {
	v := reflect.New(of).Elem()
	switch {
	case of == reflect.TypeFor[time.Time]():
		v.Set(reflect.ValueOf(time.Now()))
	case of.Kind() == reflect.String:
		v.SetString("x")
	case of.Kind() == reflect.Bool:
		v.SetBool(true)
	case of.Kind() == reflect.Int, of.Kind() == reflect.Int64:
		v.SetInt(1)
	case of.Kind() == reflect.Uint8:
		v.SetUint(1)
	case of.Kind() == reflect.Slice:
		v = reflect.Append(v, argument(of.Elem()))
	case of.Kind() == reflect.Struct:
		for i := range of.NumField() {
			v.Field(i).Set(argument(of.Field(i).Type))
		}
	}
	return v
}

// TestT1_NoServerIsAskedToDelete looks at the indexes that a server able to remove
// documents by its own clock is asked for.
func TestT1_NoServerIsAskedToDelete(t *testing.T) {
	t.Parallel()
	var mu sync.Mutex
	var expiring []string
	made := 0
	address := pretends(t, bson.M{"setName": "rs0"}, mongod(7), func(command string, doc bson.Raw) bson.M {
		mu.Lock()
		defer mu.Unlock()
		if command == "createIndexes" {
			made++
			if _, err := doc.LookupErr("indexes", "0", "expireAfterSeconds"); err == nil {
				expiring = append(expiring, doc.Lookup("createIndexes").StringValue())
			}
		}
		answer, _ := opens(command, doc)
		return answer
	})
	st, err := Open(t.Context(), "mongodb://"+address+"/?replicaSet=rs0", Options{AcceptRisk: true})
	if err != nil {
		t.Fatal(err)
	}
	if err := st.Close(); err != nil {
		t.Error(err)
	}
	if made == 0 || len(expiring) > 0 {
		t.Errorf("%d indexes were made; documents expire in %q", made, expiring)
	}
}

// TestK7_PasswordStaysOutOfServerErrors opens a store on a server that refuses
// the password and repeats it.
func TestK7_PasswordStaysOutOfServerErrors(t *testing.T) {
	t.Parallel()
	address := pretends(t, bson.M{"setName": "rs0"}, mongod(7), func(command string, _ bson.Raw) bson.M {
		return bson.M{"ok": 0, "code": 18, "codeName": "AuthenticationFailed", "errmsg": command + ": not hunter22"}
	})
	_, err := Open(t.Context(), "mongodb://ada:hunter22@"+address+"/?replicaSet=rs0&serverSelectionTimeoutMS=1000", Options{AcceptRisk: true})
	if err == nil {
		t.Fatal("the server let the store in")
	}
	if strings.Contains(err.Error(), "hunter22") || !strings.Contains(err.Error(), "AuthenticationFailed") {
		t.Errorf("error is %q", err)
	}
}
