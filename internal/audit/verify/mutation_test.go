package verify_test

import (
	"bytes"
	"compress/gzip"
	"crypto/sha256"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/klauspost/compress/zstd"

	"github.com/keyturn/keyturn/internal/audit"
	"github.com/keyturn/keyturn/internal/audit/audittest"
	"github.com/keyturn/keyturn/internal/audit/line"
	auditlog "github.com/keyturn/keyturn/internal/audit/log"
	"github.com/keyturn/keyturn/internal/audit/verify"
)

// evidence is what a log is held against beside its own hashes.
type evidence struct{ keys, heads, store bool }

func (e evidence) String() string {
	var given []string
	for _, of := range []struct {
		name string
		has  bool
	}{{"--keys", e.keys}, {"--heads", e.heads}, {"--store", e.store}} {
		if of.has {
			given = append(given, of.name)
		}
	}
	if given == nil {
		return "the files alone"
	}
	return strings.Join(given, " ")
}

// combinations are all that there are, in the order of the table's columns.
var combinations = []evidence{
	{}, {keys: true}, {heads: true}, {keys: true, heads: true},
	{store: true}, {keys: true, store: true}, {heads: true, store: true}, {true, true, true},
}

// mutated is a log as somebody has changed it.
type mutated struct {
	what    string
	content string
}

// specimen is a log with the lives of two servers and, in between, commands with
// and without a key.
type specimen struct {
	*audittest.Fixture
	lines []string
	// stranger is the line of a chain that no key signed and no store knows.
	stranger string
}

func newSpecimen(t *testing.T) *specimen {
	t.Helper()
	var ms atomic.Int64
	clock := func(o *auditlog.Options) {
		o.Now = func() time.Time {
			return time.Date(2026, 11, 24, 0, 0, 0, 0, time.UTC).Add(time.Duration(ms.Add(1)) * time.Millisecond)
		}
	}
	f := audittest.NewFixture(t)
	command := func(f *audittest.Fixture, signer auditlog.Signer) {
		t.Helper()
		l := f.Open(t, clock)
		l.SetSigner(signer)
		if err := l.Record(t.Context(), audit.Event{Action: audit.UserAdded, Outcome: audit.Success, UserID: "u1"}); err != nil {
			t.Fatal(err)
		}
		audittest.Close(t, l)
	}
	server := f.Open(t, clock)
	audittest.Record(t, server, 2)
	command(f, keyless{})
	audittest.Record(t, server, 1)
	command(f, f.Signer)
	command(f, keyless{})
	audittest.Record(t, server, 1)
	audittest.Close(t, server)
	server = f.Open(t, clock, func(o *auditlog.Options) { o.Seen = f.Anchors.All() })
	audittest.Record(t, server, 1)
	command(f, keyless{})
	audittest.Record(t, server, 1)
	audittest.Close(t, server)

	other := audittest.NewFixture(t)
	command(other, keyless{})
	return &specimen{f, f.Lines(t), other.Lines(t)[0]}
}

func (s *specimen) options(e evidence) (o verify.Options) {
	if e.keys || e.store {
		o.Keys = s.Signer.Keys()
	}
	if e.heads {
		o.Heads = s.Anchors.All()
	}
	if e.store {
		o.Anchors = s.Anchors.All()
	}
	return o
}

// text is a file of those lines.
func text(lines []string) string { return strings.Join(lines, "\n") + "\n" }

// chains are the ids in the order of their first lines.
func (s *specimen) chains() (ids []string) {
	for _, l := range s.lines {
		if id := chainOf(l); !slices.Contains(ids, id) {
			ids = append(ids, id)
		}
	}
	return ids
}

// split takes the lines of a chain out of the others.
func (s *specimen) split(chain string) (of, rest []string) {
	for _, l := range s.lines {
		if chainOf(l) == chain {
			of = append(of, l)
		} else {
			rest = append(rest, l)
		}
	}
	return of, rest
}

// continued says whether the chain of the i'th line goes on after it.
func (s *specimen) continued(i int) bool {
	return slices.ContainsFunc(s.lines[i+1:], func(o string) bool { return chainOf(o) == chainOf(s.lines[i]) })
}

