package mongodb_test

import (
	"context"
	"sync"
	"testing"
	"time"

	"github.com/keyturn/keyturn/internal/store"
	"github.com/keyturn/keyturn/internal/store/mongodb"
	"github.com/keyturn/keyturn/internal/store/mongodb/mongotest"
	"github.com/keyturn/keyturn/internal/store/storetest"
	"github.com/keyturn/keyturn/oauth"
)

func TestStore(t *testing.T) {
	storetest.Run(t, storetest.Factory{New: func(t *testing.T) storetest.Opener {
		uri := mongotest.URI(t)
		return func(ctx context.Context) (store.Store, error) { return mongodb.Open(ctx, uri) }
	}})
}

// now lies so far ahead that no server removes what expires around it.
var now = time.Date(2101, time.March, 4, 5, 6, 7, 89e6, time.UTC)

func sampleFamily(id string) oauth.Family {
	return oauth.Family{
		ID: id, ClientID: "web", UserID: "user-1", Salt: []byte{1, 2, 3}, MasterID: "m1", Generation: 5,
		RotatedAt: now, AuthTime: now, CreatedAt: now,
		IdleExpiresAt: now.Add(48 * time.Hour), ExpiresAt: now.Add(720 * time.Hour), PurgeAt: now.Add(721 * time.Hour),
	}
}

func rotationOf(f oauth.Family) oauth.Rotation {
	at := now.Add(time.Hour)
	return oauth.Rotation{
		FamilyID: f.ID, ClientID: f.ClientID, Presented: f.Generation, MasterID: "m1",
		At: at, IdleExpiresAt: at.Add(48 * time.Hour), PurgeAt: at.Add(721 * time.Hour),
	}
}

// open opens a store that is closed when t ends.
func open(t *testing.T, uri string) *mongodb.Store {
	t.Helper()
	st, err := mongodb.Open(t.Context(), uri)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := st.Close(); err != nil {
			t.Error(err)
		}
	})
	return st
}

// TestF2_EngineThatLetsTwoWritersWin refreshes one token 50 times at once on
// FerretDB as it is, which lets any number of them win: all who do must hold
// the same successor.
func TestF2_EngineThatLetsTwoWritersWin(t *testing.T) {
	uri := mongotest.BareURI(t)
	replicas := []*mongodb.Store{open(t, uri), open(t, uri)}
	f := sampleFamily("family-1")
	if err := replicas[0].CreateFamily(t.Context(), f); err != nil {
		t.Fatal(err)
	}
	const refreshes = 50
	won := make([]bool, refreshes)
	start := make(chan struct{})
	var wg sync.WaitGroup
	for i := range refreshes {
		wg.Go(func() {
			<-start
			got, err := replicas[i%2].RotateFamily(t.Context(), rotationOf(f))
			if err != nil {
				return // lost the race, or the engine was too busy
			}
			won[i] = true
			if got.Generation != f.Generation+1 {
				t.Errorf("a winner holds generation %d; want %d", got.Generation, f.Generation+1)
			}
		})
	}
	close(start)
	wg.Wait()
	wins := 0
	for _, w := range won {
		if w {
			wins++
		}
	}
	if wins == 0 {
		t.Error("no refresh succeeded")
	}
	t.Logf("%d of %d refreshes of one token succeeded", wins, refreshes)
	got, err := replicas[0].FamilyByID(t.Context(), f.ID)
	if err != nil {
		t.Fatal(err)
	}
	if got.Generation != f.Generation+1 {
		t.Errorf("the family stands at generation %d; want %d", got.Generation, f.Generation+1)
	}
}
