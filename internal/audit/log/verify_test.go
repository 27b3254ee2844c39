package log

import (
	"compress/gzip"
	"crypto/sha256"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/go-jose/go-jose/v4"
	"github.com/klauspost/compress/zstd"

	"github.com/keyturn/keyturn/internal/audit"
	"github.com/keyturn/keyturn/internal/audit/line"
)

// tampered is a log of one chain: 12 events and 4 checkpoints, 16 lines.
func tampered(t *testing.T) (*fixture, []string) {
	t.Helper()
	f := newFixture(t)
	f.write(t, 12)
	lines := f.lines(t)
	if len(lines) != 16 {
		t.Fatalf("%d lines", len(lines))
	}
	return f, lines
}

func TestA2_EveryEditedByteIsFound(t *testing.T) {
	f, lines := tampered(t)
	const at = 10 // an event with lines of its chain on both sides
	if strings.Contains(lines[at-1], `"checkpoint"`) {
		t.Fatal("not an event")
	}
	text := lines[at-1]
	for i := range text {
		changed := slices.Clone(lines)
		b := []byte(text)
		switch c := b[i]; {
		case c == '9':
			b[i] = '0'
		case c >= '0' && c < '9', c >= 'a' && c < 'f':
			b[i]++
		case c == 'f':
			b[i] = 'a'
		default:
			b[i] ^= 1
		}
		changed[at-1] = string(b)
		mustFind(t, f.options(), at, "", writeLines(t, changed))
	}
}

// Without anchors and keys the chain alone must show it, and locate it.
func TestA2_TheChainAloneShowsEdits(t *testing.T) {
	_, lines := tampered(t)
	for _, c := range []struct{ what, from, to string }{
		{"an outcome", `"outcome":"success"`, `"outcome":"failure"`},
		{"a user", `"id":"u1"`, `"id":"u2"`},
		{"a time", `"@timestamp":"2`, `"@timestamp":"3`},
		{"the hash", `"prev":"`, `"prev":"0000`},
		{"the number", `"seq":9,`, `"seq":11,`},
		{"the number, downwards", `"seq":9,`, `"seq":8,`},
		{"the chain's id", `{"id":"`, `{"id":"01234567`},
		{"a space at the end", `"}}}`, `"}}} `},
		{"a carriage return at the end", `"}}}`, `"}}}` + "\r"},
	} {
		t.Run(c.what, func(t *testing.T) {
			changed := slices.Clone(lines)
			old := changed[9]
			edited := strings.Replace(old, c.from, c.to, 1)
			if extra := len(edited) - len(old); extra > 2 { // replaced, not inserted
				edited = strings.Replace(old, c.from+old[strings.Index(old, c.from)+len(c.from):][:extra], c.to, 1)
			}
			if edited == old {
				t.Fatal("nothing was changed")
			}
			changed[9] = edited
			mustFind(t, VerifyOptions{}, 10, "", writeLines(t, changed))
		})
	}
}

func TestA2_AnEditOfTheFirstOrLastLine(t *testing.T) {
	f, lines := tampered(t)
	for _, at := range []int{1, 15, 16} {
		changed := slices.Clone(lines)
		changed[at-1] = strings.Replace(changed[at-1], `"success"`, `"failure"`, 1)
		mustFind(t, f.options(), int64(at), "", writeLines(t, changed))
	}
}

func TestA2_TheLastLineUnderAnotherChainsID(t *testing.T) {
	f, lines := tampered(t)
	lines[14] = strings.Replace(lines[14], chainOf(lines[14])[:8], "01234567", 1)
	path := writeLines(t, lines[:15])
	mustFind(t, VerifyOptions{}, 15, "the id of another chain", path)
	mustFind(t, f.options(), 15, "", path)
}

func TestA2_RemovedLines(t *testing.T) {
	f, lines := tampered(t)
	mustFind(t, f.options(), 8, "line 7 of chain", writeLines(t, slices.Delete(slices.Clone(lines), 7, 8)))
	mustFind(t, f.options(), 8, "lines 7 to 9 of chain", writeLines(t, slices.Delete(slices.Clone(lines), 7, 10)))
}