// turned has one bit turned in lines that their chain goes on after, or does not.
func (s *specimen) turned(continued bool) (all []mutated) {
	whole, end := text(s.lines), 0
	for i, l := range s.lines {
		start := end
		end += len(l) + 1
		if s.continued(i) != continued {
			continue
		}
		// In the hash and the time of any line, and in many other places.
		places := []int{start + strings.Index(l, `"prev":"`) + 8, start + strings.Index(l, `"@timestamp":"`) + 20}
		for at := start + i%stride; at < end-1; at += stride {
			places = append(places, at)
		}
		for _, at := range places {
			b := []byte(whole)
			b[at] ^= 1 << (at % 3)
			all = append(all, mutated{fmt.Sprintf("byte %d of line %d", at-start, i+1), string(b)})
		}
	}
	return all
}

// insert puts lines before the at'th.
func insert(lines []string, at int, more ...string) []string {
	return slices.Insert(slices.Clone(lines), at, more...)
}

// stride is how far apart the bytes are that are flipped or cut at, beside those
// next to the ends of lines. It is prime, so that every place in a line gets its turn.
const stride = 151

// mutations are what somebody can do who can write to the log: each with all the
// ways to do it. They are the rows of the table in docs/auditing.md.
var mutations = []struct {
	what string
	make func(s *specimen) []mutated
}{
	{"a bit turned within a chain", func(s *specimen) []mutated { return s.turned(true) }},
	{"a bit turned in the last line of a chain", func(s *specimen) []mutated { return s.turned(false) }},
	{"the last newline cut off", func(s *specimen) []mutated {
		return []mutated{{"", strings.Join(s.lines, "\n")}}
	}},
	{"the end cut off, at any byte", func(s *specimen) (all []mutated) {
		whole := text(s.lines)
		for n := 0; n < len(whole)-1; n++ {
			if n%stride == 0 || whole[n] == '\n' || n > 0 && whole[n-1] == '\n' {
				all = append(all, mutated{fmt.Sprintf("%d bytes left", n), whole[:n]})
			}
		}
		return all
	}},
	{"the beginning cut off, at any byte", func(s *specimen) (all []mutated) {
		whole := text(s.lines)
		for n := 1; n < len(whole); n++ {
			if n%stride == 0 || whole[n-1] == '\n' {
				all = append(all, mutated{fmt.Sprintf("%d bytes gone", n), whole[n:]})
			}
		}
		return all
	}},
	{"a line removed within a chain", func(s *specimen) (all []mutated) {
		for i := range s.lines {
			if s.continued(i) {
				all = append(all, mutated{fmt.Sprintf("line %d", i+1), text(slices.Delete(slices.Clone(s.lines), i, i+1))})
			}
		}
		return all
	}},
	{"a line repeated", func(s *specimen) (all []mutated) {
		for i := range s.lines {
			for to := range len(s.lines) + 1 {
				all = append(all, mutated{fmt.Sprintf("line %d before %d", i+1, to+1), text(insert(s.lines, to, s.lines[i]))})
			}
		}
		return all
	}},
	{"a line moved", func(s *specimen) (all []mutated) {
		for i := range s.lines {
			rest := slices.Delete(slices.Clone(s.lines), i, i+1)
			for to := range len(s.lines) {
				if to != i {
					all = append(all, mutated{fmt.Sprintf("line %d to %d", i+1, to+1), text(insert(rest, to, s.lines[i]))})
				}
			}
		}
		return all
	}},
	{"a whole chain moved", func(s *specimen) (all []mutated) {
		for _, id := range s.chains() {
			of, rest := s.split(id)
			for to := range len(rest) + 1 {
				if moved := insert(rest, to, of...); !slices.Equal(moved, s.lines) {
					all = append(all, mutated{fmt.Sprintf("chain %s to %d", id, to+1), text(moved)})
				}
			}
		}
		return all
	}},
	{"a whole chain repeated", func(s *specimen) (all []mutated) {
		for _, id := range s.chains() {
			of, _ := s.split(id)
			for to := range len(s.lines) + 1 {
				all = append(all, mutated{fmt.Sprintf("chain %s before %d", id, to+1), text(insert(s.lines, to, of...))})
			}
		}
		return all
	}},
	{"a whole chain removed, others written after it", func(s *specimen) (all []mutated) {
		ids := s.chains()
		for _, id := range ids {
			if _, rest := s.split(id); s.lines[len(s.lines)-1] == rest[len(rest)-1] {
				all = append(all, mutated{"chain " + id, text(rest)})
			}
		}
		return all
	}},
	{"the end of a chain removed, others written after it", func(s *specimen) (all []mutated) {
		for _, id := range s.chains() {
			of, _ := s.split(id)
			for keep := 1; keep < len(of); keep++ {
				left := slices.DeleteFunc(slices.Clone(s.lines), func(l string) bool { return slices.Contains(of[keep:], l) })
				if left[len(left)-1] == s.lines[len(s.lines)-1] {
					all = append(all, mutated{fmt.Sprintf("chain %s behind its line %d", id, keep), text(left)})
				}
			}
		}
		return all
	}},
	{"something put in that is no line of the log", func(s *specimen) (all []mutated) {
		strangers := map[string]string{"an operational line": `{"level":"info","message":"serving"}`, "nothing": ""}
		for name, wrap := range captures {
			strangers[name+"'s standard error"] = wrap(strangers["an operational line"], "stderr", false)
			strangers[name+"'s standard output"] = wrap(s.lines[len(s.lines)-1], "stdout", false)
		}
		for name, stranger := range strangers {
			for to := range len(s.lines) + 1 {
				all = append(all, mutated{fmt.Sprintf("%s before line %d", name, to+1), text(insert(s.lines, to, stranger))})
			}
		}
		return all
	}},
	{"an older state of the whole log", func(s *specimen) (all []mutated) {
		for n := range len(s.lines) - 1 {
			all = append(all, mutated{fmt.Sprintf("%d lines", n+1), text(s.lines[:n+1])})
		}
		return all
	}},
	{"a chain made up, before what the heads know", func(s *specimen) (all []mutated) {
		renamed := strings.Replace(s.stranger, line.Node([]byte(s.stranger)), line.Node([]byte(s.lines[0])), 1)
		for to := range s.lines {
			all = append(all, mutated{fmt.Sprintf("of another log, before line %d", to+1), text(insert(s.lines, to, s.stranger))},
				mutated{fmt.Sprintf("before line %d", to+1), text(insert(s.lines, to, renamed))})
		}
		return all
	}},
	{"a chain made up, at the end", func(s *specimen) []mutated {
		return []mutated{{"", text(insert(s.lines, len(s.lines), s.stranger))}}
	}},
	{"a server's chain written anew without its signatures", func(s *specimen) (all []mutated) {
		for _, id := range []string{chainOf(s.lines[0]), chainOf(s.lines[len(s.lines)-1])} {
			all = append(all, mutated{"chain " + id, text(forged(s.lines, id))})
		}
		return all
	}},
}

