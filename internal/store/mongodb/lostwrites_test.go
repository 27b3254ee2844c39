package mongodb

import (
	"context"
	"fmt"
	"net"
	"net/url"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"go.mongodb.org/mongo-driver/v2/bson"

	"github.com/keyturn/keyturn/internal/store/mongodb/mongotest"
	"github.com/keyturn/keyturn/oauth"
)

// loss is how a write gets lost between the store and its server.
type loss int

const (
	kept    loss = iota
	unsent       // the connection breaks before the server has it
	unheard      // the server carries it out, and the connection breaks before the answer
	unfound      // the server answers that it found nothing to change, as if the document were elsewhere
)

func (l loss) String() string { return [...]string{"kept", "unsent", "unheard", "unfound"}[l] }

// losing puts a wire before the server of uri on which lost decides how each
// command gets lost, and returns the URI of the same database over it.
func losing(t *testing.T, uri string, lost func(m message) loss) string {
	t.Helper()
	u, err := url.Parse(uri)
	if err != nil {
		t.Fatal(err)
	}
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { l.Close() })
	server := u.Host
	go func() {
		for {
			client, err := l.Accept()
			if err != nil {
				return
			}
			go carry(client, server, lost)
		}
	}()
	u.Host = l.Addr().String()
	return u.String()
}

// carry takes the commands of one connection to the server, but for those that
// get lost.
func carry(client net.Conn, address string, lost func(m message) loss) {
	defer client.Close()
	server, err := net.Dial("tcp", address)
	if err != nil {
		return
	}
	defer server.Close()
	for {
		asked, err := readMessage(client)
		if err != nil {
			return
		}
		how := lost(asked)
		switch how {
		case unsent:
			return
		case unfound:
			if asked.reply(client, bson.M{"ok": 1, "n": 0, "nModified": 0}) != nil {
				return
			}
			continue
		}
		if _, err := server.Write(asked.whole); err != nil {
			return
		}
		answer, err := readMessage(server)
		if err != nil || how == unheard {
			return
		}
		if err := pass(client, asked, answer); err != nil {
			return
		}
	}
}

// pass takes an answer to the client. What a member of a replica set says of the
// addresses of all is changed to that of the wire, lest the client go round it.
func pass(client net.Conn, asked, answer message) error {
	var role bson.M
	if asked.command != "hello" && !strings.EqualFold(asked.command, "isMaster") ||
		bson.Unmarshal(answer.document, &role) != nil || role["setName"] == nil {
		_, err := client.Write(answer.whole)
		return err
	}
	role["me"], role["hosts"] = client.LocalAddr().String(), bson.A{client.LocalAddr().String()}
	return asked.reply(client, role)
}

