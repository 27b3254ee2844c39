package mongodb

import (
	"os"
	"reflect"
	"strings"
	"testing"
	"time"

	"go.mongodb.org/mongo-driver/v2/bson"
	"go.mongodb.org/mongo-driver/v2/mongo"

	"github.com/keyturn/keyturn/internal/clients"
	"github.com/keyturn/keyturn/internal/decision"
	"github.com/keyturn/keyturn/keys"
	"github.com/keyturn/keyturn/users"
)

// TestWhatANewerVersionWroteStays has a newer version of Keyturn, which runs beside
// this one during an upgrade, write a field of its own into every document. This one
// changes each: its own fields come and go, that one stays.
func TestWhatANewerVersionWroteStays(t *testing.T) {
	t.Parallel()
	st, ctx := anyStore(t), t.Context()
	furnish(t, st)
	all := []*mongo.Collection{st.users, st.clients, st.families, st.keys}
	for _, c := range all {
		if _, err := c.UpdateMany(ctx, bson.M{}, bson.M{"$set": bson.M{"newer": bson.M{"a": 1}}}); err != nil {
			t.Fatal(err)
		}
	}
	must := func(err error) {
		t.Helper()
		if err != nil {
			t.Fatal(err)
		}
	}
	change := func(u func(*users.User), c func(*clients.Client)) {
		t.Helper()
		user, err := st.HeldUser(ctx, "u")
		must(err)
		nextUser := user
		u(&nextUser)
		must(st.ReplaceUser(ctx, user, nextUser))
		client, err := st.HeldClient(ctx, "web")
		must(err)
		nextClient := client
		c(&nextClient)
		must(st.ReplaceClient(ctx, client, nextClient))
	}
	change(func(u *users.User) { u.Username, u.UsernameKey, u.Roles = "A", "a", []string{"r"} },
		func(c *clients.Client) { c.Claims, c.JWKS = []string{"c"}, "{}" })
	change(func(u *users.User) { u.Username, u.UsernameKey, u.Roles, u.UpdatedAt = "", "", nil, future },
		func(c *clients.Client) {
			c.Claims, c.JWKS, c.Disabled, c.UpdatedAt = nil, "", true, future.Add(time.Second)
		})
	must(refresh(ctx, st))
	if _, err := st.RevokeFamiliesOfUser(ctx, "u", "", future, "logout"); err != nil {
		t.Fatal(err)
	}
	key := keys.Record{
		KID: "key", CreatedAt: future, ActivateAt: future, EndAt: future, Answers: future, RevokedAt: future, RevokeReason: "leak",
		Decision: decision.Held{SlotID: "slot", Slot: []byte("{}")},
	}
	must(st.UpdateKey(ctx, key))
	must(st.UpdateKey(ctx, keys.Record{KID: "key", CreatedAt: future, ActivateAt: future, Version: 1}))
	for _, c := range all {
		kept, err := c.CountDocuments(ctx, bson.M{"newer": bson.M{"a": 1}})
		there, errThere := c.CountDocuments(ctx, bson.M{})
		if err != nil || errThere != nil || kept != there || kept == 0 {
			t.Errorf("%s: %d of %d documents have what a newer version wrote, %v, %v", c.Name(), kept, there, err, errThere)
		}
	}
	for c, gone := range map[*mongo.Collection][]string{
		st.users: {"username", "username_key", "roles"}, st.clients: {"claims", "jwks"},
		st.keys: {"end_at", "answers", "revoked_at", "revoke_reason"},
	} {
		for _, field := range gone {
			if n, err := c.CountDocuments(ctx, bson.M{field: bson.M{"$exists": true}}); err != nil || n > 0 {
				t.Errorf("%s: %s is there yet, %v", c.Name(), field, err)
			}
		}
	}
	if u, err := st.HeldUser(ctx, "u"); err != nil || u.Username != "" || u.Version != 2 || !u.UpdatedAt.Equal(future) {
		t.Errorf("the account stands as %+v, %v", u, err)
	}
	if c, err := st.HeldClient(ctx, "web"); err != nil || !c.Disabled || c.Version != 2 {
		t.Errorf("the client stands as %+v, %v", c, err)
	}
}

// TestEveryCollectionHasItsShardKey holds the table in docs/operating.md to what there is,
// and the commands below it to the table.
func TestEveryCollectionHasItsShardKey(t *testing.T) {
	page, err := os.ReadFile("../../../docs/operating.md")
	if err != nil {
		t.Fatal(err)
	}
	_, table, _ := strings.Cut(string(page), "| collection | shard key |")
	table, commands, _ := strings.Cut(table, "\n\n")
	for row := range strings.Lines(table) {
		names, key, _ := strings.Cut(strings.Trim(row, "| \n"), " | ")
		for name := range strings.SplitSeq(strings.ReplaceAll(names, "`", ""), ", ") {
			command := `sh.shardCollection("keyturn.` + name + `", { _id: "hashed" })`
			if sharded := strings.Contains(key, `_id: "hashed"`); sharded != strings.Contains(commands, command+"\n") {
				t.Errorf("%s has the shard key %s, and %s stands there or does not", name, key, command)
			}
		}
	}
	st := anyStore(t)
	askEverything(t, st)
	all, err := st.users.Database().ListCollectionNames(t.Context(), bson.M{})
	if err != nil || len(all) < 10 {
		t.Fatalf("%v, %v", all, err)
	}
	for _, c := range all {
		if !strings.Contains(table, "`"+c+"`") {
			t.Errorf("%s is missing", c)
		}
	}
}

// TestAFullKeyHasEveryField holds what an update of a key may take away to the fields
// that keys have.
func TestAFullKeyHasEveryField(t *testing.T) {
	has, err := fieldsOf(fullKey)
	if err != nil {
		t.Fatal(err)
	}
	of := reflect.TypeFor[keyRecord]()
	for i := range of.NumField() {
		name, _, _ := strings.Cut(of.Field(i).Tag.Get("bson"), ",")
		if _, there := has[name]; !there && name != "-" && name != "_id" {
			t.Errorf("%s is missing", name)
		}
	}
}