// forged replaces a chain by one with another user and no checkpoint, and computes
// all hashes in the file anew, as who knows the format can.
func forged(lines []string, chain string) (out []string) {
	hash := func(s string) string { h := line.InHex(sha256.Sum256([]byte(s))); return string(h[:]) }
	now := map[string]string{} // the hashes of the lines that were changed, by the old ones
	last := line.NoHash        // of the chain
	seq := 0
	for _, l := range lines {
		k, err := line.Parse([]byte(l))
		if err != nil {
			panic(err)
		}
		mine := string(k.ID) == chain
		if mine && k.Checkpoint != nil {
			if len(out) > 0 {
				now[hash(l)] = hash(out[len(out)-1])
			}
			continue
		}
		changed := l
		if mine {
			changed = strings.Replace(changed, fmt.Sprintf(`"seq":%d,"prev":"%s"`, k.Seq, k.Prev), fmt.Sprintf(`"seq":%d,"prev":"%s"`, seq, last), 1)
			changed = strings.Replace(changed, `"id":"u1"`, `"id":"u2"`, 1)
			seq++
		}
		if after, ok := now[string(k.Foreign)]; ok {
			changed = strings.Replace(changed, string(k.Foreign), after, 1)
		}
		if mine {
			last = hash(changed)
		}
		now[hash(l)] = hash(changed)
		out = append(out, changed)
	}
	return out
}

