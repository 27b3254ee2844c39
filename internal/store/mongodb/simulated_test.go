package mongodb

import (
	"context"
	"errors"
	"fmt"
	"reflect"
	"sync/atomic"
	"testing"
	"time"

	"github.com/keyturn/keyturn/internal/audit"
	"github.com/keyturn/keyturn/internal/clients"
	"github.com/keyturn/keyturn/internal/decision"
	"github.com/keyturn/keyturn/keys"
	"github.com/keyturn/keyturn/oauth"
	"github.com/keyturn/keyturn/users"
)

// future lies so far ahead that no engine removes what expires around it.
var future = time.Date(2101, time.March, 4, 5, 6, 7, 0, time.UTC)

func simulatedFamily(id string) oauth.Family {
	return oauth.Family{ID: id, ClientID: "web", UserID: "u", Email: "a@example.com", Generation: 5, MasterID: "m", RotatedAt: future, CreatedAt: future,
		IdleExpiresAt: future, ExpiresAt: future, PurgeAt: future}
}

// refresh moves the family f on to generation 6, once.
func refresh(ctx context.Context, st *Store) error {
	_, err := st.RotateFamily(ctx, "f", "web", func(f oauth.Family, _ clients.Client) (*oauth.Rotation, error) {
		switch {
		case !f.RevokedAt.IsZero():
			return nil, errEnded
		case f.Generation == 6:
			return nil, nil // a retry
		}
		return &oauth.Rotation{Presented: 5, MasterID: "m", At: future, IdleExpiresAt: future, PurgeAt: future}, nil
	})
	return err
}

var errEnded = errors.New("the session has ended")

// changes are the writes of the store, each on what furnish stores; again is
// what says one that was done before.
var changes = []struct {
	name  string
	do    func(ctx context.Context, st *Store) error
	again func(err error) bool
}{
	{"F1 RotateFamily", refresh, nil},
	{"F6 RevokeFamily", func(ctx context.Context, st *Store) error {
		_, err := st.RevokeFamily(ctx, "f", future, "logout")
		return err
	}, nil},
	{"F6 RevokeFamiliesOfUser", func(ctx context.Context, st *Store) error {
		_, err := st.RevokeFamiliesOfUser(ctx, "u", "", future, "logout")
		return err
	}, nil},
	{"F6 RevokeFamiliesOfClient", func(ctx context.Context, st *Store) error {
		_, err := st.RevokeFamiliesOfClient(ctx, "web", future, "logout")
		return err
	}, nil},
	{"F7 SetFamilyClaims", func(ctx context.Context, st *Store) error {
		_, err := st.SetFamilyClaims(ctx, "u", `{"a":1}`)
		return err
	}, nil},
	{"F7 SetFamilyEmail", func(ctx context.Context, st *Store) error {
		_, err := st.SetFamilyEmail(ctx, "u", "new@example.com")
		return err
	}, nil},
	{"F5 CreateFamily", func(ctx context.Context, st *Store) error { return st.CreateFamily(ctx, simulatedFamily("new")) }, refuses},
	{"F5 CreateUser", func(ctx context.Context, st *Store) error {
		return st.CreateUser(ctx, users.User{UID: "new", EmailKey: "new@example.com"})
	}, is(users.ErrEmailTaken)},
	{"F5 ReplaceUser", func(ctx context.Context, st *Store) error {
		seen, err := st.HeldUser(ctx, "u")
		if err != nil {
			return err
		}
		next := seen
		next.Disabled = true
		return st.ReplaceUser(ctx, seen, next)
	}, nil},
	{"F5 CreateClient", func(ctx context.Context, st *Store) error { return st.CreateClient(ctx, clients.Client{ID: "new"}) }, is(clients.ErrExists)},
	{"F5 DenyToken", func(ctx context.Context, st *Store) error {
		return st.DenyToken(ctx, oauth.DeniedToken{JTI: "new", ExpireAt: future})
	}, is(oauth.ErrTokenDenied)},
	{"F5 HoldDenied", func(ctx context.Context, st *Store) error {
		seen := simulatedDenied()
		return st.HoldDenied(ctx, seen, oauth.DeniedToken{JTI: seen.JTI, ExpireAt: seen.ExpireAt})
	}, is(oauth.ErrDeniedChanged)},
	{"K5 CreateKey", func(ctx context.Context, st *Store) error {
		return st.CreateKey(ctx, keys.Record{Seq: 1, KID: "new", CreatedAt: future, ActivateAt: future})
	}, is(keys.ErrKeyExists)},
	{"K5 UpdateKey", func(ctx context.Context, st *Store) error {
		return st.UpdateKey(ctx, keys.Record{KID: "key", CreatedAt: future, ActivateAt: future, RevokedAt: future})
	}, is(keys.ErrConflict)},
	{"A2 SetAnchor", func(ctx context.Context, st *Store) error {
		return st.SetAnchor(ctx, audit.Anchor{Chain: "new", Seq: 1, At: future})
	}, nil},
	{"A2 SetAnchor again", func(ctx context.Context, st *Store) error {
		return st.SetAnchor(ctx, audit.Anchor{Chain: "chain", Seq: 9, At: future})
	}, nil},
	{"U3 AnnounceHashKind", func(ctx context.Context, st *Store) error { return st.AnnounceHashKind(ctx, "$new$", future) }, nil},
	{"U4 ResetCounts", func(ctx context.Context, st *Store) error { return st.ResetCounts(ctx, []string{"k"}) }, nil},
}

