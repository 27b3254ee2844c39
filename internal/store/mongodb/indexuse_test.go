package mongodb

import (
	"fmt"
	"maps"
	"slices"
	"strings"
	"sync"
	"testing"

	"go.mongodb.org/mongo-driver/v2/bson"
	"go.mongodb.org/mongo-driver/v2/mongo"
	"go.mongodb.org/mongo-driver/v2/mongo/options"

	"github.com/keyturn/keyturn/internal/store/mongodb/mongotest"
)

// question is what one command looks for, in which collection, in which order.
type question struct {
	in     string
	filter bson.D
	sort   bson.D
}

func (q question) String() string { return fmt.Sprintf("%s: %v, sorted by %v", q.in, q.filter, q.sort) }

// questionsOf returns what a command looks for; nothing for an insert.
func questionsOf(t *testing.T, command string, doc bson.Raw) []question {
	t.Helper()
	in := doc.Index(0).Value().StringValue()
	read := func(v bson.RawValue) (d bson.D) {
		if v.IsZero() {
			return nil
		}
		if err := v.Unmarshal(&d); err != nil {
			t.Errorf("%s: %v", command, err)
		}
		return d
	}
	switch command {
	case "find":
		return []question{{in, read(doc.Lookup("filter")), read(doc.Lookup("sort"))}}
	case "findAndModify":
		return []question{{in, read(doc.Lookup("query")), read(doc.Lookup("sort"))}}
	case "update", "delete":
		items, err := doc.Lookup(command + "s").Array().Values()
		if err != nil {
			t.Errorf("%s: %v", command, err)
		}
		var all []question
		for _, item := range items {
			all = append(all, question{in, read(item.Document().Lookup("q")), nil})
		}
		return all
	}
	return nil
}

// single reports whether a condition leaves one value of its field, so that what
// follows the field in an index is in order.
func single(condition any) bool {
	operators, ok := condition.(bson.D)
	if !ok {
		return true
	}
	return len(operators) == 1 && operators[0].Key == "$exists"
}

// serves reports whether an index finds what q looks for, in q's order.
func serves(keys bson.D, q question) bool {
	conditions := map[string]any{}
	for _, e := range q.filter {
		conditions[e.Key] = e.Value
	}
	used := 0
	for len(keys) > 0 {
		condition, ok := conditions[keys[0].Key]
		if !ok || !single(condition) {
			break
		}
		keys, used = keys[1:], used+1
	}
	if len(q.sort) > 0 {
		// A range on the field that is sorted by is read in order as well.
		return len(keys) >= len(q.sort) && (slices.Equal(keys[:len(q.sort)], q.sort) || slices.Equal(keys[:len(q.sort)], reversed(q.sort))) &&
			(used > 0 || conditions[keys[0].Key] != nil)
	}
	return used > 0 || len(keys) > 0 && conditions[keys[0].Key] != nil
}

func reversed(order bson.D) bson.D {
	other := make(bson.D, len(order))
	for i, e := range order {
		other[i] = bson.E{Key: e.Key, Value: -e.Value.(int32)}
	}
	return other
}

// asked returns every question that the methods of a store ask.
func asked(t *testing.T) []question {
	t.Helper()
	var mu sync.Mutex
	found := map[string]question{}
	st := primary(t, "", func(command string, doc bson.Raw) bson.M {
		mu.Lock()
		defer mu.Unlock()
		for _, q := range questionsOf(t, command, doc) {
			found[q.String()] = q
		}
		answer := done()
		if command == "find" {
			// A document, so that a sweep goes on to delete it.
			answer = bson.M{"ok": 1, "cursor": bson.M{"id": int64(0), "ns": "db.c", "firstBatch": bson.A{bson.M{"_id": "x"}}}}
		}
		return answer
	})
	askEverything(t, st)
	return slices.Collect(maps.Values(found))
}

// wantsAll says that the question is for a whole collection of few documents.
func (q question) wantsAll() bool {
	return slices.Contains([]string{"audit_anchors", "audit_places", "hash_kinds"}, q.in) && len(q.filter) == 0
}

