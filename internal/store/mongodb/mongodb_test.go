package mongodb_test

import (
	"context"
	"errors"
	"fmt"
	"reflect"
	"sync"
	"testing"
	"time"

	"github.com/keyturn/keyturn/internal/clients"
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
		return func(ctx context.Context) (store.Store, error) {
			return mongodb.Open(ctx, fresh, mongodb.Options{AcceptRisk: true})
		}
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

func rotationOf(f oauth.Family) *oauth.Rotation {
	at := now.Add(time.Hour)
	return &oauth.Rotation{
		Presented: f.Generation, MasterID: "m1", At: at, IdleExpiresAt: at.Add(48 * time.Hour), PurgeAt: at.Add(721 * time.Hour),
	}
}

var errRefused = errors.New("refused")

// rotate presents the token of f's generation.
func rotate(ctx context.Context, st *mongodb.Store, f oauth.Family) (oauth.Family, error) {
	return st.RotateFamily(ctx, f.ID, f.ClientID, func(seen oauth.Family, _ clients.Client) (*oauth.Rotation, error) {
		if seen.ID == "" || seen.Generation > f.Generation || !seen.RevokedAt.IsZero() {
			return nil, errRefused
		}
		return rotationOf(f), nil
	})
}

// open opens a store that is closed when t ends.
func open(t *testing.T, uri string) *mongodb.Store {
	t.Helper()
	st, err := mongodb.Open(t.Context(), uri, mongodb.Options{AcceptRisk: true})
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
			won[i], errs[i] = rotate(t.Context(), replicas[i%2], f)
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
			case !errors.Is(err, errRefused):
				t.Errorf("error is %v; want %v", err, errRefused)
			}
		}
		if wins == 0 {
			t.Error("no refresh succeeded")
		}
		most = max(most, wins)
	}
	t.Logf("up to %d of %d refreshes of one token succeeded", most, refreshes)
}

// TestF6_EndedBetweenLookAndWrite ends a family, through another replica, after
// decide was shown it alive.
func TestF6_EndedBetweenLookAndWrite(t *testing.T) {
	t.Parallel()
	uri := mongotest.URI(t)
	st, other := open(t, uri), open(t, uri)
	f := sampleFamily("family-1")
	if err := st.CreateFamily(t.Context(), f); err != nil {
		t.Fatal(err)
	}
	looks := 0
	_, err := st.RotateFamily(t.Context(), f.ID, f.ClientID, func(seen oauth.Family, _ clients.Client) (*oauth.Rotation, error) {
		if looks++; !seen.RevokedAt.IsZero() {
			return nil, errRefused
		}
		if _, err := other.RevokeFamily(t.Context(), f.ID, now, "logout"); err != nil {
			t.Error(err)
		}
		return rotationOf(seen), nil
	})
	if !errors.Is(err, errRefused) || looks < 2 {
		t.Errorf("error is %v after %d looks; want %v", err, looks, errRefused)
	}
	stands, err := st.FamilyByID(t.Context(), f.ID)
	if err != nil || stands.Generation != f.Generation {
		t.Errorf("the ended family stands at generation %d, %v; want %d", stands.Generation, err, f.Generation)
	}
}

// TestF2_AWriteThatComesLateFindsNothing has a refresh held up on its way to the
// server until another replica has put the family back, to the generation that it
// was at: the write must not find it.
func TestF2_AWriteThatComesLateFindsNothing(t *testing.T) {
	t.Parallel()
	uri := mongotest.URI(t)
	st, other := open(t, uri), open(t, uri)
	f := sampleFamily("family-1")
	if err := st.CreateFamily(t.Context(), f); err != nil {
		t.Fatal(err)
	}
	looks := 0
	stands, err := st.RotateFamily(t.Context(), f.ID, f.ClientID, func(seen oauth.Family, _ clients.Client) (*oauth.Rotation, error) {
		if looks++; looks > 1 {
			return nil, nil
		}
		back := &oauth.Rotation{
			Presented: f.Generation - 1, MasterID: f.MasterID, At: f.RotatedAt.Add(time.Millisecond), IdleExpiresAt: f.IdleExpiresAt, PurgeAt: f.PurgeAt,
		}
		_, err := other.RotateFamily(t.Context(), f.ID, f.ClientID, func(oauth.Family, clients.Client) (*oauth.Rotation, error) { return back, nil })
		if err != nil {
			t.Error(err)
		}
		return rotationOf(seen), nil
	})
	if err != nil || stands.Generation != f.Generation || looks < 2 {
		t.Errorf("after %d looks the family stands at generation %d, %v; want %d", looks, stands.Generation, err, f.Generation)
	}
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