// simulatedDenied is a denied token that owes its event.
func simulatedDenied() oauth.DeniedToken {
	return oauth.DeniedToken{JTI: "denied", ExpireAt: future, Held: decision.Held{SlotID: "s.0", Slot: []byte("{}")}}
}

func is(want error) func(error) bool { return func(err error) bool { return errors.Is(err, want) } }

func refuses(err error) bool { return err != nil }

func furnish(t *testing.T, st *Store) {
	t.Helper()
	ctx := t.Context()
	other := simulatedFamily("g")
	_, err := st.AddCount(ctx, "k", 3, future)
	if err := errors.Join(err,
		st.CreateFamily(ctx, simulatedFamily("f")), st.CreateFamily(ctx, other),
		st.CreateUser(ctx, users.User{UID: "u", EmailKey: "a@example.com"}),
		st.CreateClient(ctx, clients.Client{ID: "web"}), st.DenyToken(ctx, simulatedDenied()),
		st.CreateKey(ctx, keys.Record{KID: "key", CreatedAt: future, ActivateAt: future}),
		st.SetAnchor(ctx, audit.Anchor{Chain: "chain", Seq: 5, At: future}),
	); err != nil {
		t.Fatal(err)
	}
}

// contents is what a store holds.
type contents struct {
	Users    []users.User
	Clients  []clients.Client
	Families []oauth.Family
	Denied   []oauth.DeniedToken
	Keys     []keys.Record
	Anchors  []audit.Anchor
	Kinds    []string
	Counts   []int64
}

func contentsOf(t *testing.T, st *Store) (c contents) {
	t.Helper()
	ctx := t.Context()
	var errs [8]error
	c.Users, errs[0] = st.ListUsers(ctx, "", 100)
	c.Clients, errs[1] = st.ListClients(ctx, "", 100)
	c.Families, errs[2] = st.AllFamilies(ctx, "", 100)
	c.Denied, errs[3] = st.DeniedTokens(ctx, "", 100)
	c.Keys, errs[4] = st.Keys(ctx)
	c.Anchors, errs[5] = st.Anchors(ctx)
	c.Kinds, errs[6] = st.HashKinds(ctx)
	c.Counts, errs[7] = st.Counts(ctx, []string{"k"})
	if err := errors.Join(errs[:]...); err != nil {
		t.Fatal(err)
	}
	return c
}

// opened opens a store that is closed when t ends.
func opened(t *testing.T, uri string) *Store {
	t.Helper()
	// A timeout in the URI is for what comes later.
	ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
	defer cancel()
	st, err := Open(ctx, uri, Options{AcceptRisk: true})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { st.Close() })
	return st
}

// isWrite reports whether a command changes documents.
func isWrite(asked message) bool {
	switch asked.command {
	case "insert", "update", "delete", "findAndModify":
		return true
	}
	return false
}

// TestF1_F5_F6_U4_K5_UnderEveryMishap makes every write of the store while its
// first, or its second, write goes wrong in every way: what the store acknowledged
// was done exactly once, what it did not acknowledge was done or not done, and
// the same call once more does it.
func TestF1_F5_F6_U4_K5_UnderEveryMishap(t *testing.T) {
	t.Parallel()
	twice := map[mishap]bool{hangsUpAfter: true, stepsDownAfter: true, noMajority: true}
	for _, what := range []mishap{none, hangsUp, hangsUpAfter, neverAnswers, stepsDown, stepsDownAfter, noMajority, staleConfig, deposedAccepted} {
		for nth := int64(1); nth == 1 || nth == 2 && twice[what]; nth++ {
			t.Run(fmt.Sprintf("%s, write %d", what, nth), func(t *testing.T) {
				t.Parallel()
				for _, c := range changes {
					mishapDuring(t, what, nth, c.name, c.do, c.again)
				}
			})
		}
	}
}

