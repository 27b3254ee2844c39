package verify_test

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

	"github.com/go-jose/go-jose/v4"
	"github.com/klauspost/compress/zstd"

	"github.com/keyturn/keyturn/internal/audit/audittest"
	"github.com/keyturn/keyturn/internal/audit/line"
	"github.com/keyturn/keyturn/internal/audit/verify"
)

// tampered is a log of one chain: 12 events and 4 checkpoints, 16 lines.
func tampered(t *testing.T) (*audittest.Fixture, []string) {
	t.Helper()
	f := audittest.NewFixture(t)
	f.Write(t, 12)
	lines := f.Lines(t)
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
		audittest.MustFind(t, f.Options(), at, "", audittest.WriteLines(t, changed))
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
			audittest.MustFind(t, verify.Options{}, 10, "", audittest.WriteLines(t, changed))
		})
	}
}

func TestA2_AnEditOfTheFirstOrLastLine(t *testing.T) {
	f, lines := tampered(t)
	for _, at := range []int{1, 15, 16} {
		changed := slices.Clone(lines)
		changed[at-1] = strings.Replace(changed[at-1], `"success"`, `"failure"`, 1)
		audittest.MustFind(t, f.Options(), int64(at), "", audittest.WriteLines(t, changed))
	}
}

func TestA2_TheLastLineUnderAnotherChainsID(t *testing.T) {
	f, lines := tampered(t)
	lines[14] = strings.Replace(lines[14], chainOf(lines[14])[:8], "01234567", 1)
	path := audittest.WriteLines(t, lines[:15])
	audittest.MustFind(t, verify.Options{}, 15, "the id of another chain", path)
	audittest.MustFind(t, f.Options(), 15, "", path)
}

func TestA2_RemovedLines(t *testing.T) {
	f, lines := tampered(t)
	audittest.MustFind(t, f.Options(), 8, "line 7 of chain", audittest.WriteLines(t, slices.Delete(slices.Clone(lines), 7, 8)))
	audittest.MustFind(t, f.Options(), 8, "lines 7 to 9 of chain", audittest.WriteLines(t, slices.Delete(slices.Clone(lines), 7, 10)))
}

func TestA2_AddedLines(t *testing.T) {
	f, lines := tampered(t)
	add := func(at int, text string) string {
		return audittest.WriteLines(t, slices.Insert(slices.Clone(lines), at-1, text))
	}
	edited := strings.Replace(lines[9], "u1", "u2", 1)
	badPrev := strings.Replace(edited, `"prev":"`+lines[9][strings.Index(lines[9], `"prev":"`)+8:][:4], `"prev":"0000`, 1)
	audittest.MustFind(t, f.Options(), 10, "added", add(10, edited))
	audittest.MustFind(t, f.Options(), 11, "added", add(11, edited))
	audittest.MustFind(t, f.Options(), 10, "added", add(10, badPrev))
	audittest.MustFind(t, f.Options(), 11, "repeated", add(11, lines[9]))
	audittest.MustFind(t, f.Options(), 12, "repeated or out of order", add(12, lines[3]))
	audittest.MustFind(t, f.Options(), 12, "begins again", add(12, lines[0]))
	audittest.MustFind(t, f.Options(), 5, "not a line", add(5, "nonsense"))
	audittest.MustFind(t, f.Options(), 5, "not a line", add(5, ""))
	audittest.MustFind(t, f.Options(), 5, "64 KiB", add(5, strings.Repeat("x", line.Max+1)))
	audittest.MustFind(t, f.Options(), 5, "64 KiB", add(5, strings.Repeat("x", 1<<20)))
}

func TestA2_ReorderedLines(t *testing.T) {
	f, lines := tampered(t)
	for i := range len(lines) - 1 {
		changed := slices.Clone(lines)
		changed[i], changed[i+1] = changed[i+1], changed[i]
		audittest.MustFind(t, f.Options(), int64(i)+1, "", audittest.WriteLines(t, changed))
	}
}

func TestA2_ACutOffTail(t *testing.T) {
	f, lines := tampered(t)
	for n := 1; n < len(lines); n++ {
		path := audittest.WriteLines(t, lines[:n])
		audittest.MustFind(t, f.Options(), int64(n), "cut off", path)
		part := f.Options()
		part.Partial = true
		audittest.MustVerify(t, part, path)
		if n == 1 { // the first line without the signature that follows it
			audittest.MustFind(t, verify.Options{Keys: f.Signer.Keys()}, 1, "bears no signature", path)
		} else if rep := audittest.MustVerify(t, verify.Options{Keys: f.Signer.Keys()}, path); !strings.Contains(strings.Join(rep.Notes, ""), "not checked") {
			t.Errorf("%+v", rep)
		}
	}
	audittest.MustFind(t, f.Options(), 0, "is in none of the files", audittest.WriteLines(t, nil))
	half := filepath.Join(t.TempDir(), "half.log")
	if err := os.WriteFile(half, []byte(strings.Join(lines, "\n")[:len(strings.Join(lines, "\n"))-40]), 0o600); err != nil {
		t.Fatal(err)
	}
	audittest.MustFind(t, f.Options(), 15, "cut off", half)
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
	path := audittest.WriteLines(t, lines)
	// The checkpoint after the edit does not seal what stands there now.
	next := int64(slices.IndexFunc(lines[10:], func(s string) bool { return strings.Contains(s, `"checkpoint"`) }) + 11)
	audittest.MustFind(t, f.Options(), next, "signed over other lines", path)
	audittest.MustFind(t, verify.Options{}, next, "signed over other lines", path)

	without := audittest.NewFixture(t)
	l := without.Open(t)
	l.SetSigner(nil)
	audittest.Record(t, l, 8)
	audittest.Close(t, l)
	lines = without.Lines(t)
	lines[3] = strings.Replace(lines[3], "u1", "u2", 1)
	rechain(lines, 4)
	audittest.MustFind(t, without.Options(), 8, "holds as the head", audittest.WriteLines(t, lines))
}

