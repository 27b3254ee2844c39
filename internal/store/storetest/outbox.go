package storetest

import (
	"errors"
	"fmt"
	"sync/atomic"
	"testing"
	"time"

	"github.com/keyturn/keyturn/internal/outbox"
	"github.com/keyturn/keyturn/internal/store"
	"github.com/keyturn/keyturn/oauth"
)

func (s *suite) outbox() []test {
	return []test{
		{"every field of a message comes back", s.messageRoundTrip},
		{"an id is queued once, whoever else is trying", s.messageRace},
		{"the outbox is bounded", s.messageBound},
		{"T1_what is due, to whom, and what a wrong clock wrote", s.messagesDue},
		{"of many that take up a message one does", s.messageTakenUpRace},
		{"a message is changed and removed by who holds it", s.messageHeld},
		{"Messages pages", s.messagePages},
		{"whatever ends a session leaves word of it", s.untold},
		{"of many that tell of a session one does", s.toldRace},
		{"a session is not swept before its end is told", s.untoldStays},
	}
}

func sampleMessage(n int) outbox.Message {
	return outbox.Message{
		ID: uid(n), Kind: "logout", To: "client web", Payload: []byte{0, 1, 255}, CreatedAt: epoch, DueAt: epoch.Add(time.Second), Holder: "first",
	}
}

// takenUp is m in the hands of another.
func takenUp(m outbox.Message) outbox.Message {
	m.Tries, m.Holder, m.DueAt = m.Tries+1, "next", m.DueAt.Add(time.Minute)
	return m
}

// allMessages returns what is in the outbox.
func allMessages(t *testing.T, st store.Store) []outbox.Message {
	t.Helper()
	found, err := st.Messages(t.Context(), "", 1000)
	ok(t, err)
	return found
}

func (s *suite) messageRoundTrip(t *testing.T) {
	st, ctx := s.fresh(t), t.Context()
	want := []outbox.Message{sampleMessage(1), takenUp(sampleMessage(2))}
	for n, text := range odd {
		m := sampleMessage(10 + n)
		m.Kind, m.To, m.Holder = text, text, text
		want = append(want, m)
	}
	for _, m := range want {
		ok(t, st.AddMessage(ctx, m, 0))
	}
	same(t, "the messages", allMessages(t, st), want)
	is(t, st.AddMessage(ctx, takenUp(sampleMessage(1)), 0), outbox.ErrQueued)
	same(t, "after one that was there", allMessages(t, st), want)
}

func (s *suite) messageRace(t *testing.T) {
	stores, ctx := s.replicas(t, 3), t.Context()
	var wins atomic.Int64
	race(30, func(i int) {
		switch err := stores[i%3].AddMessage(ctx, sampleMessage(1), 0); {
		case err == nil:
			wins.Add(1)
		case !errors.Is(err, outbox.ErrQueued):
			t.Errorf("error is %v; want %v", err, outbox.ErrQueued)
		}
	})
	if n := wins.Load(); n != 1 {
		t.Errorf("one id was queued %d times", n)
	}
}

func (s *suite) messageBound(t *testing.T) {
	st, ctx := s.fresh(t), t.Context()
	for n := range 3 {
		ok(t, st.AddMessage(ctx, sampleMessage(n), 3))
	}
	is(t, st.AddMessage(ctx, sampleMessage(3), 3), outbox.ErrFull)
	ok(t, st.AddMessage(ctx, sampleMessage(4), 0))
	ok(t, st.RemoveMessage(ctx, sampleMessage(0)))
	ok(t, st.RemoveMessage(ctx, sampleMessage(1)))
	ok(t, st.AddMessage(ctx, sampleMessage(3), 3))
}

