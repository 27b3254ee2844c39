package outbox_test

import (
	"context"
	"errors"
	"fmt"
	"path/filepath"
	"slices"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/keyturn/keyturn/internal/outbox"
	"github.com/keyturn/keyturn/internal/store/sqlite"
)

// post is a destination for messages, in place of a network.
type post struct {
	mu    sync.Mutex
	got   []string
	tried map[string]int
	lost  []string
	// does says what becomes of a try; nil takes all.
	does func(ctx context.Context, m outbox.Message) error
	// told is what GiveUp answers.
	told error
}

func (p *post) send(ctx context.Context, m *outbox.Message) error {
	p.mu.Lock()
	if p.tried == nil {
		p.tried = map[string]int{}
	}
	p.tried[m.ID]++
	does := p.does
	p.mu.Unlock()
	if does != nil {
		if err := does(ctx, *m); err != nil {
			return err
		}
	}
	p.mu.Lock()
	defer p.mu.Unlock()
	p.got = append(p.got, m.ID)
	return nil
}

func (p *post) giveUp(_ context.Context, m outbox.Message, _ error) error {
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.told == nil {
		p.lost = append(p.lost, m.ID)
	}
	return p.told
}

func (p *post) set(change func()) {
	p.mu.Lock()
	defer p.mu.Unlock()
	change()
}

// sent are the messages that arrived, in the order of their ids.
func (p *post) sent() []string {
	p.mu.Lock()
	defer p.mu.Unlock()
	return slices.Sorted(slices.Values(p.got))
}

func (p *post) given() []string {
	p.mu.Lock()
	defer p.mu.Unlock()
	return slices.Sorted(slices.Values(p.lost))
}

func (p *post) tries(id string) int {
	p.mu.Lock()
	defer p.mu.Unlock()
	return p.tried[id]
}

// open opens an outbox; each call is one more replica.
func open(t *testing.T, path string, p *post, now func() time.Time) *outbox.Box {
	t.Helper()
	s, err := sqlite.Open(t.Context(), path)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { s.Close() })
	return &outbox.Box{
		Store: s, Kinds: map[string]outbox.Kind{"k": {Send: p.send, GiveUp: p.giveUp}}, Now: now,
		OnError: func(err error) { t.Errorf("the store failed: %v", err) },
	}
}

// run runs a box until the function that it returns is called.
func run(b *outbox.Box) (stop func()) {
	ctx, cancel := context.WithCancel(context.Background())
	done := make(chan struct{})
	go func() {
		defer close(done)
		b.Run(ctx)
	}()
	return func() {
		cancel()
		<-done
	}
}

func add(t *testing.T, b *outbox.Box, id, to string) {
	t.Helper()
	yes := func(context.Context) ([]byte, error) { return []byte(id), nil }
	if added, err := b.Add(t.Context(), outbox.Message{ID: id, Kind: "k", To: to, Payload: []byte(id)}, 0, yes); err != nil || !added {
		t.Fatalf("added: %v, %v", added, err)
	}
}

func wants(t *testing.T, what string, got []string, want ...string) {
	t.Helper()
	if !slices.Equal(got, want) {
		t.Errorf("%s: %q; want %q", what, got, want)
	}
}

func left(t *testing.T, b *outbox.Box) []outbox.Message {
	t.Helper()
	found, err := b.Store.Messages(t.Context(), "", 1000)
	if err != nil {
		t.Fatal(err)
	}
	return found
}

var errDown = errors.New("down")

