package main

import (
	"bytes"
	"errors"
	"fmt"
	"os"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/keyturn/keyturn/internal/store"
	"github.com/keyturn/keyturn/internal/store/mongodb"
	"github.com/keyturn/keyturn/users"
)

// TestNoClientIsAUserInAnotherCase keeps the ids of clients and of users apart, both
// ways, and those of users, also for who compares them without regard to case (RFC 9700 §4.15).
func TestNoClientIsAUserInAnotherCase(t *testing.T) {
	t.Chdir(t.TempDir())
	s, err := openStore(t.Context(), "sqlite:keyturn.db", mongodb.Options{})
	if err != nil {
		t.Fatal(err)
	}
	records := store.Records{Users: []users.User{{UID: "Runner", Email: "r@example.com", EmailKey: "r@example.com", CreatedAt: time.Now()}}}
	if err := errors.Join(s.Put(t.Context(), records), s.Close()); err != nil {
		t.Fatal(err)
	}
	for file, uids := range map[string][]string{"client.jsonl": {"WEB"}, "user.jsonl": {"rUNNER"}, "both.jsonl": {"Twin", "tWIN"}} {
		var lines strings.Builder
		for _, uid := range uids {
			fmt.Fprintf(&lines, `{"uid":%q,"email":"%s@example.com","password_hash":"$2b$10$abcdefghijklmnopqrstuuABCDEFGHIJKLMNOPQRSTUVWXYZ01234"}`+"\n", uid, uid+strconv.Itoa(lines.Len()))
		}
		if err := os.WriteFile(file, []byte(lines.String()), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	for _, c := range []struct{ command, says string }{
		{"clients add Runner --grant client_credentials", "the id of a user"},
		{"clients add rUNNER --grant client_credentials", "the id of a user"},
		{"clients add web --grant client_credentials", ""},
		{"users import client.jsonl", "is the id of a client"},
		{"users import user.jsonl --dry-run", "is the id of another account"},
		{"users import user.jsonl", "is the id of another account"},
		{"users import both.jsonl", "uid: stands on line 1 already"},
	} {
		var out bytes.Buffer
		p := &program{stdin: strings.NewReader(""), stdout: &out, stderr: &out}
		if code := p.run(t.Context(), strings.Fields(c.command)); (code == exitOK) != (c.says == "") || !strings.Contains(out.String(), c.says) {
			t.Errorf("%s: exit code %d, %s", c.command, code, &out)
		}
	}
}
