package mongodb

import (
	"context"
	"errors"
	"slices"
	"testing"

	"github.com/keyturn/keyturn/internal/clients"
	"github.com/keyturn/keyturn/internal/store/mongodb/mongotest"
	"github.com/keyturn/keyturn/oauth"
	"github.com/keyturn/keyturn/users"
)

// TestK5_F6_ADeposedPrimaryDecidesNothing ends a session, denies a token, disables
// a client and revokes a key, and then asks a primary that was deposed before all
// that. An error is an answer; what has been is not.
func TestK5_F6_ADeposedPrimaryDecidesNothing(t *testing.T) {
	t.Parallel()
	sim, through, direct := simulate(t)
	st, clean := opened(t, through), opened(t, direct)
	past := opened(t, mongotest.URI(t))
	furnish(t, past)
	furnish(t, clean)
	sim.past = past.families.Database().Name()
	for _, c := range changes {
		if err := c.do(t.Context(), clean); err != nil && (c.again == nil || !c.again(err)) && !errors.Is(err, errEnded) {
			t.Fatalf("%s: %v", c.name, err)
		}
	}
	sim.play(func(asked message) mishap {
		if isWrite(asked) {
			return deposedAccepted
		}
		return deposedAnswers
	})
	ctx := t.Context()
	if denied, err := st.TokenDenied(ctx, "new"); err == nil && !denied {
		t.Error("a token counts that was denied")
	}
	if _, err := st.ClientByID(ctx, "new"); errors.Is(err, clients.ErrNotFound) {
		t.Error("a client that was registered is said not to be")
	}
	if f, err := st.FamilyByID(ctx, "f"); err == nil && f.RevokedAt.IsZero() {
		t.Error("a session lives that was ended")
	}
	if u, err := st.UserByID(ctx, "u"); err == nil && !u.Disabled {
		t.Error("an account counts that was disabled")
	}
	for by, find := range map[string]func(context.Context, string) (users.User, error){
		"a@example.com": st.UserByEmailKey, "new": st.UserByUsernameKey, "new@example.com": st.UserByEmailKey,
	} {
		if u, err := find(ctx, by); err == nil || errors.Is(err, users.ErrNotFound) {
			t.Errorf("a log-in of %s is decided by what has been: %+v, %v", by, u, err)
		}
	}
	if err := refresh(ctx, st); err == nil {
		t.Error("a session was refreshed that was ended")
	}
	if list, err := st.Keys(ctx); err == nil && len(list) < 2 {
		t.Errorf("the keys are %v", list)
	}
	// What people decide by, and what a copy is made of.
	if list, err := st.ListUsers(ctx, "", 10); err == nil && (len(list) < 2 || !list[slices.IndexFunc(list, func(u users.User) bool { return u.UID == "u" })].Disabled) {
		t.Errorf("the accounts are %+v", list)
	}
	if list, err := st.ListClients(ctx, "", 10); err == nil && len(list) < 2 {
		t.Errorf("the clients are %+v", list)
	}
	if list, err := st.AllFamilies(ctx, "", 10); err == nil && slices.ContainsFunc(list, func(f oauth.Family) bool { return f.ID == "f" && f.RevokedAt.IsZero() }) {
		t.Errorf("the sessions are %+v", list)
	}
	if list, err := st.DeniedTokens(ctx, "", 10); err == nil && !slices.ContainsFunc(list, func(d oauth.DeniedToken) bool { return d.JTI == "new" }) {
		t.Errorf("the tokens denied are %+v", list)
	}
	if ended, err := st.RevokeFamily(ctx, "new", future, "logout"); err == nil {
		t.Errorf("a session unknown to it was ended, %t", ended)
	}
	if n, err := st.RevokeFamiliesOfUser(ctx, "u", "", future, "logout"); err == nil {
		t.Errorf("%d sessions were ended, it says, and that is all", n)
	}
}

// TestF7_ADeposedPrimaryOfTheClientsDecidesNoRefresh disables a client where a
// primary that was deposed does not know it, while the sessions are on a shard that
// is well: no refresh is decided by the client that has been.
func TestF7_ADeposedPrimaryOfTheClientsDecidesNoRefresh(t *testing.T) {
	t.Parallel()
	sim, through, direct := simulate(t)
	st, clean := opened(t, through), opened(t, direct)
	past := opened(t, mongotest.URI(t))
	furnish(t, past)
	furnish(t, clean)
	sim.past = past.families.Database().Name()
	seen, err := clean.HeldClient(t.Context(), "web")
	if err != nil {
		t.Fatal(err)
	}
	next := seen
	next.Disabled = true
	if err := clean.ReplaceClient(t.Context(), seen, next); err != nil {
		t.Fatal(err)
	}
	rotate := func() (disabled bool, err error) {
		_, err = st.RotateFamily(t.Context(), "f", "web", func(_ oauth.Family, by clients.Client) (*oauth.Rotation, error) {
			if disabled = by.Disabled; !disabled {
				t.Error("a refresh was decided by the client that has been")
			}
			return nil, nil
		})
		return disabled, err
	}
	sim.play(func(asked message) mishap {
		if in, _ := asked.document.Lookup(asked.command).StringValueOK(); in == "clients" {
			return deposedAnswers
		}
		return none
	})
	if _, err := rotate(); err == nil {
		t.Error("a refresh was decided though nobody could say what the client is")
	}
	sim.play(nil)
	if disabled, err := rotate(); err != nil || !disabled {
		t.Errorf("once the primary is known: disabled %t, %v", disabled, err)
	}
}
