package sqlite

import (
	"context"
	"errors"
	"fmt"
	"path/filepath"
	"runtime"
	"strings"
	"sync"
	"testing"

	"github.com/keyturn/keyturn/internal/clients"
	"github.com/keyturn/keyturn/oauth"
)

// adding returns a write that adds a family and then runs check, if any.
func adding(t *testing.T, id string, check func(c *conn) error) *write {
	return &write{ctx: t.Context(), answer: make(chan error, 1), run: func(c *conn) error {
		if _, err := c.exec(insertFamily, familyValues(family(id))...); err != nil {
			return err
		}
		if check != nil {
			return check(c)
		}
		return nil
	}}
}

// grouped commits the writes as one group, on a writer of its own, and returns
// their answers.
func grouped(t *testing.T, s *Store, group ...*write) []error {
	t.Helper()
	wr := writer{path: s.path}
	wr.commit(append([]*write(nil), group...))
	errs := make([]error, len(group))
	for i, w := range group {
		select {
		case errs[i] = <-w.answer:
		default:
			t.Errorf("write %d was not answered", i)
		}
	}
	if err := wr.close(); err != nil {
		t.Error(err)
	}
	return errs
}

// stored tells which of the families are in the store.
func stored(t *testing.T, s *Store, ids ...string) (found []bool) {
	t.Helper()
	for _, id := range ids {
		_, err := s.FamilyByID(t.Context(), id)
		if err != nil && !errors.Is(err, oauth.ErrNoFamily) {
			t.Fatal(err)
		}
		found = append(found, err == nil)
	}
	return found
}

func expect(t *testing.T, what string, got, want any) {
	t.Helper()
	if fmt.Sprint(got) != fmt.Sprint(want) {
		t.Errorf("%s: %v; want %v", what, got, want)
	}
}

func TestGroupIsOneTransaction(t *testing.T) {
	s := fresh(t)
	early := adding(t, "a", nil)
	late := adding(t, "b", func(*conn) error {
		expect(t, "seen from outside before the commit", stored(t, s, "a", "b"), []bool{false, false})
		expect(t, "answers before the commit", len(early.answer), 0)
		return nil
	})
	expect(t, "answers", grouped(t, s, early, late), []error{nil, nil})
	expect(t, "stored", stored(t, s, "a", "b"), []bool{true, true})
}

func TestRefusedWriteLeavesItsGroupAlone(t *testing.T) {
	s := fresh(t)
	answers := grouped(t, s, adding(t, "a", nil), adding(t, "a", nil), adding(t, "b", nil))
	if answers[0] != nil || !taken(answers[1]) || answers[2] != nil {
		t.Errorf("answers: %v; want the second refused", answers)
	}
	expect(t, "stored", stored(t, s, "a", "b"), []bool{true, true})
}

func TestFaultyWriteFailsAlone(t *testing.T) {
	s := fresh(t)
	fault := func(c *conn) error { return c.script("SELECT * FROM no_such_table") }
	answers := grouped(t, s, adding(t, "a", nil), adding(t, "b", fault), adding(t, "c", nil))
	if answers[0] != nil || answers[1] == nil || answers[2] != nil {
		t.Errorf("answers: %v; want the second to fail", answers)
	}
	expect(t, "stored", stored(t, s, "a", "b", "c"), []bool{true, false, true})
}

func TestFailedCommitFailsItsGroup(t *testing.T) {
	s := fresh(t)
	end := func(c *conn) error { return c.script("ROLLBACK") } // so that COMMIT has nothing to commit
	answers := grouped(t, s, adding(t, "a", nil), adding(t, "b", end))
	if answers[0] == nil || answers[1] == nil {
		t.Errorf("answers: %v; want errors", answers)
	}
	expect(t, "stored", stored(t, s, "a", "b"), []bool{false, false})
}

func TestWriteOfAGoneCallerIsNotDone(t *testing.T) {
	s := fresh(t)
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	gone := adding(t, "a", nil)
	gone.ctx = ctx
	answers := grouped(t, s, gone, adding(t, "b", nil))
	if !errors.Is(answers[0], context.Canceled) || answers[1] != nil {
		t.Errorf("answers: %v; want the first cancelled", answers)
	}
	expect(t, "stored", stored(t, s, "a", "b"), []bool{false, true})
}

// TestLockHeldByAnother has another process's connection hold the write lock:
// a caller can leave, one that stays is served when the lock is free.
func TestLockHeldByAnother(t *testing.T) {
	path := filepath.Join(t.TempDir(), "keyturn.db")
	s := open(t, path)
	other, err := file(path).connect(t.Context(), forWriting)
	if err != nil {
		t.Fatal(err)
	}
	defer other.Close()
	if _, err := other.exec(beginWrite); err != nil {
		t.Fatal(err)
	}

	ctx, cancel := context.WithCancel(t.Context())
	impatient, patient := make(chan error), make(chan error)
	go func() { impatient <- s.CreateFamily(ctx, family("impatient")) }()
	go func() { patient <- s.CreateFamily(t.Context(), family("patient")) }()
	if _, err := s.FamilyByID(t.Context(), "x"); !errors.Is(err, oauth.ErrNoFamily) {
		t.Errorf("a read meanwhile: %v", err)
	}
	cancel()
	if err := <-impatient; !errors.Is(err, context.Canceled) {
		t.Errorf("the one that left: %v", err)
	}
	if _, err := other.exec(commitWrite); err != nil {
		t.Fatal(err)
	}
	if err := <-patient; err != nil {
		t.Errorf("the one that stayed: %v", err)
	}
	expect(t, "stored", stored(t, s, "impatient", "patient"), []bool{false, true})
}