func TestA2_AddedLines(t *testing.T) {
	f, lines := tampered(t)
	add := func(at int, text string) string { return writeLines(t, slices.Insert(slices.Clone(lines), at-1, text)) }
	edited := strings.Replace(lines[9], "u1", "u2", 1)
	badPrev := strings.Replace(edited, `"prev":"`+lines[9][strings.Index(lines[9], `"prev":"`)+8:][:4], `"prev":"0000`, 1)
	mustFind(t, f.options(), 10, "added", add(10, edited))
	mustFind(t, f.options(), 11, "added", add(11, edited))
	mustFind(t, f.options(), 10, "added", add(10, badPrev))
	mustFind(t, f.options(), 11, "repeated", add(11, lines[9]))
	mustFind(t, f.options(), 12, "repeated or out of order", add(12, lines[3]))
	mustFind(t, f.options(), 12, "begins again", add(12, lines[0]))
	mustFind(t, f.options(), 5, "not a line", add(5, "nonsense"))
	mustFind(t, f.options(), 5, "not a line", add(5, ""))
	mustFind(t, f.options(), 5, "64 KiB", add(5, strings.Repeat("x", line.Max+1)))
	mustFind(t, f.options(), 5, "64 KiB", add(5, strings.Repeat("x", 1<<20)))
}

func TestA2_ReorderedLines(t *testing.T) {
	f, lines := tampered(t)
	for i := range len(lines) - 1 {
		changed := slices.Clone(lines)
		changed[i], changed[i+1] = changed[i+1], changed[i]
		mustFind(t, f.options(), int64(i)+1, "", writeLines(t, changed))
	}
}

func TestA2_ACutOffTail(t *testing.T) {
	f, lines := tampered(t)
	for n := 1; n < len(lines); n++ {
		path := writeLines(t, lines[:n])
		mustFind(t, f.options(), int64(n), "cut off", path)
		part := f.options()
		part.Partial = true
		mustVerify(t, part, path)
		if n == 1 { // the first line without the signature that follows it
			mustFind(t, VerifyOptions{Keys: f.signer.keys()}, 1, "bears no signature", path)
		} else if rep := mustVerify(t, VerifyOptions{Keys: f.signer.keys()}, path); !strings.Contains(strings.Join(rep.Notes, ""), "not checked") {
			t.Errorf("%+v", rep)
		}
	}
	mustFind(t, f.options(), 0, "no line at all", writeLines(t, nil))
	half := filepath.Join(t.TempDir(), "half.log")
	if err := os.WriteFile(half, []byte(strings.Join(lines, "\n")[:len(strings.Join(lines, "\n"))-40]), 0o600); err != nil {
		t.Fatal(err)
	}
	mustFind(t, f.options(), 15, "cut off", half)
}

// rechain computes the hashes of the lines from index on anew, as a thief who
// knows the format would.
func rechain(lines []string, from int) {
	for i := max(from, 1); i < len(lines); i++ {
		sum := sha256.Sum256([]byte(lines[i-1]))
		k, err := line.Parse([]byte(lines[i]))
		if err != nil {
			panic(err)
		}
		lines[i] = string(k.Renamed([]byte(lines[i]), line.InHex(sum)))
	}
}

func TestA2_ARewrittenChainIsFound(t *testing.T) {
	f, lines := tampered(t)
	lines[9] = strings.Replace(lines[9], "u1", "u2", 1)
	rechain(lines, 10)
	path := writeLines(t, lines)
	// The checkpoint after the edit does not seal what stands there now.
	next := int64(slices.IndexFunc(lines[10:], func(s string) bool { return strings.Contains(s, `"checkpoint"`) }) + 11)
	mustFind(t, f.options(), next, "signed over other lines", path)
	mustFind(t, VerifyOptions{}, next, "signed over other lines", path)

	without := newFixture(t)
	l := without.open(t)
	l.SetSigner(nil)
	record(t, l, 8)
	closeLog(t, l)
	lines = without.lines(t)
	lines[3] = strings.Replace(lines[3], "u1", "u2", 1)
	rechain(lines, 4)
	mustFind(t, without.options(), 8, "holds as the head", writeLines(t, lines))
}

