package audittest

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
	auditlog "github.com/keyturn/keyturn/internal/audit/log"
	"github.com/keyturn/keyturn/internal/audit/verify"
)

// MemoryAnchors keeps heads as a store does.
type MemoryAnchors struct {
	mu    sync.Mutex
	heads map[string]audit.Anchor
	calls int
	// err is what SetAnchor returns, of announcements too if all is set.
	err error
	all bool
}

// SetAnchor implements audit.AnchorStore.
func (m *MemoryAnchors) SetAnchor(_ context.Context, a audit.Anchor) error {
	m.mu.Lock()
	defer m.mu.Unlock()
	m.calls++
	if m.err != nil && (m.all || a.Seq >= 0) {
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

// Anchors implements audit.AnchorStore.
func (m *MemoryAnchors) Anchors(context.Context) ([]audit.Anchor, error) {
	m.mu.Lock()
	defer m.mu.Unlock()
	all := []audit.Anchor{}
	for _, a := range m.heads {
		all = append(all, a)
	}
	slices.SortFunc(all, func(a, b audit.Anchor) int { return a.At.Compare(b.At) })
	return all, nil
}

// Fail makes SetAnchor return err from now on.
func (m *MemoryAnchors) Fail(err error) { m.fail(err, true) }

// FailHeads is like Fail, but lets chains be announced.
func (m *MemoryAnchors) FailHeads(err error) { m.fail(err, false) }

func (m *MemoryAnchors) fail(err error, all bool) {
	m.mu.Lock()
	defer m.mu.Unlock()
	m.err, m.all = err, all
}

// Called counts the calls of SetAnchor.
func (m *MemoryAnchors) Called() int {
	m.mu.Lock()
	defer m.mu.Unlock()
	return m.calls
}

// All returns the heads, oldest first.
func (m *MemoryAnchors) All() []audit.Anchor {
	a, _ := m.Anchors(context.Background())
	return a
}

// Signer signs with one key, as the key ring does.
type Signer struct {
	key ecdsa.PrivateKey
	KID string
	mu  sync.Mutex
	err error
}

// Fail makes Sign return err from now on.
func (s *Signer) Fail(err error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.err = err
}

// NewSigner makes a signer with a key of its own.
func NewSigner(t testing.TB, kid string) *Signer {
	t.Helper()
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	return &Signer{key: *key, KID: kid}
}

// Sign implements log.Signer.
func (s *Signer) Sign(typ string, payload []byte) (string, string, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.err != nil {
		return "", "", s.err
	}
	options := (&jose.SignerOptions{}).WithType(jose.ContentType(typ)).WithHeader("kid", s.KID)
	signer, err := jose.NewSigner(jose.SigningKey{Algorithm: jose.ES256, Key: &s.key}, options)
	if err != nil {
		return "", "", err
	}
	jws, err := signer.Sign(payload)
	if err != nil {
		return "", "", err
	}
	compact, err := jws.CompactSerialize()
	return compact, s.KID, err
}

// JWK is the public half.
func (s *Signer) JWK() jose.JSONWebKey {
	return jose.JSONWebKey{Key: &s.key.PublicKey, KeyID: s.KID, Algorithm: string(jose.ES256)}
}

// Keys returns the function by which a verifier looks up the key.
func (s *Signer) Keys() func(string) (jose.JSONWebKey, bool) {
	return verify.KeySet(jose.JSONWebKeySet{Keys: []jose.JSONWebKey{
		s.JWK(),
	}})
}

// Fixture is a log in a file with everything around it.
type Fixture struct {
	Path    string
	Signer  *Signer
	Anchors *MemoryAnchors
}

// NewFixture prepares a log in a directory of its own.
func NewFixture(t testing.TB) *Fixture {
	t.Helper()
	return &Fixture{Path: filepath.Join(t.TempDir(), "audit.log"), Signer: NewSigner(t, "k1"), Anchors: &MemoryAnchors{}}
}

// Open begins a chain that is signed every five events.
func (f *Fixture) Open(t testing.TB, change ...func(*auditlog.Options)) *auditlog.Log {
	t.Helper()
	o := auditlog.Options{Sink: f.Path, Node: "host", Version: "1.2.3", CheckpointEvery: time.Hour, CheckpointLines: 5}
	for _, c := range change {
		c(&o)
	}
	l, err := auditlog.Open(o)
	if err != nil {
		t.Fatal(err)
	}
	l.SetAnchors(f.Anchors)
	l.SetSigner(f.Signer)
	return l
}

// Write opens a chain, records n events and closes it.
func (f *Fixture) Write(t testing.TB, n int) {
	t.Helper()
	l := f.Open(t)
	Record(t, l, n)
	Close(t, l)
}

// Options are all the evidence that there is of the log.
func (f *Fixture) Options() verify.Options {
	return verify.Options{Keys: f.Signer.Keys(), Anchors: f.Anchors.All()}
}

// Lines are the lines of the log's file.
func (f *Fixture) Lines(t testing.TB) []string { return ReadLines(t, f.Path) }

// Record records n events.
func Record(t testing.TB, l *auditlog.Log, n int) {
	t.Helper()
	for range n {
		if err := l.Record(t.Context(), audit.Event{Action: audit.TokenIssued, Outcome: audit.Success, UserID: "u1", ClientID: "app"}); err != nil {
			t.Fatal(err)
		}
	}
}

// Close closes a log.
func Close(t testing.TB, l *auditlog.Log) {
	t.Helper()
	if err := l.Close(); err != nil {
		t.Fatal(err)
	}
}

// ReadLines reads the lines of a file.
func ReadLines(t testing.TB, path string) []string {
	t.Helper()
	b, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	return SplitLines(string(b))
}

// SplitLines splits what a log holds.
func SplitLines(s string) []string {
	return strings.Split(strings.TrimSuffix(s, "\n"), "\n")
}

// WriteLines writes a file of those lines and returns its path.
func WriteLines(t testing.TB, lines []string) string {
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

// MustVerify verifies a log that is as it was written.
func MustVerify(t testing.TB, o verify.Options, files ...string) verify.Report {
	t.Helper()
	rep, err := verify.Files(files, o)
	if err != nil {
		t.Fatalf("verify: %v", err)
	}
	return rep
}

// MustFind verifies a log that was tampered with and expects the given line to
// be named, with a reason that holds the given words.
func MustFind(t testing.TB, o verify.Options, text int64, words string, files ...string) {
	t.Helper()
	_, err := verify.Files(files, o)
	var bad *verify.BadLine
	if !errors.As(err, &bad) {
		t.Fatalf("got %v, want a bad line %d (%s)", err, text, words)
	}
	if bad.Line != text || !strings.Contains(bad.Reason, words) {
		t.Fatalf("got %v, want line %d and %q", bad, text, words)
	}
}

// Elapse lets d go by on the clock of the test's bubble, and what is due then
// happen. Nobody waits for that: outside a bubble it panics.
func Elapse(d time.Duration) {
	synctest.Wait()
	time.Sleep(d)
	synctest.Wait()
}

// Full is an event in which every field is set.
var Full = audit.Event{
	Action: audit.TokenReuse, Outcome: audit.Failure, Reason: audit.ReasonReusedToken,
	UserID: "u-1", UserEmail: "ada@example.org", ClientID: "app", SessionID: "s-1", TokenID: "j-1", KeyID: "k-1",
	Grant: "refresh_token", Scope: "openid email", HasGeneration: true, Generation: 7, Presented: 0, Count: 3, Detail: "both \"generations\"",
	Previous: audit.Use{At: time.Unix(0, 5), IP: "2001:db8::1", UserAgent: "Firefox/140"},
}

// FullRequest is a request in which every field is set.
var FullRequest = audit.Request{ID: "r-1", IP: "192.0.2.7", UserAgent: "curl/8", TraceID: "0af7651916cd43dd8448eb211c80319c"}
