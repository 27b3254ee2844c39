//go:build linux

package e2e

import (
	"bytes"
	"context"
	"encoding/binary"
	"encoding/json"
	"io"
	"net"
	"net/http"
	"net/url"
	"os"
	"strings"
	"sync"
	"sync/atomic"
	"testing"

	"golang.org/x/sys/unix"

	"github.com/keyturn/keyturn/internal/store/mongodb/mongotest"
)

// TestA3_ARevokedAccessTokenHasItsEvent has the disk of the audit log hang behind
// a revocation, so that the token is denied and its event is not written: the
// server is killed then, or the caller hangs up. The token stays void, and the
// event comes, once.
func TestA3_ARevokedAccessTokenHasItsEvent(t *testing.T) {
	t.Parallel()
	onBothStores(t, nil, func(t *testing.T, d *deployment) {
		s := openShop(t, d)
		log, err := os.Open(s.auditLog)
		if err != nil {
			t.Fatal(err)
		}
		defer log.Close()
		lock := func(how int) {
			t.Helper()
			if err := unix.Flock(int(log.Fd()), how); err != nil {
				t.Fatal(err)
			}
		}
		for n, c := range []struct {
			name string
			do   func(hangUp func())
		}{
			{"killed", func(func()) { s.kill(t) }},
			{"hung up", func(hangUp func()) { hangUp() }},
		} {
			token := s.grant(t, s.confidential, "grant_type", "client_credentials").AccessToken
			lock(unix.LOCK_EX)
			hangUp, done := s.beginRevocation(t, token)
			eventually(t, c.name+": the token is on the denylist", func() bool { return d.denied(t) == n+1 })
			c.do(hangUp)
			lock(unix.LOCK_UN)
			<-done
			if s.over {
				s.server = s.again(t)
			}
			s.checkRevoked(t, c.name, token, n+1, 0)
		}
		s.stop(t)
		s.checkAudit(t)
	})
}

// TestA3_ARevocationWhoseAnswerIsLostHasItsEvent puts a network before MongoDB
// that keeps back the answer to the write of the denylist: it never comes, or the
// caller hangs up or the server is killed before it does.
func TestA3_ARevocationWhoseAnswerIsLostHasItsEvent(t *testing.T) {
	t.Parallel()
	uri, err := url.Parse(mongotest.URI(t))
	if err != nil {
		t.Fatal(err)
	}
	before := newWithholder(t, uri.Host)
	d := newDeployment(t, uri.String(), "--request-timeout", "3s")
	s := openShop(t, d)
	s.server.stop(t)
	s.server = s.serve(t, "--store", mongotest.Through(t, uri.String(), before.address))
	fresh := func() string {
		return s.grant(t, s.confidential, "grant_type", "client_credentials").AccessToken
	}

	token := fresh()
	before.lose.Store(true)
	s.refuses(t, "a revocation", s.confidential, "/oauth/revoke", "token", token)
	before.lose.Store(false)
	if n := d.denied(t); n != 1 {
		t.Fatalf("%d tokens are denied; want the one whose answer was lost", n)
	}
	s.checkRevoked(t, "lost", token, 1, 1)
	if told := s.revocations(t); told[0].Event.Outcome != "failure" || told[0].Event.ID == "" || told[1].Event.ID != told[0].Event.ID {
		t.Errorf("the log says %+v; want that the store did not answer, and under the same id what became of it", told)
	}

	token = fresh()
	release := before.hold()
	hangUp, done := s.beginRevocation(t, token)
	before.waits(t)
	hangUp()
	<-done
	release()
	s.checkRevoked(t, "hung up", token, 2, 1)

	token = fresh()
	release = before.hold()
	_, done = s.beginRevocation(t, token)
	before.waits(t)
	s.kill(t)
	<-done
	release()
	s.server = s.again(t)
	s.checkRevoked(t, "killed", token, 3, 1)
	s.stop(t)
	s.checkAudit(t)
}

// TestA3_ARevocationThatCameToNothingSaysSo locks a SQLite store under a
// revocation: it is refused, the token counts, and the log says the same.
func TestA3_ARevocationThatCameToNothingSaysSo(t *testing.T) {
	t.Parallel()
	d := newDeployment(t, "", "--request-timeout", "1s")
	s := openShop(t, d)
	token := s.grant(t, s.confidential, "grant_type", "client_credentials").AccessToken
	unlock := lockStore(t, s)
	s.refuses(t, "a revocation", s.confidential, "/oauth/revoke", "token", token)
	unlock()
	if !s.active(t, s.confidential, token) || d.denied(t) != 0 {
		t.Error("the token does not count, though its revocation was called off")
	}
	if got := s.revocations(t); len(got) != 1 || got[0].Event.Outcome != "failure" || got[0].Event.Reason != "store" {
		t.Errorf("the log says %+v; want that the store could not", got)
	}
	a, err := postForm(s.url+"/oauth/revoke", s.confidential, values("token", token))
	if err != nil || a.status != http.StatusOK {
		t.Errorf("the same again: %v, status %d, %s", err, a.status, a.body)
	}
	s.checkRevoked(t, "once more", token, 1, 1)
	s.stop(t)
	s.checkAudit(t)
}

// revocation is what the log says of one.
type revocation struct {
	Event struct{ ID, Action, Outcome, Reason string }
}

