package mongodb

import (
	"slices"
	"sync"
	"testing"
	"time"

	"go.mongodb.org/mongo-driver/v2/bson"

	"github.com/keyturn/keyturn/internal/clients"
	"github.com/keyturn/keyturn/oauth"
)

// TestARefreshIsTwoRoundTrips has a server answer neither look of a refresh before
// it has both: were one to wait for the other, nothing would ever be answered. The
// write is the second trip, and there is no third.
func TestARefreshIsTwoRoundTrips(t *testing.T) {
	t.Parallel()
	both := make(chan struct{})
	var mu sync.Mutex
	var sent []string
	st := primary(t, "", func(command string, doc bson.Raw) bson.M {
		in, _ := doc.Lookup(command).StringValueOK()
		mu.Lock()
		if sent = append(sent, command+" "+in); len(sent) == 2 {
			close(both)
		}
		mu.Unlock()
		select {
		case <-both:
		case <-time.After(time.Minute): // which only bounds how long a test that fails takes
			return nil
		}
		answer := done()
		if command == "find" {
			answer = bson.M{"ok": 1, "cursor": bson.M{"id": int64(0), "ns": "db.c", "firstBatch": bson.A{bson.M{"_id": "f"}}}}
		}
		return answer
	})
	_, err := st.RotateFamily(t.Context(), "f", "c", func(oauth.Family, clients.Client) (*oauth.Rotation, error) { return &oauth.Rotation{}, nil })
	if err != nil {
		t.Fatal(err)
	}
	slices.Sort(sent[:2])
	if want := []string{"find clients", "find families", "update families"}; !slices.Equal(sent, want) {
		t.Errorf("sent %v; want %v", sent, want)
	}
}

// TestSizesOfDocuments holds docs/scaling.md to the sizes of a session and of a
// denied token.
func TestSizesOfDocuments(t *testing.T) {
	const agent = "Mozilla/5.0 (iPhone; CPU iPhone OS 17_5 like Mac OS X) AppleWebKit/605.1.15 (KHTML, like Gecko) Version/17.5 Mobile/15E148 Safari/604.1"
	id := "0192f0c1-2b3c-7d4e-8f90-a1b2c3d4e5f6"
	at := time.Now()
	doc, err := bson.Marshal(familyRecord(oauth.Family{
		ID: id, ClientID: "mobile-app", UserID: id, Scope: []string{"openid", "email"}, Audience: []string{"https://api.example.com"},
		Email: "ada.lovelace@example.com", Salt: make([]byte, 16), MasterID: "2026-11", Generation: 1, RotatedAt: at, AuthTime: at, CreatedAt: at,
		IdleExpiresAt: at, ExpiresAt: at, PurgeAt: at, FirstIP: "203.0.113.77", FirstUserAgent: agent, LastIP: "203.0.113.77", LastUserAgent: agent,
	}))
	if err != nil {
		t.Fatal(err)
	}
	t.Logf("a session has %d bytes", len(doc))
	if len(doc) > 1000 {
		t.Errorf("a session has %d bytes; docs/scaling.md counts with 1,000", len(doc))
	}
	if doc, err = bson.Marshal(deniedRecord(oauth.DeniedToken{JTI: id, ExpireAt: at})); err != nil || len(doc) > 75 {
		t.Errorf("a denied token has %d bytes (%v); docs/scaling.md says 70", len(doc), err)
	}
}