// TestF7_NoLostWriteLeavesASessionAlive ends and changes all sessions of a user
// and of a client over a wire that loses any one of the writes, in every way in
// which a write can get lost. Whatever the store then says was done has been; if
// it says that it failed, the same call once more does it.
func TestF7_NoLostWriteLeavesASessionAlive(t *testing.T) {
	t.Parallel()
	const sessions = 5
	at := time.Date(2101, time.March, 4, 5, 6, 7, 0, time.UTC)
	for name, c := range map[string]struct {
		do    func(ctx context.Context, st *Store) (int, error)
		holds func(f oauth.Family) bool
	}{
		"RevokeFamiliesOfUser": {
			func(ctx context.Context, st *Store) (int, error) {
				return st.RevokeFamiliesOfUser(ctx, "u", "", at, "logout")
			},
			func(f oauth.Family) bool { return f.RevokeReason == "logout" && f.RevokedAt.Equal(at) },
		},
		"RevokeFamiliesOfClient": {
			func(ctx context.Context, st *Store) (int, error) {
				return st.RevokeFamiliesOfClient(ctx, "web", at, "logout")
			},
			func(f oauth.Family) bool { return f.RevokeReason == "logout" && f.RevokedAt.Equal(at) },
		},
		"SetFamilyClaims": {
			func(ctx context.Context, st *Store) (int, error) { return st.SetFamilyClaims(ctx, "u", `{"a":1}`) },
			func(f oauth.Family) bool { return f.Claims == `{"a":1}` },
		},
		"SetFamilyEmail": {
			func(ctx context.Context, st *Store) (int, error) {
				return st.SetFamilyEmail(ctx, "u", "new@example.com")
			},
			func(f oauth.Family) bool { return f.Email == "new@example.com" },
		},
	} {
		for _, how := range []loss{unsent, unheard, unfound} {
			t.Run(name+" "+how.String(), func(t *testing.T) {
				t.Parallel()
				var writes, lose atomic.Int64
				uri := losing(t, mongotest.URI(t), func(m message) loss {
					if m.command == "update" && writes.Add(1) == lose.Load() {
						return how
					}
					return kept
				})
				st, err := Open(t.Context(), uri, Options{AcceptRisk: true})
				if err != nil {
					t.Fatal(err)
				}
				defer st.Close()
				for n := range sessions {
					f := oauth.Family{ID: fmt.Sprint(n), ClientID: "web", UserID: "u", Email: "a@example.com", CreatedAt: at.Add(-time.Duration(n) * time.Hour)}
					if err := st.CreateFamily(t.Context(), f); err != nil {
						t.Fatal(err)
					}
				}
				for nth := range int64(sessions) {
					revive(t, st)
					writes.Store(0)
					lose.Store(nth + 1)
					if _, err := c.do(t.Context(), st); err != nil {
						if how == unfound {
							t.Errorf("losing write %d: %v", nth+1, err)
						}
						lose.Store(0)
						if _, err := c.do(t.Context(), st); err != nil {
							t.Fatalf("once more: %v", err)
						}
					}
					all, err := st.AllFamilies(t.Context(), "", 100)
					if err != nil || len(all) != sessions {
						t.Fatalf("%d sessions, %v", len(all), err)
					}
					for _, f := range all {
						if !c.holds(f) {
							t.Errorf("losing write %d of %d: session %s stands as %+v", nth+1, writes.Load(), f.ID, f)
						}
					}
				}
			})
		}
	}
}

// revive makes every session as it was at first, by other means than the store's.
func revive(t *testing.T, st *Store) {
	t.Helper()
	_, err := st.families.UpdateMany(t.Context(), bson.M{}, bson.M{
		"$set": bson.M{"email": "a@example.com"}, "$unset": bson.M{"revoked_at": "", "revoke_reason": "", "claims": ""},
	})
	if err != nil {
		t.Fatal(err)
	}
}

// TestF6_AWriteThatFoundNothingProvesNothing ends a session over a wire on which
// the write is answered, once and for all, as by a primary that does not know the
// session: nobody may be told that there was none to end.
func TestF6_AWriteThatFoundNothingProvesNothing(t *testing.T) {
	t.Parallel()
	var lost atomic.Int64
	uri := losing(t, mongotest.URI(t), func(m message) loss {
		if m.command == "update" && lost.Add(-1) >= 0 {
			return unfound
		}
		return kept
	})
	st, err := Open(t.Context(), uri, Options{AcceptRisk: true})
	if err != nil {
		t.Fatal(err)
	}
	defer st.Close()
	for _, c := range []struct {
		losses int64
		ends   bool
	}{{1, true}, {maxRaces - 1, true}, {maxRaces, false}} {
		id := fmt.Sprint(c.losses)
		if err := st.CreateFamily(t.Context(), oauth.Family{ID: id}); err != nil {
			t.Fatal(err)
		}
		lost.Store(c.losses)
		ended, err := st.RevokeFamily(t.Context(), id, time.Now(), "logout")
		if ended != c.ends || (err == nil) != c.ends {
			t.Errorf("%d times unfound: ended is %t, error is %v", c.losses, ended, err)
		}
	}
}