func (d *deployment) revocations(t *testing.T) (found []revocation) {
	t.Helper()
	for _, line := range strings.SplitAfter(readFile(t, d.auditLog), "\n") {
		var r revocation
		if !strings.HasSuffix(line, "\n") {
			continue // it is being written
		}
		if err := json.Unmarshal([]byte(line), &r); err != nil {
			t.Fatal(err)
		}
		if r.Event.Action == "token-revoked" {
			found = append(found, r)
		}
	}
	return found
}

// checkRevoked waits until the log tells of that many revocations, each by its own
// id and with success in the end, and of that many failures beside: the last token
// is void, and nobody is said to have changed nothing. Once more is no second one.
func (s *shop) checkRevoked(t *testing.T, what, token string, revoked, failed int) {
	t.Helper()
	stands, failures := map[string]bool{}, 0
	eventually(t, what+": the revocation is in the log", func() bool {
		stands, failures = map[string]bool{}, 0
		for _, r := range s.revocations(t) {
			switch {
			case r.Event.Outcome == "failure":
				failures++
			case r.Event.Reason == "":
				stands[r.Event.ID] = true
			}
		}
		return len(stands) >= revoked
	})
	if len(stands) != revoked || stands[""] || failures != failed || s.denied(t) != revoked {
		t.Errorf("%s: %d revocations and %d failures in the log, %d on the denylist; want %d, %d: %+v",
			what, len(stands), failures, s.denied(t), revoked, failed, s.revocations(t))
	}
	if s.active(t, s.confidential, token) {
		t.Errorf("%s: the token counts", what)
	}
	a, err := postForm(s.url+"/oauth/revoke", s.confidential, values("token", token))
	if err != nil || a.status != http.StatusOK || s.denied(t) != revoked {
		t.Errorf("%s: revoking it again: %v, status %d, %d on the denylist", what, err, a.status, s.denied(t))
	}
}

// beginRevocation revokes a token in the background, and returns what hangs up,
// and what is closed when the request is over, however it ended.
func (s *shop) beginRevocation(t *testing.T, token string) (hangUp func(), done <-chan struct{}) {
	t.Helper()
	ctx, cancel := context.WithCancel(t.Context())
	r, err := http.NewRequestWithContext(ctx, "POST", s.url+"/oauth/revoke", strings.NewReader(values("token", token).Encode()))
	if err != nil {
		t.Fatal(err)
	}
	r.Header.Set("Content-Type", formType)
	r.Header.Set("Authorization", basic(s.confidential))
	over := make(chan struct{})
	go func() {
		defer close(over)
		if answer, err := http.DefaultTransport.RoundTrip(r); err == nil {
			answer.Body.Close()
		}
	}()
	return cancel, over
}

// denied counts what is on the denylist, behind the back of the server.
func (d *deployment) denied(t *testing.T) int {
	t.Helper()
	return len(d.records(t, "denied_tokens"))
}

// withholder is a network before MongoDB that keeps back what is answered about
// the denylist.
type withholder struct {
	address, server string
	// lose has such answers never arrive: the connection ends instead.
	lose atomic.Bool
	mu   sync.Mutex
	// gate, if not nil, holds the answer to an insert until it is closed; held is
	// sent to when there is one.
	gate chan struct{}
	held chan struct{}
}

func newWithholder(t *testing.T, server string) *withholder {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { l.Close() })
	w := &withholder{address: l.Addr().String(), server: server, held: make(chan struct{}, 1)}
	go func() {
		for {
			client, err := l.Accept()
			if err != nil {
				return
			}
			go w.carry(client)
		}
	}()
	return w
}

// hold has the answer to the next insert wait for release.
func (w *withholder) hold() (release func()) {
	w.mu.Lock()
	defer w.mu.Unlock()
	gate := make(chan struct{})
	w.gate = gate
	return func() { close(gate) }
}

// carry forwards one connection, a question and its answer at a time.
func (w *withholder) carry(client net.Conn) {
	defer client.Close()
	server, err := net.Dial("tcp", w.server)
	if err != nil {
		return
	}
	defer server.Close()
	var about, inserts atomic.Bool // what the last question was
	go func() {
		defer server.Close()
		for {
			question, err := message(client)
			if err != nil {
				return
			}
			about.Store(bytes.Contains(question, []byte("denied_tokens\x00")))
			inserts.Store(bytes.Contains(question, []byte("\x02insert\x00\x0e\x00\x00\x00denied_tokens\x00")))
			if _, err := server.Write(question); err != nil {
				return
			}
		}
	}()
	for {
		answer, err := message(server)
		if err != nil || about.Load() && w.lose.Load() {
			return
		}
		if inserts.Load() {
			w.wait()
		}
		if _, err := client.Write(answer); err != nil {
			return
		}
	}
}

// waits waits until an answer is held.
func (w *withholder) waits(t *testing.T) {
	t.Helper()
	eventually(t, "the write of the denylist is done, its answer held", func() bool {
		select {
		case <-w.held:
			return true
		default:
			return false
		}
	})
}

func (w *withholder) wait() {
	w.mu.Lock()
	gate := w.gate
	w.gate = nil
	w.mu.Unlock()
	if gate != nil {
		w.held <- struct{}{}
		<-gate
	}
}

// message reads one message of MongoDB's protocol, which begins with its length.
func message(from io.Reader) ([]byte, error) {
	var length [4]byte
	if _, err := io.ReadFull(from, length[:]); err != nil {
		return nil, err
	}
	whole := make([]byte, binary.LittleEndian.Uint32(length[:]))
	copy(whole, length[:])
	_, err := io.ReadFull(from, whole[4:])
	return whole, err
}