// TestEveryQuestionHasAnIndex holds every filter and order that the store sends
// to the indexes that it makes: nothing reads a collection from end to end, and
// nothing is put in order in memory, but the heads of the audit chains, the places
// of the logs and the kinds of password hashes, of which there are few and all are
// wanted.
func TestEveryQuestionHasAnIndex(t *testing.T) {
	t.Parallel()
	st := primary(t, "", func(string, bson.Raw) bson.M { return done() })
	indexes := map[string][]bson.D{}
	for _, i := range st.indexes() {
		indexes[i.on.Name()] = append(indexes[i.on.Name()], int32Keys(i.keys))
	}
	questions := asked(t)
	if len(questions) < 20 {
		t.Errorf("only %d questions were asked", len(questions))
	}
	for _, q := range questions {
		if q.wantsAll() {
			continue
		}
		t.Logf("%v", q)
		candidates := append(indexes[q.in], bson.D{{Key: "_id", Value: int32(1)}})
		if !slices.ContainsFunc(candidates, func(keys bson.D) bool { return serves(keys, q) }) {
			t.Errorf("no index serves %v", q)
		}
	}
}

func int32Keys(keys bson.D) bson.D {
	same := make(bson.D, len(keys))
	for i, e := range keys {
		same[i] = bson.E{Key: e.Key, Value: int32(e.Value.(int))}
	}
	return same
}

// TestMongoDBsOwnPlans asks a MongoDB, where there is one, to explain how it
// would find what the store looks for.
func TestMongoDBsOwnPlans(t *testing.T) {
	t.Parallel()
	uri := mongotest.URI(t)
	st, err := Open(t.Context(), uri, Options{AcceptRisk: true})
	if err != nil {
		t.Fatal(err)
	}
	defer st.Close()
	client, err := mongo.Connect(options.Client().ApplyURI(uri))
	if err != nil {
		t.Fatal(err)
	}
	defer client.Disconnect(t.Context())
	db := client.Database(st.users.Database().Name())
	if lack, listed := lacking(t, db, "explain"); listed {
		t.Logf("this engine's plans cannot be looked at: %s; TestEveryQuestionHasAnIndex holds", lack)
		return
	}
	for _, q := range asked(t) {
		if q.wantsAll() {
			continue
		}
		find := bson.D{{Key: "find", Value: q.in}, {Key: "filter", Value: q.filter}}
		if len(q.sort) > 0 {
			find = append(find, bson.E{Key: "sort", Value: q.sort})
		}
		plan, err := db.RunCommand(t.Context(), bson.D{{Key: "explain", Value: find}, {Key: "verbosity", Value: "queryPlanner"}}).Raw()
		if err != nil {
			t.Errorf("explaining %v: %v", q, err)
			continue
		}
		text := plan.String()
		if !strings.Contains(text, "winningPlan") || strings.Contains(text, "COLLSCAN") || strings.Contains(text, `"SORT"`) {
			t.Errorf("%v is found so: %s", q, text)
		}
	}
}

// TestKeysAreOneQuestion counts what the poll of the signing keys sends.
func TestKeysAreOneQuestion(t *testing.T) {
	t.Parallel()
	var mu sync.Mutex
	var sent []string
	st := primary(t, "", func(command string, _ bson.Raw) bson.M {
		mu.Lock()
		defer mu.Unlock()
		sent = append(sent, command)
		return bson.M{"ok": 1, "cursor": bson.M{"id": int64(0), "ns": "db.keys", "firstBatch": bson.A{bson.M{"_id": int64(7)}}}}
	})
	mu.Lock()
	sent = nil // opening the store has asked other things
	mu.Unlock()
	if list, err := st.Keys(t.Context()); err != nil || len(list) != 1 || list[0].Seq != 7 {
		t.Fatalf("Keys = %v, %v", list, err)
	}
	mu.Lock()
	defer mu.Unlock()
	if !slices.Equal(sent, []string{"find"}) {
		t.Errorf("sent %v", sent)
	}
}
