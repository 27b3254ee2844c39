package main

import (
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/keyturn/keyturn/internal/audit"
)

// TestA3_WhichLogACommandWritesTo: the deployment's own, and none by accident.
func TestA3_WhichLogACommandWritesTo(t *testing.T) {
	const store, other = "sqlite:/data/keyturn.db", "sqlite:/copies/keyturn.db"
	const syslog = "syslog+tcp://logs:6514"
	at := func(host, sink, store string) audit.Place { return audit.Place{Host: host, Sink: sink, Store: store} }
	for name, c := range map[string]struct {
		own    string
		places []audit.Place
		want   string // the log, or what the refusal says
	}{
		"no server yet":                      {"/here/log", nil, "/here/log"},
		"no server yet, and a stream":        {"stdout", nil, "--audit-log"},
		"the server's file":                  {"/here/log", []audit.Place{at("login-1", "/logs/log", store)}, "/logs/log"},
		"its own among several":              {"/b", []audit.Place{at("login-1", "/a", store), at("login-1", "/b", store)}, "/b"},
		"the latest of several":              {"/c", []audit.Place{at("login-1", "/a", store), at("login-1", "/b", store)}, "/a"},
		"a receiver, from another machine":   {"/c", []audit.Place{at("login-2", syslog, store)}, syslog},
		"a file on another machine":          {"/logs/log", []audit.Place{at("login-2", "/logs/log", store)}, "cannot be written from login-1"},
		"the server's stream":                {"stdout", []audit.Place{at("login-1", "stdout", store)}, "/proc/1/fd/1"},
		"a stream, and another file":         {"/here/log", []audit.Place{at("login-1", "stderr", store)}, "server's stderr"},
		"a copy of the store":                {"/here/log", []audit.Place{at("login-1", "/logs/log", other)}, "is a copy of " + other},
		"a copy, over the network":           {"/here/log", []audit.Place{at("login-2", syslog, other)}, "is a copy of " + other},
		"a copy on which a server has begun": {"/c", []audit.Place{at("login-1", "/a", other), at("login-1", "/b", store)}, "/b"},
		"a server of an older version":       {"/c", []audit.Place{at("login-1", "/a", "")}, "/a"},
	} {
		sink, err := chooseSink(at("login-1", c.own, ""), store, c.places)
		if err != nil {
			sink = err.Error()
		}
		if sink != c.want && (err == nil || !strings.Contains(sink, c.want)) {
			t.Errorf("%s: %q; want %q", name, sink, c.want)
		}
	}
}

// TestStoreIdentity: one store has one identity, however it is named.
func TestStoreIdentity(t *testing.T) {
	dir := t.TempDir()
	t.Chdir(dir)
	identity := func(uri string) string {
		t.Helper()
		id, err := storeIdentity(uri)
		if err != nil {
			t.Fatal(err)
		}
		return id
	}
	before := identity("sqlite:keyturn.db")
	if err := os.WriteFile("keyturn.db", nil, 0o600); err != nil {
		t.Fatal(err)
	}
	if err := os.Symlink("keyturn.db", "named"); err != nil {
		t.Fatal(err)
	}
	for _, uri := range []string{"sqlite:./keyturn.db", "sqlite:" + filepath.Join(dir, "keyturn.db"), "sqlite:named"} {
		if id := identity(uri); id != before {
			t.Errorf("%s is %s; want %s", uri, id, before)
		}
	}
	a := identity("mongodb://u:secret@db1,DB2:27018/login?replicaSet=rs0")
	if b := identity("mongodb://db2:27018,db1/login"); a != b || strings.Contains(a, "secret") {
		t.Errorf("%s and %s", a, b)
	}
	if b := identity("mongodb://DB1:27017,db2.:27018,db1/login"); a != b && b != identity("mongodb://db1,db2.:27018/login") {
		t.Errorf("%s and %s", a, b)
	}
	if a, b := identity("mongodb://LOCALHOST./"), identity("mongodb://localhost:27017/keyturn?replicaSet=rs0"); a != b {
		t.Errorf("%s and %s", a, b)
	}
	if c := identity("mongodb://db1,db2:27018"); c == a || !strings.HasSuffix(c, "/keyturn") {
		t.Errorf("another database is %s", c)
	}
}
