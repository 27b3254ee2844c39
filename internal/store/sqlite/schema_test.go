package sqlite

import (
	database "database/sql"
	"errors"
	"fmt"
	"path/filepath"
	"testing"
	"time"

	"github.com/keyturn/keyturn/oauth"
)

// TestA3_AFileOfAnEarlierSchemaKeepsWhatIsUnderWay opens a file of each earlier schema
// that knows decisions, in the middle of some: each is found as it was, to be carried
// forward, and what was on the denylist is there.
func TestA3_AFileOfAnEarlierSchemaKeepsWhatIsUnderWay(t *testing.T) {
	const knowsDecisions = 7 // the first schema that does
	for n := knowsDecisions; n <= len(migrations); n++ {
		path := filepath.Join(t.TempDir(), "keyturn.db")
		db, err := database.Open("sqlite", "file:"+path)
		if err != nil {
			t.Fatal(err)
		}
		db.SetMaxOpenConns(1)
		for _, text := range migrations[:n] {
			if _, err = db.Exec(text); err != nil {
				t.Fatal(err)
			}
		}
		for _, text := range []string{
			fmt.Sprintf("PRAGMA user_version = %d", n), fmt.Sprintf("PRAGMA application_id = %d", applicationID),
			`INSERT INTO users (uid, email, email_key, username, username_key, first_name, last_name, password_hash, disabled, epoch, unsettled,
				created_at, updated_at, password_changed_at, version, unborn, slot_id, slot)
				VALUES ('u', 'a@b.c', 'a@b.c', 'u', 'u', '', '', 'x', 0, 0, 0, 1, 1, 1, 5, 1, 'id.0', x'7b7d')`,
			`INSERT INTO clients (id, public, grants, scope, audience, access_ttl, refresh_idle_ttl, refresh_ttl, disabled, created_at, updated_at, version, unborn, slot_id, slot)
				VALUES ('c', 1, '[]', '[]', '[]', 0, 0, 0, 0, 1, 1, 5, 0, 'id.1', x'7b7d')`,
			`INSERT INTO denied (jti, expire_at) VALUES ('j', 5000000000000)`,
		} {
			if _, err = db.Exec(text); err != nil {
				t.Fatalf("schema %d: %v", n, err)
			}
		}
		if err := db.Close(); err != nil {
			t.Fatal(err)
		}
		s, err := Open(t.Context(), path)
		if err != nil {
			t.Fatalf("schema %d: %v", n, err)
		}
		ctx := t.Context()
		users, uerr := s.PendingUsers(ctx, 9)
		clients, cerr := s.PendingClients(ctx, 9)
		denied, derr := s.TokenDenied(ctx, "j")
		if err := errors.Join(uerr, cerr, derr); err != nil || len(users) != 1 || len(clients) != 1 || !denied {
			t.Fatalf("schema %d: %v, %d accounts and %d clients under way, denied: %t", n, err, len(users), len(clients), denied)
		}
		if u, c := users[0].Held, clients[0].Held; u.SlotID != "id.0" || string(u.Slot) != "{}" || u.Version != 5 || !u.Unborn || c.SlotID != "id.1" || c.Version != 5 || c.Unborn {
			t.Errorf("schema %d: %+v, %+v", n, u, c)
		}
		err = s.DenyToken(ctx, oauth.DeniedToken{JTI: "j", ExpireAt: time.Now()})
		if !errors.Is(err, oauth.ErrTokenDenied) {
			t.Errorf("schema %d: denied once more: %v", n, err)
		}
		if err := s.Close(); err != nil {
			t.Error(err)
		}
	}
}
