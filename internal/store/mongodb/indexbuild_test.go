package mongodb

import (
	"context"
	"errors"
	"slices"
	"strings"
	"sync"
	"testing"

	"go.mongodb.org/mongo-driver/v2/bson"
	"go.mongodb.org/mongo-driver/v2/mongo"
	"go.mongodb.org/mongo-driver/v2/mongo/options"

	"github.com/keyturn/keyturn/internal/store/mongodb/mongotest"
)

// ofID is the index that every collection has.
var ofID = bson.M{"name": "_id_", "key": bson.M{"_id": 1}}

// large is a replica set whose collections are there but without their indexes, and
// whose making of an index waits for build.
func large(t *testing.T, o Options, build chan struct{}) (st *Store, asked func() []string) {
	t.Helper()
	var mu sync.Mutex
	var names []string
	address := pretends(t, bson.M{"setName": "rs0"}, mongod(7), func(command string, doc bson.Raw) bson.M {
		switch command {
		case "createIndexes":
			name := doc.Lookup("indexes", "0", "name").StringValue()
			unique, _ := doc.Lookup("indexes", "0", "unique").BooleanOK()
			if !unique {
				<-build
			}
			mu.Lock()
			names = append(names, doc.Lookup("createIndexes").StringValue()+"."+name)
			mu.Unlock()
			return bson.M{"ok": 1}
		case "find":
			return bson.M{"ok": 1, "cursor": bson.M{"id": int64(0), "ns": "db.c", "firstBatch": bson.A{bson.M{"_id": "x"}}}}
		case "listIndexes":
			return bson.M{"ok": 1, "cursor": bson.M{"id": int64(0), "ns": "db.c", "firstBatch": bson.A{ofID}}}
		}
		return done()
	})
	st, err := Open(t.Context(), "mongodb://"+address+"/?replicaSet=rs0", o)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { st.Close() })
	return st, func() []string {
		mu.Lock()
		defer mu.Unlock()
		return slices.Clone(names)
	}
}

// TestIndexesAreMadeWhileTheStoreServes opens a store on large collections: what
// keeps names unique is made first, the rest while the store answers, and Migrate
// waits for it.
func TestIndexesAreMadeWhileTheStoreServes(t *testing.T) {
	t.Parallel()
	build := make(chan struct{})
	st, made := large(t, Options{}, build)
	if got := made(); !slices.Equal(got, []string{"users.email_key_sparse", "users.username_key", "keys.kid"}) {
		t.Errorf("before the store served %v were made", got)
	}
	if _, err := st.UserByID(t.Context(), "u"); err != nil {
		t.Errorf("the store does not answer meanwhile: %v", err)
	}
	close(build)
	if err := st.Migrate(t.Context()); err != nil {
		t.Fatal(err)
	}
	if got := made(); len(got) != len(st.indexes()) {
		t.Errorf("in the end %v were made", got)
	}
}

// TestReplicasMakeOneIndexAtATime opens a second store while a server is making an
// index for the first, and lists it as if it stood, as MongoDB does: the second
// waits for the same index, makes no other meanwhile, and Migrate waits too.
func TestReplicasMakeOneIndexAtATime(t *testing.T) {
	t.Parallel()
	made := map[string][]standing{}
	var mu sync.Mutex
	finish, asked := make(chan struct{}), make(chan string, 100)
	address := pretends(t, bson.M{"setName": "rs0"}, mongod(7), func(command string, doc bson.Raw) bson.M {
		of := doc.Lookup(command)
		switch command {
		case "createIndexes":
			var i standing
			if err := of.Unmarshal(&i.Name); err != nil || doc.Lookup("indexes", "0").Unmarshal(&i) != nil {
				t.Errorf("not to be read: %v", doc)
			}
			mu.Lock()
			made[of.StringValue()] = append(made[of.StringValue()], i)
			mu.Unlock()
			if !i.Unique {
				asked <- of.StringValue() + "." + i.Name
				<-finish
			}
			return bson.M{"ok": 1}
		case "listIndexes":
			mu.Lock()
			defer mu.Unlock()
			all := bson.A{ofID}
			for _, i := range made[of.StringValue()] {
				all = append(all, bson.M{"name": i.Name, "key": i.Keys, "unique": i.Unique, "sparse": i.Sparse})
			}
			return bson.M{"ok": 1, "cursor": bson.M{"id": int64(0), "ns": "db.c", "firstBatch": all}}
		}
		return done()
	})
	var replicas [2]*Store
	var first [2]string
	for n := range replicas {
		st, err := Open(t.Context(), "mongodb://"+address+"/?replicaSet=rs0", Options{})
		if err != nil {
			t.Fatal(err)
		}
		t.Cleanup(func() { st.Close() })
		replicas[n], first[n] = st, <-asked
	}
	if first[0] != first[1] || len(asked) > 0 {
		t.Errorf("one replica makes %s, the other %s, and %d more are asked for", first[0], first[1], len(asked))
	}
	over, cancel := context.WithCancel(t.Context())
	cancel()
	for _, st := range replicas {
		if err := st.Migrate(over); !errors.Is(err, context.Canceled) {
			t.Errorf("while an index is being made Migrate returns %v", err)
		}
	}
	close(finish)
	for _, st := range replicas {
		if err := st.Migrate(t.Context()); err != nil {
			t.Error(err)
		}
	}
}

