package mongodb

import (
	"context"
	"errors"

	"sync"
	"testing"
	"time"

	"go.mongodb.org/mongo-driver/v2/bson"

	"github.com/keyturn/keyturn/internal/audit"
	"github.com/keyturn/keyturn/internal/clients"
	"github.com/keyturn/keyturn/keys"
	"github.com/keyturn/keyturn/oauth"
	"github.com/keyturn/keyturn/users"
)

// writes are all writes of one document, each with the command that it sends.
var writes = []struct {
	name, command string
	do            func(ctx context.Context, st *Store) error
}{
	{"CreateUser", "insert", func(ctx context.Context, st *Store) error { return st.CreateUser(ctx, users.User{UID: "u"}) }},
	{"ReplaceUser", "update", func(ctx context.Context, st *Store) error {
		return st.ReplaceUser(ctx, users.User{UID: "u"}, users.User{UID: "u"})
	}},
	{"RemoveUser", "delete", func(ctx context.Context, st *Store) error { return st.RemoveUser(ctx, users.User{UID: "u"}) }},
	{"AddCount", "findAndModify", func(ctx context.Context, st *Store) error {
		_, err := st.AddCount(ctx, "k", 1, time.Now())
		return err
	}},
	{"CreateClient", "insert", func(ctx context.Context, st *Store) error { return st.CreateClient(ctx, clients.Client{ID: "c"}) }},
	{"ReplaceClient", "update", func(ctx context.Context, st *Store) error {
		return st.ReplaceClient(ctx, clients.Client{ID: "c"}, clients.Client{ID: "c"})
	}},
	{"RemoveClient", "delete", func(ctx context.Context, st *Store) error { return st.RemoveClient(ctx, clients.Client{ID: "c"}) }},
	{"HoldFamily", "update", func(ctx context.Context, st *Store) error {
		return st.HoldFamily(ctx, oauth.Family{ID: "f"}, oauth.Family{ID: "f"})
	}},
	{"RemoveFamily", "delete", func(ctx context.Context, st *Store) error { return st.RemoveFamily(ctx, oauth.Family{ID: "f"}) }},
	{"CreateFamily", "insert", func(ctx context.Context, st *Store) error { return st.CreateFamily(ctx, oauth.Family{ID: "f"}) }},
	{"RevokeFamily", "update", func(ctx context.Context, st *Store) error {
		_, err := st.RevokeFamily(ctx, "f", time.Now(), "logout")
		return err
	}},
	{"DenyToken", "insert", func(ctx context.Context, st *Store) error {
		return st.DenyToken(ctx, oauth.DeniedToken{JTI: "jti", ExpireAt: time.Now()})
	}},
	{"CreateKey", "insert", func(ctx context.Context, st *Store) error { return st.CreateKey(ctx, keys.Record{KID: "kid"}) }},
	{"UpdateKey", "update", func(ctx context.Context, st *Store) error { return st.UpdateKey(ctx, keys.Record{KID: "kid"}) }},
	{"SetAnchor", "update", func(ctx context.Context, st *Store) error { return st.SetAnchor(ctx, audit.Anchor{Chain: "c"}) }},
}

// done is what a server answers to a write that found its document.
func done() bson.M {
	return bson.M{"ok": 1, "n": 1, "nModified": 1, "value": bson.M{"_id": "x", "value": int64(1)}}
}

// primary starts a replica set of one that answers every command but
// createIndexes with what answer returns, and opens a store on it.
func primary(t *testing.T, options string, answer func(command string, doc bson.Raw) bson.M) *Store {
	t.Helper()
	address := pretends(t, bson.M{"setName": "rs0"}, mongod(7), func(command string, doc bson.Raw) bson.M {
		if answer, opening := opens(command, doc); opening {
			return answer
		}
		if command == "endSessions" {
			return bson.M{"ok": 1}
		}
		return answer(command, doc)
	})
	st, err := Open(t.Context(), "mongodb://"+address+"/?replicaSet=rs0"+options, Options{AcceptRisk: true})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { st.Close() })
	return st
}

// TestF5_AWriteThatNoMajorityHasIsNotAcknowledged has a server carry out every
// write and then report that it waited for the majority in vain. It may be
// rolled back, so nobody may be told that it was done.
func TestF5_AWriteThatNoMajorityHasIsNotAcknowledged(t *testing.T) {
	t.Parallel()
	st := primary(t, "", func(string, bson.Raw) bson.M {
		answer := done()
		answer["writeConcernError"] = bson.M{"code": 64, "codeName": "WriteConcernFailed", "errmsg": "waiting for replication timed out"}
		return answer
	})
	for _, w := range writes {
		if err := w.do(t.Context(), st); err == nil {
			t.Errorf("%s was acknowledged", w.name)
		}
	}
}

