package mongodb_test

import (
	"context"
	"errors"
	"io"
	"net"
	"net/url"
	"sync"
	"testing"
	"time"

	"github.com/keyturn/keyturn/internal/store/mongodb"
	"github.com/keyturn/keyturn/internal/store/mongodb/mongotest"
	"github.com/keyturn/keyturn/keys"
	"github.com/keyturn/keyturn/oauth"
	"github.com/keyturn/keyturn/users"
)

// network is the wire between a store and its server, which can break.
type network struct {
	server string

	mu    sync.Mutex
	state state
	conns []net.Conn
}

type state int

const (
	connected state = iota
	refusing        // connections are closed as soon as they are made
	silent          // connections are made, but nothing is ever answered
)

// connect returns a network before the server of uri, and the URI of the same
// database through it.
func connect(t *testing.T, uri string) (n *network, through string) {
	t.Helper()
	u, err := url.Parse(uri)
	if err != nil {
		t.Fatal(err)
	}
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	n = &network{server: u.Host}
	t.Cleanup(func() {
		l.Close()
		n.set(refusing)
	})
	go func() {
		for {
			client, err := l.Accept()
			if err != nil {
				return
			}
			n.carry(client)
		}
	}()
	u.Host = l.Addr().String()
	return n, u.String()
}

// set breaks every connection and treats the new ones as s says.
func (n *network) set(s state) {
	n.mu.Lock()
	defer n.mu.Unlock()
	n.state = s
	for _, c := range n.conns {
		c.Close()
	}
	n.conns = nil
}

func (n *network) carry(client net.Conn) {
	n.mu.Lock()
	defer n.mu.Unlock()
	switch n.state {
	case refusing:
		client.Close()
	case silent:
		n.conns = append(n.conns, client)
	case connected:
		server, err := net.Dial("tcp", n.server)
		if err != nil {
			client.Close()
			return
		}
		n.conns = append(n.conns, client, server)
		pipe := func(to, from net.Conn) {
			_, _ = io.Copy(to, from)
			to.Close()
			from.Close()
		}
		go pipe(client, server)
		go pipe(server, client)
	}
}

// asked is what a store is asked while its server is away.
var asked = []struct {
	name string
	do   func(ctx context.Context, st *mongodb.Store) error
}{
	{"RotateFamily", func(ctx context.Context, st *mongodb.Store) error {
		_, err := rotate(ctx, st, sampleFamily("family-1"))
		return err
	}},
	{"FamilyByID", func(ctx context.Context, st *mongodb.Store) error {
		_, err := st.FamilyByID(ctx, "family-1")
		return err
	}},
	{"RevokeFamily", func(ctx context.Context, st *mongodb.Store) error {
		_, err := st.RevokeFamily(ctx, "family-2", now, "logout")
		return err
	}},
	{"UserByEmailKey", func(ctx context.Context, st *mongodb.Store) error {
		_, err := st.UserByEmailKey(ctx, "ada@example.com")
		return err
	}},
	{"Keys", func(ctx context.Context, st *mongodb.Store) error {
		_, err := st.Keys(ctx)
		return err
	}},
	{"AddCount", func(ctx context.Context, st *mongodb.Store) error {
		_, err := st.AddCount(ctx, "k", 1, now)
		return err
	}},
	{"Ping", func(ctx context.Context, st *mongodb.Store) error { return st.Ping(ctx) }},
}

// TestOutage takes the server away from an open store, in two manners, and
// gives it back. Meanwhile every answer is an error, within the time allowed,
// and never one that a domain package would take for a decision.
func TestOutage(t *testing.T) {
	t.Parallel()
	for _, c := range []struct {
		name string
		away state
	}{{"refusing", refusing}, {"silent", silent}} {
		t.Run(c.name, func(t *testing.T) {
			t.Parallel()
			n, uri := connect(t, mongotest.BareURI(t))
			st := open(t, uri)
			f := sampleFamily("family-1")
			if err := st.CreateFamily(t.Context(), f); err != nil {
				t.Fatal(err)
			}
			n.set(c.away)
			for _, a := range asked {
				ctx, cancel := context.WithTimeout(t.Context(), 50*time.Millisecond)
				err := a.do(ctx, st)
				cancel()
				if err == nil {
					t.Errorf("%s: no error though the server is away", a.name)
				}
				for _, decision := range []error{
					errRefused, oauth.ErrNoFamily, users.ErrNotFound, keys.ErrNoKey,
				} {
					if errors.Is(err, decision) {
						t.Errorf("%s: error is %v though the server is away", a.name, err)
					}
				}
			}
			n.set(connected)
			got, err := rotate(t.Context(), st, f)
			if err != nil {
				t.Fatalf("the server is back: %v", err)
			}
			if got.Generation != f.Generation+1 {
				t.Errorf("the family stands at generation %d; want %d", got.Generation, f.Generation+1)
			}
		})
	}
}

// TestOpenWithoutServer holds Open to the time that its context allows.
func TestOpenWithoutServer(t *testing.T) {
	t.Parallel()
	n, uri := connect(t, mongotest.BareURI(t))
	n.set(silent)
	ctx, cancel := context.WithTimeout(t.Context(), 50*time.Millisecond)
	defer cancel()
	if _, err := mongodb.Open(ctx, uri, mongodb.Options{AcceptRisk: true}); !errors.Is(err, context.DeadlineExceeded) {
		t.Errorf("error is %v; want %v", err, context.DeadlineExceeded)
	}
}