// TestHowFarAnIndexIs asks a server that says how far it is with an index, and one
// that does not let anybody ask.
func TestHowFarAnIndexIs(t *testing.T) {
	t.Parallel()
	for want, answer := range map[string]bson.M{
		": Index Build: 42%": {"ok": 1, "cursor": bson.M{"id": int64(0), "ns": "admin.$cmd.aggregate", "firstBatch": bson.A{bson.M{"msg": "Index Build: 42%"}}}},
		"":                   {"ok": 0, "code": 13, "codeName": "Unauthorized", "errmsg": "not authorized on admin"},
	} {
		asked := make(chan bson.Raw, 1)
		st := primary(t, "", func(command string, doc bson.Raw) bson.M {
			if command == "aggregate" {
				asked <- doc
			}
			return answer
		})
		if got := st.progress(t.Context(), st.indexes()[0]); got != want {
			t.Errorf("the server answers %v, and the log says %q; want %q", answer, got, want)
		}
		if of, _ := (<-asked).Lookup("pipeline", "1", "$match", "command.createIndexes").StringValueOK(); of != "users" {
			t.Errorf("asked of %q", of)
		}
	}
}

// TestACommandLeavesIndexesToOthers opens a store for a moment only: a command that
// writes waits for what keeps names unique, one that looks for nothing.
func TestACommandLeavesIndexesToOthers(t *testing.T) {
	t.Parallel()
	for which, want := range map[Indexes]int{NeededIndexes: 3, NoIndexes: 0} {
		st, made := large(t, Options{Indexes: which}, nil)
		if err := errors.Join(st.Migrate(t.Context()), st.Close()); err != nil {
			t.Fatal(err)
		}
		if got := made(); len(got) != want {
			t.Errorf("%v were made; want %d", got, want)
		}
	}
}

// TestOnlyANewCollectionIsWaitedFor drops indexes of collections without a document:
// they are there, so whoever opens the store waits for the unique index alone, and
// who only looks finds every one that is missing, the unique one too.
func TestOnlyANewCollectionIsWaitedFor(t *testing.T) {
	t.Parallel()
	uri := mongotest.URI(t)
	with := func(which Indexes) *Store {
		st, err := Open(t.Context(), uri, Options{AcceptRisk: true, Indexes: which})
		if err != nil {
			t.Fatal(err)
		}
		t.Cleanup(func() { st.Close() })
		return st
	}
	st := with(NeededIndexes)
	if wrong, err := st.Check(t.Context()); err != nil || len(wrong) > 0 {
		t.Fatalf("a database that was not there: %v, %v", wrong, err)
	}
	unique := 0
	for _, i := range st.indexes() {
		if err := i.drop(t.Context()); err != nil {
			t.Fatal(err)
		}
		if i.unique {
			unique++
		}
	}
	all := len(st.indexes())
	for _, c := range []struct {
		which   Indexes
		missing int
	}{{NoIndexes, all}, {NeededIndexes, all - unique}} {
		if wrong, err := with(c.which).Check(t.Context()); err != nil || len(wrong) != c.missing {
			t.Errorf("opened with %d, these of %d are said to be missing: %q, %v", c.which, all, wrong, err)
		}
	}
	st = with(AllIndexes)
	if err := st.Migrate(t.Context()); err != nil {
		t.Fatal(err)
	}
	if wrong, err := st.Check(t.Context()); err != nil || len(wrong) > 0 {
		t.Errorf("in the end: %v, %v", wrong, err)
	}
}

// TestAWrongIndexIsSaidToBeWrong: what an operator has to mend is no news among
// others.
func TestAWrongIndexIsSaidToBeWrong(t *testing.T) {
	t.Parallel()
	st := anyStore(t)
	name := st.families.Database().Name()
	if err := (index{on: st.families, name: "user_live"}).drop(t.Context()); err != nil {
		t.Fatal(err)
	}
	if _, err := st.families.Indexes().CreateOne(t.Context(), mongo.IndexModel{
		Keys: bson.D{{Key: "user_id", Value: 1}}, Options: options.Index().SetName("user_live"),
	}); err != nil {
		t.Fatal(err)
	}
	said := make(chan string, 100)
	again := newStore(st.client, name)
	again.engine = st.engine
	again.log = func(wrong bool, line string) {
		if wrong {
			said <- line
		}
	}
	if err := again.makeIndexes(t.Context(), AllIndexes); err != nil {
		t.Fatal(err)
	}
	if err := again.Migrate(t.Context()); err != nil {
		t.Fatal(err)
	}
	if len(said) != 1 || !strings.Contains(<-said, "user_live of families is not what Keyturn makes") {
		t.Errorf("%d lines were said to be of something wrong", len(said))
	}
}