// missed counts the ways that were tried, and those that the evidence does not show.
func (s *specimen) missed(t *testing.T, path string, all []mutated, e evidence) (tried, missed int) {
	t.Helper()
	o := s.options(e)
	for i, m := range all {
		// Of many ways each is tried with the files alone, a third with more.
		if e != (evidence{}) && len(all) > 60 && i%3 != 0 {
			continue
		}
		tried++
		if err := os.WriteFile(path, []byte(m.content), 0o600); err != nil {
			t.Fatal(err)
		}
		if _, err := verify.Files([]string{path}, o); err == nil {
			missed++
		}
	}
	return tried, missed
}

// What the table says of a mutation and a combination.
const (
	always    = "found"
	sometimes = "some" // found, but not however it is done
	never     = "–"
)

// TestA2_WhatEachEvidenceProves changes a log in every way, verifies it with every
// combination of evidence, and holds the table in docs/auditing.md to what was found.
func TestA2_WhatEachEvidenceProves(t *testing.T) {
	s := newSpecimen(t)
	for _, e := range combinations {
		if _, err := verify.Files([]string{s.Path}, s.options(e)); err != nil {
			t.Fatalf("the log as it was written, with %s: %v", e, err)
		}
	}
	docs, err := os.ReadFile("../../../docs/auditing.md")
	if err != nil {
		t.Fatal(err)
	}
	path := filepath.Join(t.TempDir(), "changed.log")
	for _, m := range mutations {
		all := m.make(s)
		row := "| " + m.what
		for _, e := range combinations {
			switch tried, missed := s.missed(t, path, all, e); missed {
			case 0:
				row += " | " + always
			case tried:
				row += " | " + never
			default:
				row += " | " + sometimes
			}
		}
		if row += " |"; !strings.Contains(string(docs), "\n"+row+"\n") {
			t.Errorf("docs/auditing.md does not have the row that this makes true:\n%s", row)
		}
	}
}

// holds is what a file holds for who reads it.
func holds(t *testing.T, path string) string {
	t.Helper()
	var b strings.Builder
	if err := verify.Lines([]string{path}, func(l []byte) error { b.Write(append(l, '\n')); return nil }); err != nil {
		t.Fatal(err)
	}
	return b.String()
}

// compressed are the forms that a rotated file can have.
var compressed = map[string]func(t *testing.T, content []byte) []byte{
	".gz": func(t *testing.T, content []byte) []byte {
		var b bytes.Buffer
		z := gzip.NewWriter(&b)
		if _, err := z.Write(content); err != nil {
			t.Fatal(err)
		}
		if err := z.Close(); err != nil {
			t.Fatal(err)
		}
		return b.Bytes()
	},
	".zst": func(t *testing.T, content []byte) []byte {
		z, err := zstd.NewWriter(nil)
		if err != nil {
			t.Fatal(err)
		}
		defer z.Close()
		return z.EncodeAll(content, nil)
	},
}

// TestA2_ACompressedLogHidesNothing compresses changed logs, and changes compressed
// ones.
func TestA2_ACompressedLogHidesNothing(t *testing.T) {
	s := newSpecimen(t)
	o := s.options(evidence{true, true, true})
	for ending, compress := range compressed {
		t.Run(ending, func(t *testing.T) {
			path := filepath.Join(t.TempDir(), "audit.log"+ending)
			check := func(content []byte) error {
				t.Helper()
				if err := os.WriteFile(path, content, 0o600); err != nil {
					t.Fatal(err)
				}
				_, err := verify.Files([]string{path}, o)
				return err
			}
			whole := compress(t, []byte(text(s.lines)))
			if err := check(whole); err != nil {
				t.Fatal(err)
			}
			for _, m := range mutations {
				all := m.make(s)
				for i := 0; i < len(all); i += 1 + len(all)/5 {
					if check(compress(t, []byte(all[i].content))) == nil {
						t.Errorf("%s: %s passed", m.what, all[i].what)
					}
				}
			}
			for n := 0; n < len(whole); n += 97 {
				if check(whole[:n]) == nil {
					t.Errorf("%d of %d bytes passed", n, len(whole))
				}
				flipped := bytes.Clone(whole)
				flipped[n] ^= 1 << (n % 8)
				// There are bits that change nothing of what the file holds.
				if check(flipped) == nil && holds(t, path) != text(s.lines) {
					t.Errorf("a bit turned in byte %d of %d passed", n, len(whole))
				}
			}
		})
	}
}