func TestA2_BadCheckpoints(t *testing.T) {
	f, lines := tampered(t)
	at := slices.IndexFunc(lines, func(s string) bool { return strings.Contains(s, `"checkpoint"`) })
	k, err := line.Parse([]byte(lines[at]))
	if err != nil {
		t.Fatal(err)
	}
	payload := []byte(fmt.Sprintf(`{"chain":%q,"seq":%d,"hash":%q,"iat":0}`, k.ID, k.Seq-1, k.Prev))
	forge := func(s *audittest.Signer, typ string) string {
		jws, _, err := s.Sign(typ, payload)
		if err != nil {
			t.Fatal(err)
		}
		changed := slices.Clone(lines[:at+1])
		changed[at] = strings.Replace(changed[at], string(k.Checkpoint), jws, 1)
		return audittest.WriteLines(t, changed)
	}
	o := f.Options()
	o.Anchors = nil
	audittest.MustVerify(t, o, forge(f.Signer, line.CheckpointType))
	audittest.MustFind(t, o, int64(at)+1, "checkpoint is not valid", forge(audittest.NewSigner(t, "k1"), line.CheckpointType))
	audittest.MustFind(t, o, int64(at)+1, `key "k2" is unknown`, forge(audittest.NewSigner(t, "k2"), line.CheckpointType))
	audittest.MustFind(t, o, int64(at)+1, "its typ is not", forge(f.Signer, "at+jwt"))
	other := f.Signer.JWK()
	other.Algorithm = "RS256"
	o.Keys = verify.KeySet(jose.JSONWebKeySet{Keys: []jose.JSONWebKey{other}})
	audittest.MustFind(t, o, int64(at)+1, "algorithm", forge(f.Signer, line.CheckpointType))
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
	audittest.MustVerify(t, f.Options(), pipe(lines))
	audittest.MustVerify(t, f.Options(), pipe(lines[:9]), audittest.WriteLines(t, lines[9:]))
}

func TestA2_CompressedFilesAndStandardInput(t *testing.T) {
	f, lines := tampered(t)
	plain := audittest.WriteLines(t, lines[9:])
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
		if rep := audittest.MustVerify(t, f.Options(), plain, old); rep.Lines != 16 {
			t.Errorf("%+v", rep)
		}
		content, err := os.ReadFile(old)
		if err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(old+".cut", content[:len(content)-10], 0o600); err != nil {
			t.Fatal(err)
		}
		if _, err := verify.Files([]string{old + ".cut", plain}, f.Options()); err == nil {
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
	if rep := audittest.MustVerify(t, f.Options(), zipped, "-"); rep.Lines != 16 || rep.Anchored != 1 {
		t.Errorf("%+v", rep)
	}
	if _, err := verify.Files([]string{filepath.Join(t.TempDir(), "none")}, f.Options()); !errors.Is(err, os.ErrNotExist) {
		t.Errorf("got %v", err)
	}
}

// TestVerifyEachPassesOnWhatItDoubts reads a log with a changed line whole, and
// names the line all the same.
func TestVerifyEachPassesOnWhatItDoubts(t *testing.T) {
	f := audittest.NewFixture(t)
	f.Write(t, 12)
	lines := f.Lines(t)
	lines[3] = strings.Replace(lines[3], `"u1"`, `"u2"`, 1)
	path := audittest.WriteLines(t, append(lines, "{}"))
	var got []string
	_, err := verify.Each([]string{path}, f.Options(), func(text []byte) error { got = append(got, string(text)); return nil })
	var bad *verify.BadLine
	if !errors.As(err, &bad) || bad.Line != 4 {
		t.Errorf("got %v, want line 4", err)
	}
	if !slices.Equal(got, append(lines, "{}")) {
		t.Errorf("%d of %d lines passed on", len(got), len(lines)+1)
	}
	stop := errors.New("stop")
	if _, err := verify.Each([]string{f.Path}, f.Options(), func([]byte) error { return stop }); err != stop {
		t.Errorf("got %v", err)
	}
	n := 0
	rep, err := verify.Each([]string{f.Path}, f.Options(), func([]byte) error { n++; return nil })
	if err != nil || int64(n) != rep.Lines || rep.Checkpoints == 0 {
		t.Errorf("%d lines, %+v, %v", n, rep, err)
	}
	if err := os.Remove(f.Path); err != nil {
		t.Fatal(err)
	}
	if _, err := verify.Each([]string{f.Path}, f.Options(), func([]byte) error { return nil }); !errors.Is(err, os.ErrNotExist) {
		t.Errorf("got %v", err)
	}
}