// TestADestinationThatHangsKeepsUpNoOther has one destination hang with more messages
// than are read at once, and another refuse.
func TestADestinationThatHangsKeepsUpNoOther(t *testing.T) {
	path := filepath.Join(t.TempDir(), "keyturn.db")
	synctest.Test(t, func(t *testing.T) {
		p := &post{does: func(ctx context.Context, m outbox.Message) error {
			switch m.To {
			case "hangs":
				<-ctx.Done()
				return ctx.Err()
			case "refuses":
				return errDown
			}
			return nil
		}}
		b := open(t, path, p, time.Now)
		var mu sync.Mutex
		down := map[string]int{}
		b.OnDown = func(to string, cause error) {
			mu.Lock()
			defer mu.Unlock()
			if down[to]++; !errors.Is(cause, errDown) && !errors.Is(cause, context.DeadlineExceeded) {
				t.Errorf("%s: %v", to, cause)
			}
		}
		for i := range 120 {
			add(t, b, fmt.Sprintf("a%03d", i), "hangs")
			add(t, b, fmt.Sprintf("b%03d", i), "refuses")
		}
		add(t, b, "c", "works")
		stop := run(b)
		time.Sleep(2 * time.Second)
		wants(t, "sent", p.sent(), "c")
		add(t, b, "d", "works")
		time.Sleep(2 * time.Second)
		wants(t, "sent beside those that hang", p.sent(), "c", "d")
		time.Sleep(time.Minute)
		tries := 0
		for i := range 120 {
			tries += p.tries(fmt.Sprintf("b%03d", i))
		}
		if tries < 3 || tries > 30 {
			t.Errorf("who refuses was asked %d times in a minute", tries)
		}
		time.Sleep(8 * time.Minute)
		mu.Lock()
		if len(down) != 2 || down["refuses"] != 1 || down["hangs"] != 1 {
			t.Errorf("told to be down: %v", down)
		}
		mu.Unlock()
		if n := b.Down(); n != 2 {
			t.Errorf("%d destinations are down", n)
		}
		p.set(func() { p.does = nil })
		time.Sleep(5 * time.Minute)
		if n := len(p.sent()); n != 242 || len(left(t, b)) != 0 {
			t.Errorf("%d are sent once all works, and %d are left", n, len(left(t, b)))
		}
		if n := b.Down(); n != 0 {
			t.Errorf("%d destinations are down once all works", n)
		}
		stop()
		for _, m := range p.sent() {
			if n := p.tries(m); n > 3 {
				t.Errorf("%s was tried %d times within minutes", m, n)
			}
		}
	})
}

// TestOneMessageKeepsUpNoOther defers some messages to a destination, as mail servers do for
// a recipient, and has others fail there now and then.
func TestOneMessageKeepsUpNoOther(t *testing.T) {
	for name, refusal := range map[string]error{"deferred": outbox.ErrDeferred, "failed": errDown} {
		path := filepath.Join(t.TempDir(), "keyturn.db")
		synctest.Test(t, func(t *testing.T) {
			p := &post{does: func(_ context.Context, m outbox.Message) error {
				if m.ID[0] == 'x' {
					return refusal
				}
				return nil
			}}
			b := open(t, path, p, time.Now)
			stop := run(b)
			defer stop()
			bad := map[string]int{"deferred": 30, "failed": 1}[name]
			for i := range bad {
				add(t, b, fmt.Sprintf("x%02d", i), "to")
			}
			time.Sleep(2 * time.Second)
			for i := range 12 {
				id := fmt.Sprintf("m%02d", i)
				add(t, b, id, "to")
				time.Sleep(5 * time.Second) // two of rest and the next look at most
				if p.tries(id) != 1 {
					t.Errorf("%s: %s waits", name, id)
				}
			}
			if n := p.tries("x00"); n < 3 || n > 5 {
				t.Errorf("%s: %d tries in a minute", name, n)
			}
		})
	}
}

// TestAMessageIsRetriedAndGivenUp is a day with a destination that is down, most of
// which passes while no server runs.
func TestAMessageIsRetriedAndGivenUp(t *testing.T) {
	path := filepath.Join(t.TempDir(), "keyturn.db")
	synctest.Test(t, func(t *testing.T) {
		p := &post{does: func(context.Context, outbox.Message) error { return errDown }}
		var off time.Duration
		runFor := func(d time.Duration) {
			stop := run(open(t, path, p, func() time.Time { return time.Now().Add(off) }))
			time.Sleep(d)
			stop()
		}
		b := open(t, path, p, time.Now)
		add(t, b, "m", "down")
		runFor(time.Hour)
		if n := p.tries("m"); n < 8 || n > 12 {
			t.Errorf("%d tries in an hour", n)
		}
		off = 21 * time.Hour
		runFor(time.Minute)
		wants(t, "given up before a day", p.given())
		off = 24 * time.Hour
		p.set(func() { p.told = errors.New("the audit log is away") })
		runFor(time.Minute)
		wants(t, "given up while nobody can be told", p.given())
		off = 26 * time.Hour
		p.set(func() { p.told = nil })
		runFor(time.Minute)
		wants(t, "given up", p.given(), "m")
		wants(t, "sent", p.sent())
		if n := p.tries("m"); n > 16 || len(left(t, b)) != 0 {
			t.Errorf("%d tries, and %d are left", n, len(left(t, b)))
		}
	})
}

