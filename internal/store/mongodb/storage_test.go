package mongodb

import (
	"testing"
	"time"

	"go.mongodb.org/mongo-driver/v2/bson"

	"github.com/keyturn/keyturn/internal/clients"
	"github.com/keyturn/keyturn/internal/store/mongodb/mongotest"
	"github.com/keyturn/keyturn/oauth"
)

// TestStorageOfASessionStaysConstant refreshes one session again and again: it
// stays one document, of the fields and the size that it had.
func TestStorageOfASessionStaysConstant(t *testing.T) {
	t.Parallel()
	st, err := Open(t.Context(), mongotest.URI(t), Options{AcceptRisk: true})
	if err != nil {
		t.Fatal(err)
	}
	defer st.Close()
	at := time.Date(2101, time.March, 4, 5, 6, 7, 0, time.UTC)
	f := oauth.Family{ID: "f", ClientID: "web", UserID: "u", Salt: make([]byte, 16), MasterID: "m1", RotatedAt: at, AuthTime: at, CreatedAt: at,
		IdleExpiresAt: at.Add(48 * time.Hour), ExpiresAt: at.Add(720 * time.Hour), PurgeAt: at.Add(721 * time.Hour), LastIP: "192.0.2.1", LastUserAgent: "test"}
	if err := st.CreateFamily(t.Context(), f); err != nil {
		t.Fatal(err)
	}
	// stored returns the one document that there is.
	stored := func() bson.Raw {
		t.Helper()
		cursor, err := st.families.Find(t.Context(), bson.M{})
		if err != nil {
			t.Fatal(err)
		}
		var all []bson.Raw
		if err := cursor.All(t.Context(), &all); err != nil || len(all) != 1 {
			t.Fatalf("%d documents, %v; want one", len(all), err)
		}
		return all[0]
	}
	before := stored()
	const refreshes = 100
	for n := range int64(refreshes) {
		_, err := st.RotateFamily(t.Context(), "f", "web", func(seen oauth.Family, _ clients.Client) (*oauth.Rotation, error) {
			at := at.Add(time.Duration(n+1) * time.Hour)
			return &oauth.Rotation{Presented: seen.Generation, MasterID: "m1", At: at, IdleExpiresAt: at.Add(48 * time.Hour),
				PurgeAt: at.Add(721 * time.Hour), IP: "192.0.2.2", UserAgent: "next"}, nil
		})
		if err != nil {
			t.Fatal(err)
		}
	}
	after := stored()
	if generation, _ := after.Lookup("generation").AsInt64OK(); generation != refreshes {
		t.Errorf("the family stands at generation %d; want %d", generation, refreshes)
	}
	if len(after) != len(before) {
		t.Errorf("the document grew from %d to %d bytes: %v", len(before), len(after), after)
	}
}