// TestIndexesHaveNoDeadlineOfTheirOwn looks at what the server is told: far more
// than the driver's bound for other operations, and more than any build takes.
func TestIndexesHaveNoDeadlineOfTheirOwn(t *testing.T) {
	t.Parallel()
	var mu sync.Mutex
	var least int64
	address := pretends(t, bson.M{"setName": "rs0"}, mongod(7), func(command string, doc bson.Raw) bson.M {
		mu.Lock()
		defer mu.Unlock()
		if ms, told := doc.Lookup("maxTimeMS").AsInt64OK(); command == "createIndexes" && told && (least == 0 || ms < least) {
			least = ms
		}
		answer, _ := opens(command, doc)
		return answer
	})
	st, err := Open(t.Context(), "mongodb://"+address+"/?replicaSet=rs0", Options{})
	if err != nil {
		t.Fatal(err)
	}
	defer st.Close()
	if tenDays := int64(10 * 24 * 60 * 60 * 1000); least < tenDays {
		t.Errorf("an index may take %d ms", least)
	}
}

// TestCheckComparesIndexes changes an index in each way that it can be wrong.
func TestCheckComparesIndexes(t *testing.T) {
	keys, err := bson.Marshal(bson.D{{Key: "purge_at", Value: 1}})
	if err != nil {
		t.Fatal(err)
	}
	hour := raw(t, bson.M{"v": int32(3600)}).Lookup("v")
	other, _ := bson.Marshal(bson.D{{Key: "purge_at", Value: -1}})
	right := standing{Name: "purge_at", Keys: keys}
	want := index{on: anyStore(t).families, name: "purge_at", keys: bson.D{{Key: "purge_at", Value: 1}}}
	if problem := want.compare(right); problem != "" {
		t.Errorf("the right index: %s", problem)
	}
	for says, change := range map[string]func(*standing){
		"other fields": func(s *standing) { s.Keys = other },
		"unique":       func(s *standing) { s.Unique = true },
		"sparse":       func(s *standing) { s.Sparse = true },
		"with expireAfterSeconds, by which the server deletes": func(s *standing) { s.Expire = hour },
		"of a part of the documents":                           func(s *standing) { s.Partial = bson.Raw(keys) },
		"hidden":                                               func(s *standing) { s.Hidden = true },
		"with a collation":                                     func(s *standing) { s.Collation = bson.Raw(keys) },
	} {
		wrong := right
		change(&wrong)
		if problem := want.compare(wrong); !strings.Contains(problem, "("+says+")") {
			t.Errorf("%s: %q", says, problem)
		}
	}
	want.unique, want.sparse = true, true
	if problem := want.compare(right); !strings.Contains(problem, "(not unique, not sparse)") {
		t.Errorf("%q", problem)
	}
}

// anyStore is any store.
func anyStore(t *testing.T) *Store {
	t.Helper()
	st, err := Open(t.Context(), mongotest.URI(t), Options{AcceptRisk: true})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { st.Close() })
	return st
}

// TestCheckOfARealStore drops an index and makes another wrong.
func TestCheckOfARealStore(t *testing.T) {
	t.Parallel()
	st := anyStore(t)
	if wrong, err := st.Check(t.Context()); err != nil || len(wrong) > 0 {
		t.Fatalf("a fresh store: %v, %v", wrong, err)
	}
	if err := st.users.Indexes().DropOne(t.Context(), st.indexes()[0].name); err != nil {
		t.Fatal(err)
	}
	wrong, err := st.Check(t.Context())
	if err != nil || len(wrong) != 1 || !strings.Contains(wrong[0], st.indexes()[0].name+" of users is missing") {
		t.Errorf("found %v, %v", wrong, err)
	}
}

// TestT1_IndexesThatDeleteAreDropped: those of earlier versions, by which the server
// deletes, are gone once a store has been opened.
func TestT1_IndexesThatDeleteAreDropped(t *testing.T) {
	t.Parallel()
	uri := mongotest.URI(t)
	open := func() *Store {
		st, err := Open(t.Context(), uri, Options{AcceptRisk: true})
		if err != nil {
			t.Fatal(err)
		}
		t.Cleanup(func() { st.Close() })
		return st
	}
	st := open()
	for _, i := range st.outlived() {
		if _, err := i.on.Indexes().CreateOne(t.Context(), mongo.IndexModel{
			Keys: bson.D{{Key: i.name + "_at", Value: 1}}, Options: options.Index().SetName(i.name),
		}); err != nil {
			t.Fatal(err)
		}
	}
	st = open()
	if err := st.Migrate(t.Context()); err != nil {
		t.Fatal(err)
	}
	for _, i := range st.outlived() {
		i.keys = bson.D{{Key: i.name + "_at", Value: 1}}
		if all, err := standingOn(t.Context(), i.on); err != nil || i.problem(all) != i.missing() {
			t.Errorf("the index %s of an earlier version stands: %v, %v", i.name, all, err)
		}
	}
}