// TestADeadDestinationEmpties gives up many messages to one destination without a try of
// each.
func TestADeadDestinationEmpties(t *testing.T) {
	path := filepath.Join(t.TempDir(), "keyturn.db")
	synctest.Test(t, func(t *testing.T) {
		p := &post{does: func(context.Context, outbox.Message) error { return errDown }}
		b := open(t, path, p, time.Now)
		for i := range 210 {
			add(t, b, fmt.Sprintf("m%04d", i), "down")
		}
		time.Sleep(25 * time.Hour) // no server runs
		stop := run(b)
		time.Sleep(5 * time.Minute)
		stop()
		if n := len(p.given()); n != 210 || len(left(t, b)) != 0 {
			t.Errorf("%d are given up, and %d left", n, len(left(t, b)))
		}
	})
}

// TestWhatIsFinalIsNotTriedAgain refuses one message for good, which says nothing about
// its destination.
func TestWhatIsFinalIsNotTriedAgain(t *testing.T) {
	path := filepath.Join(t.TempDir(), "keyturn.db")
	synctest.Test(t, func(t *testing.T) {
		p := &post{does: func(_ context.Context, m outbox.Message) error {
			if m.ID == "a" {
				return fmt.Errorf("no such mailbox: %w", outbox.ErrFinal)
			}
			return nil
		}}
		b := open(t, path, p, time.Now)
		add(t, b, "a", "there")
		add(t, b, "b", "there")
		stop := run(b)
		time.Sleep(2 * time.Second)
		stop()
		wants(t, "sent", p.sent(), "b")
		wants(t, "given up", p.given(), "a")
		if p.tries("a") != 1 {
			t.Errorf("it was tried %d times", p.tries("a"))
		}
	})
}

// TestReplicasSendOnce has three replicas send at once.
func TestReplicasSendOnce(t *testing.T) {
	path := filepath.Join(t.TempDir(), "keyturn.db")
	synctest.Test(t, func(t *testing.T) {
		p := &post{does: func(context.Context, outbox.Message) error {
			time.Sleep(3 * time.Second)
			return nil
		}}
		var stops []func()
		var b *outbox.Box
		for range 3 {
			b = open(t, path, p, time.Now)
			stops = append(stops, run(b))
		}
		var want []string
		for i := range 40 {
			want = append(want, fmt.Sprintf("m%03d", i))
			add(t, b, want[i], fmt.Sprint("to ", i%7))
		}
		time.Sleep(5 * time.Minute)
		for _, stop := range stops {
			stop()
		}
		wants(t, "sent", p.sent(), want...)
	})
}

// TestReplicasKnowOfOneAnother has one replica tell of a destination that is down, and
// learn that it is over from what another does.
func TestReplicasKnowOfOneAnother(t *testing.T) {
	path := filepath.Join(t.TempDir(), "keyturn.db")
	synctest.Test(t, func(t *testing.T) {
		const step = time.Second / 4
		first, second := &post{does: func(context.Context, outbox.Message) error {
			time.Sleep(step) // so that the next try is due when the second looks
			return errDown
		}}, &post{}
		b, told := open(t, path, first, time.Now), 0
		b.OnDown = func(string, error) { told++ }
		defer run(b)()
		add(t, b, "a", "refuses")
		time.Sleep(6*time.Minute + 2*step)
		if b.Down() != 1 || told != 1 {
			t.Errorf("%d destinations are down, told %d times", b.Down(), told)
		}
		defer run(open(t, path, second, time.Now))()
		time.Sleep(7 * time.Minute)
		wants(t, "sent by the second", second.sent(), "a")
		if b.Down() != 0 {
			t.Error("the first does not know that it is over")
		}
	})
}

// TestAProcessThatDiesLosesNone takes a message up and never says what became of it.
func TestAProcessThatDiesLosesNone(t *testing.T) {
	path := filepath.Join(t.TempDir(), "keyturn.db")
	synctest.Test(t, func(t *testing.T) {
		p := &post{}
		b := open(t, path, p, time.Now)
		add(t, b, "m", "to")
		seen := left(t, b)[0]
		died := seen
		died.Holder, died.Tries, died.DueAt = "died", 1, time.Now().Add(time.Minute)
		if err := b.Store.ReplaceMessage(t.Context(), seen, died); err != nil {
			t.Fatal(err)
		}
		stop := run(b)
		defer stop()
		time.Sleep(50 * time.Second)
		wants(t, "sent while another has it", p.sent())
		time.Sleep(15 * time.Second)
		wants(t, "sent", p.sent(), "m")
	})
}

