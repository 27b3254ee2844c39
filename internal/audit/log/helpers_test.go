package log

import (
	"context"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"errors"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/go-jose/go-jose/v4"

	"github.com/keyturn/keyturn/internal/audit"
)

// memoryAnchors keeps heads as a store does.
type memoryAnchors struct {
	mu    sync.Mutex
	heads map[string]audit.Anchor
	calls int
	err   error
}

func (m *memoryAnchors) SetAnchor(_ context.Context, a audit.Anchor) error {
	m.mu.Lock()
	defer m.mu.Unlock()
	m.calls++
	if m.err != nil {
		return m.err
	}
	if m.heads == nil {
		m.heads = map[string]audit.Anchor{}
	}
	if old, ok := m.heads[a.Chain]; !ok || a.Seq > old.Seq {
		m.heads[a.Chain] = a
	}
	return nil
}

func (m *memoryAnchors) Anchors(context.Context) ([]audit.Anchor, error) {
	m.mu.Lock()
	defer m.mu.Unlock()
	all := []audit.Anchor{}
	for _, a := range m.heads {
		all = append(all, a)
	}
	slices.SortFunc(all, func(a, b audit.Anchor) int { return a.At.Compare(b.At) })
	return all, nil
}

// fail makes SetAnchor return err from now on.
func (m *memoryAnchors) fail(err error) {
	m.mu.Lock()
	defer m.mu.Unlock()
	m.err = err
}

func (m *memoryAnchors) called() int {
	m.mu.Lock()
	defer m.mu.Unlock()
	return m.calls
}

func (m *memoryAnchors) all() []audit.Anchor {
	a, _ := m.Anchors(context.Background())
	return a
}

// testSigner signs with one key, as the key ring does.
type testSigner struct {
	key ecdsa.PrivateKey
	kid string
	mu  sync.Mutex
	err error
}

// fail makes Sign return err from now on.
func (s *testSigner) fail(err error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.err = err
}

func newSigner(t testing.TB, kid string) *testSigner {
	t.Helper()
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	return &testSigner{key: *key, kid: kid}
}

func (s *testSigner) Sign(typ string, payload []byte) (string, string, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.err != nil {
		return "", "", s.err
	}
	options := (&jose.SignerOptions{}).WithType(jose.ContentType(typ)).WithHeader("kid", s.kid)
	signer, err := jose.NewSigner(jose.SigningKey{Algorithm: jose.ES256, Key: &s.key}, options)
	if err != nil {
		return "", "", err
	}
	jws, err := signer.Sign(payload)
	if err != nil {
		return "", "", err
	}
	compact, err := jws.CompactSerialize()
	return compact, s.kid, err
}

func (s *testSigner) keys() func(string) (jose.JSONWebKey, bool) {
	return KeySet(jose.JSONWebKeySet{Keys: []jose.JSONWebKey{
		{Key: &s.key.PublicKey, KeyID: s.kid, Algorithm: string(jose.ES256)},
	}})
}

// fixture is a log in a file with everything around it.
type fixture struct {
	path    string
	signer  *testSigner
	anchors *memoryAnchors
}

func newFixture(t testing.TB) *fixture {
	t.Helper()
	return &fixture{path: filepath.Join(t.TempDir(), "audit.log"), signer: newSigner(t, "k1"), anchors: &memoryAnchors{}}
}

func (f *fixture) open(t testing.TB, change ...func(*Options)) *Log {
	t.Helper()
	o := Options{Sink: f.path, Node: "host", Version: "1.2.3", CheckpointEvery: time.Hour, CheckpointLines: 5}
	for _, c := range change {
		c(&o)
	}
	l, err := Open(o)
	if err != nil {
		t.Fatal(err)
	}
	l.SetAnchors(f.anchors)
	l.SetSigner(f.signer)
	return l
}

// write opens a chain, records n events and closes it.
func (f *fixture) write(t testing.TB, n int) {
	t.Helper()
	l := f.open(t)
	record(t, l, n)
	closeLog(t, l)
}

func (f *fixture) options() VerifyOptions {
	return VerifyOptions{Keys: f.signer.keys(), Anchors: f.anchors.all()}
}

func (f *fixture) lines(t testing.TB) []string { return readAll(t, f.path) }

func record(t testing.TB, l *Log, n int) {
	t.Helper()
	for range n {
		if err := l.Record(t.Context(), audit.Event{Action: audit.TokenIssued, Outcome: audit.Success, UserID: "u1", ClientID: "app"}); err != nil {
			t.Fatal(err)
		}
	}
}

func closeLog(t testing.TB, l *Log) {
	t.Helper()
	if err := l.Close(); err != nil {
		t.Fatal(err)
	}
}

func readAll(t testing.TB, path string) []string {
	t.Helper()
	b, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	return splitLines(string(b))
}

func splitLines(s string) []string {
	return strings.Split(strings.TrimSuffix(s, "\n"), "\n")
}

func writeLines(t testing.TB, lines []string) string {
	t.Helper()
	path := filepath.Join(t.TempDir(), "changed.log")
	content := strings.Join(lines, "\n")
	if len(lines) > 0 {
		content += "\n"
	}
	if err := os.WriteFile(path, []byte(content), 0o600); err != nil {
		t.Fatal(err)
	}
	return path
}

func mustVerify(t testing.TB, o VerifyOptions, files ...string) Report {
	t.Helper()
	rep, err := Verify(files, o)
	if err != nil {
		t.Fatalf("verify: %v", err)
	}
	return rep
}

// mustFind verifies a log that was tampered with and expects the given line to
// be named, with a reason that holds the given words.
func mustFind(t testing.TB, o VerifyOptions, text int64, words string, files ...string) {
	t.Helper()
	_, err := Verify(files, o)
	var bad *BadLine
	if !errors.As(err, &bad) {
		t.Fatalf("got %v, want a bad line %d (%s)", err, text, words)
	}
	if bad.Line != text || !strings.Contains(bad.Reason, words) {
		t.Fatalf("got %v, want line %d and %q", bad, text, words)
	}
}

// elapse lets d go by on the clock of the test's bubble, and what is due then
// happen. Nobody waits for that: outside a bubble it panics.
func elapse(d time.Duration) {
	synctest.Wait()
	time.Sleep(d)
	synctest.Wait()
}

// full is an event in which every field is set.
var full = audit.Event{
	Action: audit.TokenReuse, Outcome: audit.Failure, Reason: audit.ReasonReusedToken,
	UserID: "u-1", UserEmail: "ada@example.org", ClientID: "app", SessionID: "s-1", TokenID: "j-1", KeyID: "k-1",
	Grant: "refresh_token", Scope: "openid email", HasGeneration: true, Generation: 7, Presented: 0, Count: 3, Detail: "both \"generations\"",
	Previous: audit.Use{At: time.Unix(0, 5), IP: "2001:db8::1", UserAgent: "Firefox/140"},
}

var fullRequest = audit.Request{ID: "r-1", IP: "192.0.2.7", UserAgent: "curl/8", TraceID: "0af7651916cd43dd8448eb211c80319c"}