func (s *suite) messagesDue(t *testing.T) {
	st, ctx := s.fresh(t), t.Context()
	due := outbox.Due{At: epoch, Never: epoch.Add(time.Hour)}
	add := func(n int, to string, at time.Time) outbox.Message {
		m := sampleMessage(n)
		m.To, m.DueAt = to, at
		ok(t, st.AddMessage(ctx, m, 0))
		return m
	}
	second := add(1, "a", epoch)
	first := add(2, "a", epoch.Add(-time.Hour))
	add(3, "a", epoch.Add(time.Millisecond))
	add(4, "b", epoch.Add(time.Hour))
	stray := add(5, "c", epoch.Add(time.Hour+time.Millisecond))
	add(6, "d", epoch)

	got, err := st.DueMessages(ctx, "a", due, 10)
	ok(t, err)
	same(t, "due to a", got, []outbox.Message{first, second})
	got, err = st.DueMessages(ctx, "a", due, 1)
	ok(t, err)
	same(t, "the first due to a", got, []outbox.Message{first})
	got, err = st.DueMessages(ctx, "c", due, 10)
	ok(t, err)
	same(t, "due further ahead than any is", got, []outbox.Message{stray})
	got, err = st.DueMessages(ctx, "a", due, 0)
	ok(t, err)
	same(t, "none", got, nil)
	for limit, want := range []int{0, 1, 2, 3, 3} {
		to, err := st.DueDestinations(ctx, due, limit)
		ok(t, err)
		seen := map[string]bool{}
		for _, one := range to {
			seen[one] = true
		}
		if len(to) != want || len(seen) != want || seen["b"] {
			t.Errorf("%d destinations were asked for, and are %q", limit, to)
		}
	}
}

func (s *suite) messageTakenUpRace(t *testing.T) {
	stores, ctx := s.replicas(t, 2), t.Context()
	ok(t, stores[0].AddMessage(ctx, sampleMessage(1), 0))
	var wins atomic.Int64
	race(20, func(i int) {
		next := takenUp(sampleMessage(1))
		next.Holder = fmt.Sprint("holder ", i)
		switch err := stores[i%2].ReplaceMessage(ctx, sampleMessage(1), next); {
		case err == nil:
			wins.Add(1)
		case !errors.Is(err, outbox.ErrChanged):
			t.Errorf("error is %v; want %v", err, outbox.ErrChanged)
		}
	})
	s.wonOnce(t, wins.Load())
}

func (s *suite) messageHeld(t *testing.T) {
	st, ctx := s.fresh(t), t.Context()
	first := sampleMessage(1)
	next := takenUp(first)
	is(t, st.ReplaceMessage(ctx, first, next), outbox.ErrChanged)
	is(t, st.RemoveMessage(ctx, first), outbox.ErrChanged)
	ok(t, st.AddMessage(ctx, first, 0))
	ok(t, st.AddMessage(ctx, sampleMessage(2), 0))
	ok(t, st.ReplaceMessage(ctx, first, next))
	is(t, st.ReplaceMessage(ctx, first, first), outbox.ErrChanged)
	is(t, st.RemoveMessage(ctx, first), outbox.ErrChanged)
	same(t, "held by another", allMessages(t, st), []outbox.Message{next, sampleMessage(2)})
	ok(t, st.RemoveMessage(ctx, next))
	same(t, "sent", allMessages(t, st), []outbox.Message{sampleMessage(2)})
}

func (s *suite) messagePages(t *testing.T) {
	st, ctx := s.fresh(t), t.Context()
	var want, seen []outbox.Message
	for n := range 5 {
		want = append(want, sampleMessage(n))
	}
	for _, n := range []int{3, 0, 4, 2, 1} {
		ok(t, st.AddMessage(ctx, want[n], 0))
	}
	for after := ""; ; {
		page, err := st.Messages(ctx, after, 2)
		ok(t, err)
		if len(page) == 0 {
			break
		}
		seen = append(seen, page...)
		after = page[len(page)-1].ID
	}
	same(t, "the pages", seen, want)
}

