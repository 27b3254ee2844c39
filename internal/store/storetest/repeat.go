package storetest

import (
	"errors"
	"testing"

	"github.com/keyturn/keyturn/internal/audit"
	"github.com/keyturn/keyturn/internal/clients"
	"github.com/keyturn/keyturn/internal/outbox"
	"github.com/keyturn/keyturn/internal/store"
	"github.com/keyturn/keyturn/keys"
	"github.com/keyturn/keyturn/oauth"
	"github.com/keyturn/keyturn/users"
)

func (s *suite) repeats() []test {
	return []test{
		{"every method can fail in every way", s.everyMethodFails},
		{"F5_a write whose answer was lost can be repeated", s.repeatLost},
	}
}

// again is what the repetition of a write that was done says; nil where it
// succeeds once more.
var again = map[string]error{
	"CreateUser":     users.ErrEmailTaken,
	"ReplaceUser":    users.ErrConflict,
	"RemoveUser":     users.ErrNotFound,
	"ReplaceClient":  clients.ErrChanged,
	"RemoveClient":   clients.ErrNotFound,
	"HoldFamily":     oauth.ErrFamilyChanged,
	"RemoveFamily":   oauth.ErrNoFamily,
	"CreateClient":   clients.ErrExists,
	"CreateFamily":   errAny,
	"RotateFamily":   errRefused,
	"DenyToken":      oauth.ErrTokenDenied,
	"HoldDenied":     oauth.ErrDeniedChanged,
	"AddMessage":     outbox.ErrQueued,
	"ReplaceMessage": outbox.ErrChanged,
	"RemoveMessage":  outbox.ErrChanged,
	"CreateKey":      keys.ErrKeyExists,
	"UpdateKey":      keys.ErrConflict,
}

// errAny stands for an error that is no one's in particular.
var errAny = errors.New("any error")

// contents is everything that a store holds.
type contents struct {
	Users    []users.User
	Clients  []clients.Client
	Families []oauth.Family
	Pending  []oauth.Family
	Denied   []oauth.DeniedToken
	Messages []outbox.Message
	Keys     []keys.Record
	Archived []keys.Record
	Anchors  []audit.Anchor
}

func contentsOf(t *testing.T, st store.Store) (c contents) {
	t.Helper()
	ctx := t.Context()
	var errs [9]error
	c.Users, errs[0] = st.ListUsers(ctx, "", 1000)
	c.Clients, errs[1] = st.ListClients(ctx, "", 1000)
	c.Families, errs[2] = st.AllFamilies(ctx, "", 1000)
	c.Denied, errs[3] = st.DeniedTokens(ctx, "", 1000)
	c.Keys, errs[4] = st.Keys(ctx)
	c.Archived, errs[5] = st.ArchivedKeys(ctx)
	c.Anchors, errs[6] = st.Anchors(ctx)
	c.Pending, errs[7] = st.PendingFamilies(ctx, 1000)
	c.Messages, errs[8] = st.Messages(ctx, "", 1000)
	ok(t, errors.Join(errs[:]...))
	return c
}

// repeatLost loses the answer of every kind of write and repeats it: the data
// stand as after one write, and the caller is told so in words that it knows.
// AddCount is the one that counts twice, which errs on the safe side.
func (s *suite) repeatLost(t *testing.T) {
	for _, c := range calls() {
		st := NewFaulty(s.fresh(t))
		furnish(t, st)
		before := contentsOf(t, st)
		st.Inject(func(string) Fault { return Persists })
		is(t, c.do(t.Context(), st), ErrFault)
		st.Inject(nil)
		once := contentsOf(t, st)
		err := c.do(t.Context(), st)
		if want := again[c.name]; want == errAny && err == nil || want != errAny && !errors.Is(err, want) {
			t.Errorf("%s, repeated: error is %v; want %v", c.name, err, want)
		}
		same(t, c.name+", repeated", contentsOf(t, st), once)
		if again[c.name] != nil {
			differs(t, c.name, before, once)
		}
	}
}

// differs fails the test if a write left no trace.
func differs(t *testing.T, name string, before, after contents) {
	t.Helper()
	count := func(c contents) (n int64) {
		for _, f := range c.Families {
			n += f.Generation
		}
		for _, u := range c.Users {
			n += u.Epoch + u.Version
		}
		for _, c := range c.Clients {
			n += c.Version
		}
		for _, k := range c.Keys {
			n += k.Version
		}
		for _, d := range c.Denied {
			n += int64(len(d.SlotID))
		}
		for _, m := range c.Messages {
			n += m.Tries
		}
		return n + int64(len(c.Messages)+len(c.Pending)+len(c.Users)+len(c.Clients)+len(c.Families)+len(c.Keys)+len(c.Denied))
	}
	if count(before) == count(after) {
		t.Errorf("%s: the write that was to persist did not", name)
	}
}