// TestF5_AFailoverUnderAWriteIsRetried has a primary step down under every
// write: the driver must ask the new one the same thing, under the same number,
// so that a write that was done already is not done twice.
func TestF5_AFailoverUnderAWriteIsRetried(t *testing.T) {
	t.Parallel()
	var mu sync.Mutex
	var sent []bson.Raw
	st := primary(t, "", func(_ string, doc bson.Raw) bson.M {
		mu.Lock()
		defer mu.Unlock()
		sent = append(sent, doc)
		if len(sent) == 1 {
			return bson.M{
				"ok": 0, "code": 11602, "codeName": "InterruptedDueToReplStateChange", "errmsg": "operation was interrupted",
				"errorLabels": bson.A{"RetryableWriteError"},
			}
		}
		return done()
	})
	for _, w := range writes {
		mu.Lock()
		sent = nil
		mu.Unlock()
		err := w.do(t.Context(), st)
		if err != nil {
			t.Errorf("%s: %v", w.name, err)
			continue
		}
		if len(sent) != 2 {
			t.Errorf("%s: %d commands were sent; want 2", w.name, len(sent))
			continue
		}
		for _, field := range []string{"txnNumber", "lsid", w.command} {
			if !sent[0].Lookup(field).Equal(sent[1].Lookup(field)) {
				t.Errorf("%s: the retry has another %s", w.name, field)
			}
		}
	}
}

// TestDeadlinesReachTheServer asks a store with a deadline, and expects the
// server to be told how long it may take: work that nobody waits for any more
// must end there too. The driver tells it with every command but a find of many
// documents, whose cursor may outlive the call; ours are bounded by a limit.
func TestDeadlinesReachTheServer(t *testing.T) {
	t.Parallel()
	var mu sync.Mutex
	untold := map[string]bool{}
	st := primary(t, "", func(command string, doc bson.Raw) bson.M {
		ms, _ := doc.Lookup("maxTimeMS").AsInt64OK()
		mu.Lock()
		defer mu.Unlock()
		if ms <= 0 || ms > 5000 {
			untold[command] = true
		}
		answer := done()
		if command == "find" {
			// A document, so that a refresh goes on to its write.
			answer = bson.M{"ok": 1, "cursor": bson.M{"id": int64(0), "ns": "db.c", "firstBatch": bson.A{bson.M{"_id": "f"}}}}
		}
		return answer
	})
	ctx, cancel := context.WithTimeout(t.Context(), 5*time.Second)
	defer cancel()
	for _, w := range writes {
		if err := w.do(ctx, st); err != nil {
			t.Errorf("%s: %v", w.name, err)
		}
	}
	_, err := st.RotateFamily(ctx, "f", "c", func(oauth.Family, clients.Client) (*oauth.Rotation, error) { return &oauth.Rotation{}, nil })
	if err != nil {
		t.Errorf("RotateFamily: %v", err)
	}
	_, _ = st.FamilyByID(ctx, "f")
	_, _ = st.UserByID(ctx, "u")
	_, _ = st.ClientByID(ctx, "c")
	_, _ = st.TokenDenied(ctx, "jti")
	for command := range untold {
		t.Errorf("%s has no maxTimeMS within the deadline", command)
	}
}

// TestFullPoolKeepsDeadlines lets a server that hangs hold every connection of
// a small pool: whoever waits for one must hear of it by the own deadline.
func TestFullPoolKeepsDeadlines(t *testing.T) {
	t.Parallel()
	release := make(chan struct{})
	st := primary(t, "&maxPoolSize=2&timeoutMS=3600000", func(string, bson.Raw) bson.M {
		<-release
		return bson.M{"ok": 1, "cursor": bson.M{"id": int64(0), "ns": "db.c", "firstBatch": bson.A{}}}
	})
	defer close(release)
	heard := make(chan error, 8)
	for range 8 {
		go func() {
			ctx, cancel := context.WithTimeout(t.Context(), 100*time.Millisecond)
			defer cancel()
			_, err := st.FamilyByID(ctx, "f")
			heard <- err
		}()
	}
	for range 8 {
		select {
		case err := <-heard:
			if !errors.Is(err, context.DeadlineExceeded) {
				t.Errorf("error is %v; want %v", err, context.DeadlineExceeded)
			}
		case <-time.After(time.Minute): // which only bounds how long a test that fails takes
			t.Fatal("a call waits on, long after its deadline")
		}
	}
}