// untold ends sessions in every way that there is.
func (s *suite) untold(t *testing.T) {
	st, ctx := s.fresh(t), t.Context()
	create(t, st, sampleFamily(0)) // lives
	quiet := sampleFamily(1)
	quiet.TellEnd = false
	create(t, st, quiet)
	for n := 2; n < 7; n++ {
		f := sampleFamily(n)
		f.UserID, f.ClientID, f.LoginID = fmt.Sprint("user ", n), fmt.Sprint("client ", n), fmt.Sprint("login ", n)
		create(t, st, f)
	}
	unborn := unbornFamily(7)
	create(t, st, unborn)
	count := func(n int, err error) {
		t.Helper()
		if n != 1 || err != nil {
			t.Errorf("%d sessions ended: %v", n, err)
		}
	}
	ended, err := st.RevokeFamily(ctx, uid(1), epoch, "logout")
	if ok(t, err); !ended {
		t.Error("the first did not end")
	}
	_, err = st.RevokeFamily(ctx, uid(2), epoch, "logout")
	ok(t, err)
	count(st.RevokeFamiliesOfUser(ctx, "user 3", "", epoch, "logout"))
	count(st.RevokeFamiliesOfClient(ctx, "client 4", epoch, "logout"))
	count(st.RevokeFamiliesAmong(ctx, oauth.Among{UserID: "user 5", LoginID: "login 5"}, epoch, "logout"))
	seen, err := st.HeldFamily(ctx, uid(6))
	ok(t, err)
	next := seen
	next.RevokedAt, next.RevokeReason = epoch, "logout"
	ok(t, st.HoldFamily(ctx, seen, next))
	_, err = st.RevokeFamily(ctx, uid(7), epoch, "logout")
	ok(t, err)

	list := func(limit int) map[string]bool {
		t.Helper()
		found, err := st.UntoldFamilies(ctx, limit)
		ok(t, err)
		ids := map[string]bool{}
		for _, f := range found {
			ids[f.ID] = true
			same(t, "listed", f, familyByID(t, st, f.ID))
		}
		if len(ids) != len(found) {
			t.Errorf("one is listed twice of %d", len(found))
		}
		return ids
	}
	same(t, "to be told", list(100), map[string]bool{uid(2): true, uid(3): true, uid(4): true, uid(5): true, uid(6): true})
	if n := len(list(2)) + len(list(0)); n != 2 {
		t.Errorf("of at most 2 and none %d were listed", n)
	}
	for _, want := range []bool{true, false} {
		if told, err := st.ToldFamily(ctx, uid(3)); told != want || err != nil {
			t.Errorf("told: %v, %v; want %v", told, err, want)
		}
	}
	if told, err := st.ToldFamily(ctx, uid(99)); told || err != nil {
		t.Errorf("one that is not there was told: %v", err)
	}
	same(t, "to be told then", list(100), map[string]bool{uid(2): true, uid(4): true, uid(5): true, uid(6): true})
	if f := familyByID(t, st, uid(3)); f.TellEnd || f.RevokeReason != "logout" {
		t.Errorf("told, it is %+v", f)
	}
}

func (s *suite) toldRace(t *testing.T) {
	stores, ctx := s.replicas(t, 3), t.Context()
	create(t, stores[0], sampleFamily(1))
	var wins atomic.Int64
	race(30, func(i int) {
		told, err := stores[i%3].ToldFamily(ctx, uid(1))
		if err != nil {
			t.Errorf("telling: %v", err)
		}
		if told {
			wins.Add(1)
		}
	})
	s.wonOnce(t, wins.Load())
}

func (s *suite) untoldStays(t *testing.T) {
	st, ctx := s.fresh(t), t.Context()
	ended, live := sampleFamily(1), sampleFamily(2)
	ended.PurgeAt, ended.RevokedAt, ended.RevokeReason = epoch, epoch, "logout"
	live.PurgeAt = epoch
	create(t, st, ended)
	create(t, st, live)
	for _, want := range []int{1, 0} {
		if n, err := st.Sweep(ctx, epoch, 100); n != want || err != nil {
			t.Errorf("%d were swept (%v); want %d", n, err, want)
		}
	}
	_, err := st.ToldFamily(ctx, ended.ID)
	ok(t, err)
	if n, err := st.Sweep(ctx, epoch, 100); n != 1 || err != nil {
		t.Errorf("%d were swept once it was told (%v)", n, err)
	}
}
