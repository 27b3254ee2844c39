package verify_test

import (
	"errors"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/keyturn/keyturn/internal/audit"
	"github.com/keyturn/keyturn/internal/audit/audittest"
	"github.com/keyturn/keyturn/internal/audit/line"
	auditlog "github.com/keyturn/keyturn/internal/audit/log"
	"github.com/keyturn/keyturn/internal/audit/verify"
)

func TestA2_AChainPutThereIsFound(t *testing.T) {
	f, lines := tampered(t)
	other := audittest.NewFixture(t)
	other.Write(t, 2)
	forged := other.Lines(t)
	changed := slices.Insert(slices.Clone(lines), 5, forged...)
	audittest.MustFind(t, f.Options(), 6, "never heard of chain", audittest.WriteLines(t, changed))
}

func TestA2_AWholeChainRemovedIsFound(t *testing.T) {
	f := audittest.NewFixture(t)
	l := f.Open(t)
	audittest.Record(t, l, 2)
	f.Write(t, 1) // a command, while the server runs
	audittest.Record(t, l, 2)
	audittest.Close(t, l)
	f.Write(t, 1) // and another, after it
	audittest.MustVerify(t, f.Options(), f.Path)
	ids := map[string]bool{}
	for _, text := range f.Lines(t) {
		ids[chainOf(text)] = true
	}
	if len(ids) != 3 {
		t.Fatalf("%d chains", len(ids))
	}
	for id := range ids {
		if id == chainOf(f.Lines(t)[0]) {
			continue
		}
		rest := slices.DeleteFunc(f.Lines(t), func(text string) bool { return strings.Contains(text, id) })
		audittest.MustFind(t, f.Options(), 0, "is in none of the files", audittest.WriteLines(t, rest))
	}
}

func TestA2_TheBeginningOfALaterChainRemovedIsFound(t *testing.T) {
	at := time.Date(2026, 11, 24, 0, 0, 0, 0, time.UTC)
	f := audittest.NewFixture(t)
	l := f.Open(t, func(o *auditlog.Options) { o.Now = func() time.Time { return at } })
	l.SetSigner(nil) // its checkpoint would come between the lines of the second
	audittest.Record(t, l, 1)
	second := f.Open(t, func(o *auditlog.Options) { o.Now = func() time.Time { return at.Add(time.Second) } })
	audittest.Record(t, second, 3)
	audittest.Close(t, second)
	audittest.Close(t, l)
	lines := f.Lines(t)
	first := slices.IndexFunc(lines, func(s string) bool { return chainOf(s) != chainOf(lines[0]) })
	audittest.MustFind(t, f.Options(), int64(first)+1, "the first 1 lines", audittest.WriteLines(t, slices.Delete(lines, first, first+1)))
}

func TestA2_TheFirstLineMustFollowTheAnchor(t *testing.T) {
	f, lines := tampered(t)
	o := f.Options()
	k, err := line.Parse([]byte(lines[9]))
	if err != nil {
		t.Fatal(err)
	}
	path := audittest.WriteLines(t, lines[9:])
	o.Anchors[0].Seq, o.Anchors[0].Hash = k.Seq-1, string(k.Prev)
	o.Since = time.Now()
	audittest.MustVerify(t, o, path)
	o.Anchors[0].Hash = line.NoHash
	audittest.MustFind(t, o, 1, "does not follow", path)
}

func TestA2_ChainsElsewhereAreNamedUntilSaid(t *testing.T) {
	f := audittest.NewFixture(t)
	f.Write(t, 2)
	o := f.Options()
	o.Anchors = append(o.Anchors, audit.Anchor{Chain: line.NewChainID(time.Now()), Seq: 9, Node: "host:/another/file", At: time.Now()})
	audittest.MustFind(t, o, 0, "of 10 lines at least (the store knows it) is in none", f.Path)
	for _, said := range []string{"host:/another/file", "host:/another/*"} {
		o.Elsewhere = []string{said}
		audittest.MustVerify(t, o, f.Path)
	}
	o.Elsewhere = []string{"host:/another"}
	audittest.MustFind(t, o, 0, "is in none", f.Path)
	// Words have a limit; what programs read names all.
	for range 29 {
		o.Anchors = append(o.Anchors, audit.Anchor{Chain: line.NewChainID(time.Now()), Seq: 9, Node: "host:/another/file", At: time.Now()})
	}
	var bad *verify.BadLine
	if _, err := verify.Files([]string{f.Path}, o); !errors.As(err, &bad) || len(bad.Missing) != 30 || !strings.Contains(bad.Reason, "and 10 more") {
		t.Errorf("of 30 chains that are missing: %v", err)
	}
	o.Anchors = o.Anchors[:1]
	o.Anchors = append(o.Anchors, audit.Anchor{Chain: line.NewChainID(time.Now()), Seq: -1, Node: o.Anchors[0].Node, At: time.Now()})
	audittest.MustVerify(t, o, f.Path)
}

// TestA2_WhatAnOptionWaivesIsSaid: an option that lets a known chain be missing says of
// which nodes, and --since lets none be missing in files that do not reach back to it.
func TestA2_WhatAnOptionWaivesIsSaid(t *testing.T) {
	f := audittest.NewFixture(t)
	f.Write(t, 2)
	begun := line.Time([]byte(f.Lines(t)[0]))
	empty := audittest.WriteLines(t, nil)
	own := f.Options().Anchors[0].Node
	for _, c := range []struct {
		name, node, file string
		since            time.Time
		part             bool
		elsewhere        string
		note             string // or "" if the chain is missing
	}{
		{"the files reach back", own, f.Path, begun.Add(time.Second), false, "", "1 (1 of " + own + "), and they end before"},
		{"the files of another node reach back", "gone:/log", f.Path, begun.Add(time.Second), false, "", "1 (1 of gone:/log), and they end before"},
		{"the files begin later", own, f.Path, begun.Add(-time.Second), false, "", ""},
		{"the files of another node begin later", "gone:/log", f.Path, begun.Add(-time.Second), false, "", ""},
		{"no line", own, empty, begun.Add(time.Hour), false, "", ""},
		{"no line, the chain elsewhere", own, empty, time.Time{}, false, own, "2 (2 of " + own + "), and --elsewhere says"},
		{"the chain elsewhere", "gone:/log", f.Path, time.Time{}, false, "gone:*", "1 (1 of gone:/log), and --elsewhere says"},
		{"a part", "gone:/log", f.Path, time.Time{}, true, "", "1 (1 of gone:/log), and --partial says"},
	} {
		o := f.Options()
		old := begun.Add(-time.Minute)
		o.Anchors = append(o.Anchors, audit.Anchor{Chain: line.NewChainID(old), Seq: 9, Node: c.node, At: old})
		o.Since, o.Partial = c.since, c.part
		if c.elsewhere != "" {
			o.Elsewhere = []string{c.elsewhere}
		}
		for by, o := range map[string]verify.Options{"the store": o, "the list of heads": {Heads: o.Anchors, Since: o.Since, Partial: o.Partial, Elsewhere: o.Elsewhere}} {
			rep, err := verify.Files([]string{c.file}, o)
			var bad *verify.BadLine
			switch {
			case c.note == "" && (!errors.As(err, &bad) || len(bad.Missing) == 0 || !strings.Contains(bad.Reason, "do not reach back")):
				t.Errorf("%s, known by %s: %v", c.name, by, err)
			case c.note != "" && (err != nil || !strings.Contains(strings.Join(rep.Notes, "\n"), c.note)):
				t.Errorf("%s, known by %s: %v, %q", c.name, by, err, rep.Notes)
			}
		}
	}
}
