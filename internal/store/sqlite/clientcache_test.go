package sqlite

import (
	"database/sql/driver"
	"path/filepath"
	"testing"

	"github.com/keyturn/keyturn/internal/clients"
	"github.com/keyturn/keyturn/internal/store"
	"github.com/keyturn/keyturn/oauth"
)

// TestF7_ARefreshSeesTheClientAsItIs changes a client in every way there is, by
// the store that refreshes and by another process's: the next refresh must be
// shown what was written.
func TestF7_ARefreshSeesTheClientAsItIs(t *testing.T) {
	path := filepath.Join(t.TempDir(), "keyturn.db")
	server, command := open(t, path), open(t, path)
	ctx := t.Context()
	f := family("family-1")
	if err := server.CreateFamily(ctx, f); err != nil {
		t.Fatal(err)
	}
	shown := func() (by clients.Client) {
		_, err := server.RotateFamily(ctx, f.ID, "web", func(_ oauth.Family, c clients.Client) (*oauth.Rotation, error) {
			by = c
			return nil, nil
		})
		if err != nil {
			t.Fatal(err)
		}
		return by
	}
	expect(t, "before there is one", shown().ID, "")
	if err := command.CreateClient(ctx, client("web")); err != nil {
		t.Fatal(err)
	}
	for i, by := range []*Store{server, command, command, server, command} {
		hash := string(rune('a' + i))
		seen, err := by.ClientByID(ctx, "web")
		if err != nil {
			t.Fatal(err)
		}
		turned := seen
		turned.SecretHash = []byte(hash)
		if err := by.ReplaceClient(ctx, seen, turned); err != nil {
			t.Fatal(err)
		}
		expect(t, "the secret", string(shown().SecretHash), hash)
		expect(t, "the secret, once more", string(shown().SecretHash), hash)
	}
	for i, by := range []*Store{server, command, server} {
		changed := client("web")
		changed.JWKSURI = "https://example.com/" + string(rune('a'+i))
		if err := by.Put(ctx, store.Records{Clients: []clients.Client{changed}}); err != nil {
			t.Fatal(err)
		}
		expect(t, "put", shown().JWKSURI, changed.JWKSURI)
		seen := shown()
		changed.JWKSURI += "/updated"
		if err := by.ReplaceClient(ctx, seen, changed); err != nil {
			t.Fatal(err)
		}
		expect(t, "updated", shown().JWKSURI, changed.JWKSURI)
	}
	seen := shown()
	disabled := seen
	disabled.Disabled = true
	if err := command.ReplaceClient(ctx, seen, disabled); err != nil {
		t.Fatal(err)
	}
	expect(t, "disabled", shown().Disabled, true)
	if err := command.RemoveClient(ctx, shown()); err != nil {
		t.Fatal(err)
	}
	expect(t, "removed", shown().ID, "")
}

// TestEveryWriteToClientsIsAClientWrite asks SQLite itself which statements open
// the table of clients, or an index of it, for writing.
func TestEveryWriteToClientsIsAClientWrite(t *testing.T) {
	s := fresh(t)
	roots := map[int64]bool{}
	for _, r := range program(t, s, `SELECT rootpage FROM sqlite_schema WHERE tbl_name = 'clients' AND rootpage > 0`) {
		roots[r[0].(int64)] = true
	}
	writes := 0
	for _, statement := range statements {
		write := false
		for _, step := range program(t, s, "EXPLAIN "+statement.text) {
			const opcode, p2 = 1, 3
			write = write || step[opcode] == "OpenWrite" && roots[step[p2].(int64)]
		}
		if write {
			writes++
		}
		if write != statement.writesClients {
			t.Errorf("%s\n writes clients: %v; registered as one that does: %v", statement.text, write, statement.writesClients)
		}
	}
	if writes == 0 {
		t.Error("no statement writes clients")
	}
}

// program returns the rows of a statement, its arguments being NULL.
func program(t *testing.T, s *Store, text string) (rows [][]driver.Value) {
	t.Helper()
	_, err := read(t.Context(), s, func(c *conn) (int, error) {
		r, err := c.QueryContext(t.Context(), text, number(make([]driver.Value, 33)))
		if err != nil {
			return 0, err
		}
		defer r.Close()
		for {
			values := make([]driver.Value, len(r.Columns()))
			if r.Next(values) != nil {
				return 0, nil
			}
			rows = append(rows, values)
		}
	})
	if err != nil {
		t.Fatalf("%s: %v", text, err)
	}
	return rows
}