func TestA2_BadCheckpoints(t *testing.T) {
	f, lines := tampered(t)
	at := slices.IndexFunc(lines, func(s string) bool { return strings.Contains(s, `"checkpoint"`) })
	k, err := line.Parse([]byte(lines[at]))
	if err != nil {
		t.Fatal(err)
	}
	payload := []byte(fmt.Sprintf(`{"chain":%q,"seq":%d,"hash":%q,"iat":0}`, k.ID, k.Seq-1, k.Prev))
	forge := func(s *testSigner, typ string) string {
		jws, _, err := s.Sign(typ, payload)
		if err != nil {
			t.Fatal(err)
		}
		changed := slices.Clone(lines[:at+1])
		changed[at] = strings.Replace(changed[at], string(k.Checkpoint), jws, 1)
		return writeLines(t, changed)
	}
	o := f.options()
	o.Anchors = nil
	mustVerify(t, o, forge(f.signer, line.CheckpointType))
	mustFind(t, o, int64(at)+1, "checkpoint is not valid", forge(newSigner(t, "k1"), line.CheckpointType))
	mustFind(t, o, int64(at)+1, `key "k2" is unknown`, forge(newSigner(t, "k2"), line.CheckpointType))
	mustFind(t, o, int64(at)+1, "its typ is not", forge(f.signer, "at+jwt"))
	o.Keys = KeySet(jose.JSONWebKeySet{Keys: []jose.JSONWebKey{{Key: &f.signer.key.PublicKey, KeyID: "k1", Algorithm: "RS256"}}})
	mustFind(t, o, int64(at)+1, "algorithm", forge(f.signer, line.CheckpointType))
}

func TestA2_AChainPutThereIsFound(t *testing.T) {
	f, lines := tampered(t)
	other := newFixture(t)
	other.write(t, 2)
	forged := other.lines(t)
	changed := slices.Insert(slices.Clone(lines), 5, forged...)
	mustFind(t, f.options(), 6, "never heard of chain", writeLines(t, changed))
}

func TestA2_AWholeChainRemovedIsFound(t *testing.T) {
	f := newFixture(t)
	l := f.open(t)
	record(t, l, 2)
	f.write(t, 1) // a command, while the server runs
	record(t, l, 2)
	closeLog(t, l)
	f.write(t, 1) // and another, after it
	mustVerify(t, f.options(), f.path)
	ids := map[string]bool{}
	for _, text := range f.lines(t) {
		ids[chainOf(text)] = true
	}
	if len(ids) != 3 {
		t.Fatalf("%d chains", len(ids))
	}
	for id := range ids {
		if id == l.Chain() {
			continue
		}
		rest := slices.DeleteFunc(f.lines(t), func(text string) bool { return strings.Contains(text, id) })
		mustFind(t, f.options(), int64(len(rest)), "is in none of the files", writeLines(t, rest))
	}
}

func TestA2_TheBeginningOfALaterChainRemovedIsFound(t *testing.T) {
	at := time.Date(2026, 11, 24, 0, 0, 0, 0, time.UTC)
	f := newFixture(t)
	l := f.open(t, func(o *Options) { o.Now = func() time.Time { return at } })
	l.SetSigner(nil) // its checkpoint would come between the lines of the second
	record(t, l, 1)
	second := f.open(t, func(o *Options) { o.Now = func() time.Time { return at.Add(time.Second) } })
	record(t, second, 3)
	closeLog(t, second)
	closeLog(t, l)
	lines := f.lines(t)
	first := slices.IndexFunc(lines, func(s string) bool { return strings.Contains(s, second.Chain()) })
	mustFind(t, f.options(), int64(first)+1, "the first 1 lines", writeLines(t, slices.Delete(lines, first, first+1)))
}

func TestA2_TheFirstLineMustFollowTheAnchor(t *testing.T) {
	f, lines := tampered(t)
	o := f.options()
	k, err := line.Parse([]byte(lines[9]))
	if err != nil {
		t.Fatal(err)
	}
	path := writeLines(t, lines[9:])
	o.Anchors[0].Seq, o.Anchors[0].Hash = k.Seq-1, string(k.Prev)
	mustVerify(t, o, path)
	o.Anchors[0].Hash = line.NoHash
	mustFind(t, o, 1, "does not follow", path)
}

func TestA2_OtherMachinesChainsAreNotMissed(t *testing.T) {
	f := newFixture(t)
	f.write(t, 2)
	o := f.options()
	o.Anchors = append(o.Anchors, audit.Anchor{Chain: line.NewChainID(time.Now()), Seq: 9, Node: "host:/another/file", At: time.Now()})
	mustVerify(t, o, f.path)
	o.Anchors = append(o.Anchors, audit.Anchor{Chain: line.NewChainID(time.Now()), Seq: -1, Node: o.Anchors[0].Node, At: time.Now()})
	mustVerify(t, o, f.path)
}