// TestTwoStoresOnOneFile is the command line working on the file while the
// server is busy.
func TestTwoStoresOnOneFile(t *testing.T) {
	path := filepath.Join(t.TempDir(), "keyturn.db")
	server, command := open(t, path), open(t, path)
	const clients, turns = 16, 20
	var wg sync.WaitGroup
	for i := range clients {
		wg.Go(func() {
			f := family(fmt.Sprint("family-", i))
			if err := server.CreateFamily(t.Context(), f); err != nil {
				t.Error(err)
			}
			for turn := range int64(turns) {
				if _, err := rotate(t.Context(), server, f, rotation(f, turn)); err != nil {
					t.Errorf("server: %v", err)
				}
			}
		})
	}
	wg.Go(func() {
		for i := range turns {
			if err := command.CreateClient(t.Context(), client(fmt.Sprint("client-", i))); err != nil {
				t.Errorf("command: %v", err)
			}
		}
	})
	wg.Wait()
	for i := range clients {
		f, err := command.FamilyByID(t.Context(), fmt.Sprint("family-", i))
		if err != nil {
			t.Fatal(err)
		}
		expect(t, "generation", f.Generation, turns)
	}
	all, err := server.ListClients(t.Context(), "", 100)
	if err != nil {
		t.Fatal(err)
	}
	expect(t, "clients", len(all), turns)
}

// TestCloseUnderLoad closes the store in the middle of many writes: each is
// either done and acknowledged, or refused.
func TestCloseUnderLoad(t *testing.T) {
	path := filepath.Join(t.TempDir(), "keyturn.db")
	s, err := Open(t.Context(), path)
	if err != nil {
		t.Fatal(err)
	}
	const writers, each = 16, 200
	acknowledged := make([]int, writers)
	var wg sync.WaitGroup
	under := make(chan struct{}, writers*each)
	for i := range writers {
		wg.Go(func() {
			for n := range each {
				err := s.CreateFamily(context.Background(), family(fmt.Sprintf("%d-%d", i, n)))
				if errors.Is(err, ErrClosed) {
					return
				}
				if err != nil {
					t.Error(err)
					return
				}
				acknowledged[i]++
				under <- struct{}{}
			}
		})
	}
	for range writers {
		<-under
	}
	if err := s.Close(); err != nil {
		t.Error(err)
	}
	if err := s.Close(); err != nil {
		t.Errorf("closing again: %v", err)
	}
	wg.Wait()
	if leftovers, _ := filepath.Glob(path + "-*"); len(leftovers) > 0 {
		t.Errorf("left beside the file: %s", strings.Join(leftovers, " "))
	}
	again := open(t, path)
	for i, n := range acknowledged {
		for n := range n {
			if id := fmt.Sprintf("%d-%d", i, n); !stored(t, again, id)[0] {
				t.Errorf("%s was acknowledged and is gone", id)
			}
		}
	}
}

// TestPanicInAWrite has what a caller decides panic in the goroutine that
// writes for everybody: the caller alone must feel it.
func TestPanicInAWrite(t *testing.T) {
	s := fresh(t)
	f := family("family-1")
	if err := s.CreateFamily(t.Context(), f); err != nil {
		t.Fatal(err)
	}
	panicked := make(chan any)
	go func() {
		defer func() { panicked <- recover() }()
		_, _ = s.RotateFamily(t.Context(), f.ID, f.ClientID, func(oauth.Family, clients.Client) (*oauth.Rotation, error) {
			panic("a slip")
		})
	}()
	if p := <-panicked; p != "a slip" {
		t.Errorf("the caller saw %v", p)
	}
	got, err := rotate(t.Context(), s, f, rotation(f, 0))
	if err != nil {
		t.Fatal(err)
	}
	expect(t, "generation", got.Generation, 1)
}

// TestF9_AWriteOnItsWayIsAnsweredAsWhatItBecame lets callers go while their write
// is in the transaction, and while it waits for one.
func TestF9_AWriteOnItsWayIsAnsweredAsWhatItBecame(t *testing.T) {
	s := fresh(t)
	ctx, hangUp := context.WithCancel(t.Context())
	reached, goOn := make(chan struct{}), make(chan struct{})
	first := make(chan error, 1)
	go func() {
		_, err := change(ctx, s, func(c *conn) (int, error) {
			close(reached)
			<-goOn
			return c.exec(insertFamily, familyValues(family("under way"))...)
		})
		first <- err
	}()
	<-reached
	second := make(chan error, 1)
	go func() { second <- s.CreateFamily(ctx, family("waiting")) }()
	for len(s.writes) == 0 {
		runtime.Gosched()
	}
	hangUp()
	if err := <-second; !errors.Is(err, context.Canceled) {
		t.Errorf("the one that waited: %v", err)
	}
	close(goOn)
	if err := <-first; err != nil {
		t.Errorf("the one under way: %v", err)
	}
	if got := stored(t, s, "under way", "waiting"); !got[0] || got[1] {
		t.Errorf("stored: %v; want what was under way, and no more", got)
	}
}
