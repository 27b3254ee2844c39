package mongodb_test

import (
	"context"
	"errors"
	"fmt"
	"reflect"
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
	t.Parallel()
	storetest.Run(t, storetest.Factory{New: opener(mongotest.URI)})
}

// TestStoreOnEngineThatLosesUpdates runs the suite on FerretDB as it is.
func TestStoreOnEngineThatLosesUpdates(t *testing.T) {
	t.Parallel()
	storetest.Run(t, storetest.Factory{New: opener(mongotest.BareURI), LosesUpdates: true})
}

// opener makes a suite's stores on databases that uri names.
func opener(uri func(testing.TB) string) func(t *testing.T) storetest.Opener {
	return func(t *testing.T) storetest.Opener {
		fresh := uri(t)
		return func(ctx context.Context) (store.Store, error) { return mongodb.Open(ctx, fresh) }
	}
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
// the same successor, and the family must stand there.
func TestF2_EngineThatLetsTwoWritersWin(t *testing.T) {
	const rounds, refreshes = 8, 50
	uri := mongotest.BareURI(t)
	replicas := []*mongodb.Store{open(t, uri), open(t, uri)}
	most := 0
	for round := range rounds {
		f := sampleFamily(fmt.Sprintf("family-%d", round))
		if err := replicas[0].CreateFamily(t.Context(), f); err != nil {
			t.Fatal(err)
		}
		won := make([]oauth.Family, refreshes)
		errs := make([]error, refreshes)
		atOnce(refreshes, func(i int) {
			won[i], errs[i] = replicas[i%2].RotateFamily(t.Context(), rotationOf(f))
		})
		stands, err := replicas[0].FamilyByID(t.Context(), f.ID)
		if err != nil {
			t.Fatal(err)
		}
		if stands.Generation != f.Generation+1 {
			t.Errorf("the family stands at generation %d; want %d", stands.Generation, f.Generation+1)
		}
		wins := 0
		for i, err := range errs {
			switch {
			case err == nil:
				wins++
				if !reflect.DeepEqual(won[i], stands) {
					t.Errorf("a winner holds %+v; the family stands at %+v", won[i], stands)
				}
			case !errors.Is(err, oauth.ErrNotRotated):
				t.Errorf("error is %v; want %v", err, oauth.ErrNotRotated)
			}
		}
		if wins == 0 {
			t.Error("no refresh succeeded")
		}
		most = max(most, wins)
	}
	t.Logf("up to %d of %d refreshes of one token succeeded", most, refreshes)
}

// atOnce runs n calls of f at the same time and waits for all.
func atOnce(n int, f func(i int)) {
	start := make(chan struct{})
	var wg sync.WaitGroup
	for i := range n {
		wg.Go(func() {
			<-start
			f(i)
		})
	}
	close(start)
	wg.Wait()
}