// TestA2_PipesAreReadOnce verifies what a shell's <(zcat old.gz) holds, alone and
// before a file.
func TestA2_PipesAreReadOnce(t *testing.T) {
	f, lines := tampered(t)
	pipe := func(lines []string) string {
		r, w, err := os.Pipe()
		if err != nil {
			t.Fatal(err)
		}
		t.Cleanup(func() { _ = r.Close() })
		if _, err := w.WriteString(strings.Join(lines, "\n") + "\n"); err != nil {
			t.Fatal(err)
		}
		if err := w.Close(); err != nil {
			t.Fatal(err)
		}
		return fmt.Sprintf("/dev/fd/%d", r.Fd())
	}
	mustVerify(t, f.options(), pipe(lines))
	mustVerify(t, f.options(), pipe(lines[:9]), writeLines(t, lines[9:]))
}

func TestA2_CompressedFilesAndStandardInput(t *testing.T) {
	f, lines := tampered(t)
	plain := writeLines(t, lines[9:])
	zipped := filepath.Join(t.TempDir(), "audit.log.1.gz")
	out, err := os.Create(zipped)
	if err != nil {
		t.Fatal(err)
	}
	z := gzip.NewWriter(out)
	if _, err := z.Write([]byte(strings.Join(lines[:9], "\n") + "\n")); err != nil {
		t.Fatal(err)
	}
	if err := z.Close(); err != nil {
		t.Fatal(err)
	}
	if err := out.Close(); err != nil {
		t.Fatal(err)
	}
	packed := filepath.Join(t.TempDir(), "audit.log.1.zst")
	enc, err := zstd.NewWriter(nil)
	if err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(packed, enc.EncodeAll([]byte(strings.Join(lines[:9], "\n")+"\n"), nil), 0o600); err != nil {
		t.Fatal(err)
	}
	for _, old := range []string{zipped, packed} {
		if rep := mustVerify(t, f.options(), plain, old); rep.Lines != 16 {
			t.Errorf("%+v", rep)
		}
		content, err := os.ReadFile(old)
		if err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(old+".cut", content[:len(content)-10], 0o600); err != nil {
			t.Fatal(err)
		}
		if _, err := Verify([]string{old + ".cut", plain}, f.options()); err == nil {
			t.Errorf("%s passed though it ends too early", old)
		}
	}
	in, err := os.Open(plain)
	if err != nil {
		t.Fatal(err)
	}
	defer in.Close()
	stdin := os.Stdin
	os.Stdin = in
	defer func() { os.Stdin = stdin }()
	if rep := mustVerify(t, f.options(), zipped, "-"); rep.Lines != 16 || rep.Anchored != 1 {
		t.Errorf("%+v", rep)
	}
	if _, err := Verify([]string{filepath.Join(t.TempDir(), "none")}, f.options()); !errors.Is(err, os.ErrNotExist) {
		t.Errorf("got %v", err)
	}
}

// TestVerifyEachPassesOnWhatItDoubts reads a log with a changed line whole, and
// names the line all the same.
func TestVerifyEachPassesOnWhatItDoubts(t *testing.T) {
	f := newFixture(t)
	f.write(t, 12)
	lines := f.lines(t)
	lines[3] = strings.Replace(lines[3], `"u1"`, `"u2"`, 1)
	path := writeLines(t, append(lines, "{}"))
	var got []string
	_, err := VerifyEach([]string{path}, f.options(), func(text []byte) error { got = append(got, string(text)); return nil })
	var bad *BadLine
	if !errors.As(err, &bad) || bad.Line != 4 {
		t.Errorf("got %v, want line 4", err)
	}
	if !slices.Equal(got, append(lines, "{}")) {
		t.Errorf("%d of %d lines passed on", len(got), len(lines)+1)
	}
	stop := errors.New("stop")
	if _, err := VerifyEach([]string{f.path}, f.options(), func([]byte) error { return stop }); err != stop {
		t.Errorf("got %v", err)
	}
	n := 0
	rep, err := VerifyEach([]string{f.path}, f.options(), func([]byte) error { n++; return nil })
	if err != nil || int64(n) != rep.Lines || rep.Checkpoints == 0 {
		t.Errorf("%d lines, %+v, %v", n, rep, err)
	}
	if err := os.Remove(f.path); err != nil {
		t.Fatal(err)
	}
	if _, err := VerifyEach([]string{f.path}, f.options(), func([]byte) error { return nil }); !errors.Is(err, os.ErrNotExist) {
		t.Errorf("got %v", err)
	}
}
