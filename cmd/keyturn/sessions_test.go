package main

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"testing"
	"time"

	"github.com/keyturn/keyturn/internal/store"
	"github.com/keyturn/keyturn/internal/store/mongodb"
	"github.com/keyturn/keyturn/oauth"
	"github.com/keyturn/keyturn/users"
)

// TestSessionsTellWhereTheyBegan lists one that was used elsewhere since, to people and
// to programs.
func TestSessionsTellWhereTheyBegan(t *testing.T) {
	t.Chdir(t.TempDir())
	s, err := openStore(t.Context(), "sqlite:keyturn.db", mongodb.Options{})
	if err != nil {
		t.Fatal(err)
	}
	now := time.Now()
	later := now.Add(24 * time.Hour)
	records := store.Records{
		Users: []users.User{{UID: "ada", Email: "ada@example.com", EmailKey: "ada@example.com", CreatedAt: now}},
		Families: []oauth.Family{{ID: "one", ClientID: "app", UserID: "ada", CreatedAt: now, RotatedAt: now, IdleExpiresAt: later, ExpiresAt: later, PurgeAt: later,
			FirstIP: "192.0.2.1", FirstUserAgent: "Firefox", LastIP: "198.51.100.2", LastUserAgent: "curl/8"}},
	}
	if err := errors.Join(s.Put(t.Context(), records), s.Close()); err != nil {
		t.Fatal(err)
	}
	for _, flags := range [][]string{nil, {"--output", "json"}} {
		var stdout bytes.Buffer
		p := &program{stdout: &stdout, stderr: t.Output()}
		if code := p.run(t.Context(), append([]string{"users", "sessions", "ada"}, flags...)); code != exitOK {
			t.Fatalf("exit code %d", code)
		}
		at := 0
		for _, want := range []string{"192.0.2.1", "Firefox", "198.51.100.2", "curl/8"} {
			next := bytes.Index(stdout.Bytes()[at:], []byte(want))
			if next < 0 {
				t.Fatalf("%v: no %s in its place:\n%s", flags, want, &stdout)
			}
			at += next
		}
	}
}

// TestEverySessionIsListed gives an account, such as a test runner's, more
// sessions than a person has.
func TestEverySessionIsListed(t *testing.T) {
	t.Chdir(t.TempDir())
	s, err := openStore(t.Context(), "sqlite:keyturn.db", mongodb.Options{})
	if err != nil {
		t.Fatal(err)
	}
	const many = 10_001
	now := time.Now()
	later := now.Add(24 * time.Hour)
	records := store.Records{Users: []users.User{{UID: "runner", Email: "runner@example.com", EmailKey: "runner@example.com", CreatedAt: now}}}
	for n := range many {
		records.Families = append(records.Families, oauth.Family{
			ID: fmt.Sprint(n), ClientID: "app", UserID: "runner", CreatedAt: now, RotatedAt: now, IdleExpiresAt: later, ExpiresAt: later, PurgeAt: later,
		})
	}
	if err := errors.Join(s.Put(t.Context(), records), s.Close()); err != nil {
		t.Fatal(err)
	}
	var stdout bytes.Buffer
	p := &program{stdout: &stdout, stderr: t.Output()}
	if code := p.run(t.Context(), []string{"users", "sessions", "runner", "--output", "json"}); code != exitOK {
		t.Fatalf("exit code %d", code)
	}
	var rows []sessionRow
	if err := json.Unmarshal(stdout.Bytes(), &rows); err != nil || len(rows) != many {
		t.Errorf("%d sessions are listed, %v; want %d", len(rows), err, many)
	}
}