// TestT1_AClockThatWasAheadKeepsNoMessage has a replica whose clock was a year ahead
// take a message up and fail; the others need not wait for the year.
func TestT1_AClockThatWasAheadKeepsNoMessage(t *testing.T) {
	path := filepath.Join(t.TempDir(), "keyturn.db")
	synctest.Test(t, func(t *testing.T) {
		p := &post{does: func(context.Context, outbox.Message) error { return errDown }}
		ahead := open(t, path, p, func() time.Time { return time.Now().Add(365 * 24 * time.Hour) })
		add(t, ahead, "m", "to")
		stop := run(ahead)
		time.Sleep(time.Second)
		stop()
		if p.tries("m") != 1 || len(p.given()) != 0 {
			t.Fatalf("%d tries, given up: %q", p.tries("m"), p.given())
		}
		p.set(func() { p.does = nil })
		stop = run(open(t, path, p, time.Now))
		defer stop()
		time.Sleep(2 * time.Second)
		wants(t, "sent by a right clock", p.sent(), "m")
	})
}

// TestAddTakesTheReasonAway adds a message for a reason that several replicas find.
func TestAddTakesTheReasonAway(t *testing.T) {
	path := filepath.Join(t.TempDir(), "keyturn.db")
	synctest.Test(t, func(t *testing.T) {
		p := &post{}
		b := open(t, path, p, time.Now)
		m := outbox.Message{ID: "m", Kind: "k", To: "to"}
		says := func(err error) func(context.Context) ([]byte, error) {
			return func(context.Context) ([]byte, error) { return nil, err }
		}
		never := func(context.Context) ([]byte, error) {
			t.Error("the reason was taken away by who does not have the message")
			return nil, nil
		}
		if added, err := b.Add(t.Context(), m, 0, says(nil)); added || err != nil || len(left(t, b)) != 0 {
			t.Errorf("a reason that another took away: %v, %v, and %d are left", added, err, len(left(t, b)))
		}
		// A process that dies here: the message is there, and so is the reason.
		if added, err := b.Add(t.Context(), m, 0, says(errDown)); added || !errors.Is(err, errDown) || len(left(t, b)) != 1 {
			t.Errorf("a reason that could not be taken away: %v, %v, and %d are left", added, err, len(left(t, b)))
		}
		if added, err := b.Add(t.Context(), m, 0, never); added || err != nil || len(left(t, b)) != 1 {
			t.Errorf("once more: %v, %v, and %d are left", added, err, len(left(t, b)))
		}
		stop := run(b)
		defer stop()
		time.Sleep(2 * time.Minute)
		wants(t, "sent", p.sent(), "m")
	})
}

// TestAPayloadChangesOnTheWay: what agreed returns is sent, though who added it ran out of
// time, and the next try has what the first left.
func TestAPayloadChangesOnTheWay(t *testing.T) {
	path := filepath.Join(t.TempDir(), "keyturn.db")
	synctest.Test(t, func(t *testing.T) {
		b := open(t, path, nil, time.Now)
		var sent []string
		b.Kinds["k"] = outbox.Kind{Send: func(_ context.Context, m *outbox.Message) error {
			sent = append(sent, string(m.Payload))
			m.Payload = append(m.Payload, '+')
			return errDown
		}}
		ctx, cancel := context.WithCancel(t.Context())
		added, err := b.Add(ctx, outbox.Message{ID: "m", Kind: "k", To: "to", Payload: []byte("before")}, 0, func(context.Context) ([]byte, error) {
			cancel()
			return []byte("after"), nil
		})
		if !added || err != nil {
			t.Errorf("added: %v, %v", added, err)
		}
		stop := run(b)
		time.Sleep(10 * time.Second)
		stop()
		wants(t, "sent", sent, "after", "after+")
	})
}

// TestWhoAgreesTooLateLeavesItToAnother: the message that another took up is its.
func TestWhoAgreesTooLateLeavesItToAnother(t *testing.T) {
	path := filepath.Join(t.TempDir(), "keyturn.db")
	synctest.Test(t, func(t *testing.T) {
		p := &post{does: func(context.Context, outbox.Message) error { return errDown }}
		b := open(t, path, p, time.Now)
		stop := run(b)
		defer stop()
		for _, payload := range []string{"", "m"} {
			_, err := b.Add(t.Context(), outbox.Message{ID: "m" + payload, Kind: "k", To: "to"}, 0, func(context.Context) ([]byte, error) {
				time.Sleep(2 * time.Minute)
				if payload == "" {
					return nil, nil
				}
				return []byte(payload), nil
			})
			if !errors.Is(err, outbox.ErrChanged) {
				t.Errorf("with %q: %v", payload, err)
			}
		}
		if n := len(left(t, b)); n != 2 {
			t.Errorf("%d are left", n)
		}
	})
}