func mishapDuring(t *testing.T, what mishap, nth int64, name string, do func(context.Context, *Store) error, again func(error) bool) {
	t.Helper()
	sim, through, direct := simulate(t)
	clean := opened(t, direct)
	furnish(t, clean)
	before := contentsOf(t, clean)
	st := opened(t, through)
	var writes atomic.Int64
	sim.play(func(asked message) mishap {
		if !isWrite(asked) {
			return none
		}
		if n := writes.Add(1); n == nth || n > nth && what == neverAnswers {
			return what
		}
		return none
	})
	timeout := 10 * time.Second
	if what == neverAnswers {
		timeout = 200 * time.Millisecond
	}
	ctx, cancel := context.WithTimeout(t.Context(), timeout)
	defer cancel()
	err := do(ctx, st)
	sim.play(nil)
	stands := contentsOf(t, clean)
	if err != nil {
		if cause := do(t.Context(), st); cause != nil && (again == nil || !again(cause)) {
			t.Errorf("%s: once more after %v: %v", name, err, cause)
		}
	}
	after := contentsOf(t, clean)
	if err == nil && !reflect.DeepEqual(stands, after) || reflect.DeepEqual(before, after) {
		t.Errorf("%s was acknowledged, %v, and stands as\n%+v, after\n%+v", name, err, stands, before)
	}
	if name == "F1 RotateFamily" && after.Families[0].Generation != 6 {
		t.Errorf("%s: the session stands at generation %d", name, after.Families[0].Generation)
	}
	if after.Families[0].RevokeReason != "" {
		if err := refresh(t.Context(), st); !errors.Is(err, errEnded) {
			t.Errorf("%s: a refresh after it is answered with %v", name, err)
		}
	}
}

// TestU4_CountsUnderEveryMishap adds to a counter that is there and to one that is
// not: as often as that was acknowledged, at least, and as it was tried, at most.
func TestU4_CountsUnderEveryMishap(t *testing.T) {
	t.Parallel()
	for _, what := range []mishap{hangsUp, hangsUpAfter, stepsDown, stepsDownAfter, noMajority, staleConfig, deposedAccepted} {
		t.Run(what.String(), func(t *testing.T) {
			t.Parallel()
			sim, through, _ := simulate(t)
			st := opened(t, through)
			var n atomic.Int64
			sim.play(func(asked message) mishap {
				if isWrite(asked) && n.Add(1)%3 == 1 {
					return what
				}
				return none
			})
			acknowledged, tried := int64(0), int64(8)
			for range tried {
				if _, err := st.AddCount(t.Context(), "new", 1, future); err == nil {
					acknowledged++
				}
			}
			sim.play(nil)
			counts, err := st.Counts(t.Context(), []string{"new"})
			if err != nil || counts[0] < acknowledged || counts[0] > tried {
				t.Errorf("of %d additions %d were acknowledged, and the counter is %v, %v", tried, acknowledged, counts, err)
			}
		})
	}
}

// TestADyingCursorIsAnError lists more than one answer holds while the cursor dies.
func TestADyingCursorIsAnError(t *testing.T) {
	t.Parallel()
	sim, through, direct := simulate(t)
	st, clean := opened(t, through), opened(t, direct)
	if lack, listed := lacking(t, clean.families.Database(), "several answers"); listed {
		t.Logf("this does not apply here: %s", lack)
		return
	}
	const all = 150
	for n := range all {
		if err := clean.DenyToken(t.Context(), oauth.DeniedToken{JTI: fmt.Sprintf("%03d", n), ExpireAt: future}); err != nil {
			t.Fatal(err)
		}
	}
	sim.play(func(asked message) mishap {
		if asked.command == "getMore" {
			return cursorDies
		}
		return none
	})
	if list, err := st.DeniedTokens(t.Context(), "", all); err == nil {
		t.Errorf("%d of %d entries, and no error", len(list), all)
	}
	sim.play(nil)
	if list, err := st.DeniedTokens(t.Context(), "", all); err != nil || len(list) != all {
		t.Errorf("%d of %d entries, %v", len(list), all, err)
	}
}

// TestEveryMethodEndsUnderEveryMishap calls every method that a store has while
// every command goes wrong: it returns, and nothing panics.
func TestEveryMethodEndsUnderEveryMishap(t *testing.T) {
	t.Parallel()
	for _, what := range []mishap{hangsUp, hangsUpAfter, stepsDown, noMajority, staleConfig, deposedAnswers} {
		t.Run(what.String(), func(t *testing.T) {
			t.Parallel()
			sim, through, direct := simulate(t)
			sim.past = opened(t, direct).families.Database().Name()
			st := opened(t, through+"&timeoutMS=100")
			var n atomic.Int64
			sim.play(func(message) mishap {
				if n.Add(1)%2 == 1 {
					return what
				}
				return none
			})
			askEverything(t, st)
		})
	}
}
