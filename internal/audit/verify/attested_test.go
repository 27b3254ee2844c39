package verify_test

import (
	"bytes"
	"os"
	"slices"
	"strings"
	"testing"

	"github.com/go-jose/go-jose/v4"

	"github.com/keyturn/keyturn/internal/audit"
	"github.com/keyturn/keyturn/internal/audit/audittest"
	"github.com/keyturn/keyturn/internal/audit/line"
	auditlog "github.com/keyturn/keyturn/internal/audit/log"
	"github.com/keyturn/keyturn/internal/audit/verify"
)

// restarted is a log of two servers' lives, the second of which attests the
// first, as a store that was set back to before both would show it.
func restarted(t *testing.T) (*audittest.Fixture, []string, int) {
	t.Helper()
	f := audittest.NewFixture(t)
	f.Write(t, 4)
	first := len(f.Lines(t))
	l := f.Open(t, func(o *auditlog.Options) { o.Seen = f.Anchors.All() })
	audittest.Record(t, l, 3)
	audittest.Close(t, l)
	return f, f.Lines(t), first
}

// setBack changes what the store holds, as its thief can.
func setBack(f *audittest.Fixture, chain string, seq int64, hash string) verify.Options {
	o := f.Options()
	for i := range o.Anchors {
		if o.Anchors[i].Chain == chain {
			o.Anchors[i].Seq, o.Anchors[i].Hash = seq, hash
		}
	}
	return o
}

func TestA2_ATailCutOffInLogAndStoreIsFoundByALaterSignature(t *testing.T) {
	f, lines, first := restarted(t)
	audittest.MustVerify(t, f.Options(), f.Path)
	for n := 1; n < first; n++ {
		cut := slices.Concat(lines[:n], lines[first:])
		k, err := line.Parse([]byte(lines[n]))
		if err != nil {
			t.Fatal(err)
		}
		o := setBack(f, chainOf(lines[0]), k.Seq-1, string(k.Prev))
		audittest.MustFind(t, o, int64(n), "attests line", audittest.WriteLines(t, cut))
	}
}

func TestA2_AChainTakenOutOfLogAndStoreIsFoundByALaterSignature(t *testing.T) {
	f := audittest.NewFixture(t)
	l := f.Open(t)
	audittest.Record(t, l, 1)
	f.Write(t, 2) // a chain within the other's life, so that its absence shows
	lines := f.Lines(t)
	outer := chainOf(lines[0])
	inner := chainOf(lines[slices.IndexFunc(lines, func(s string) bool { return chainOf(s) != outer })])
	later := f.Open(t, func(o *auditlog.Options) { o.Seen = f.Anchors.All() })
	audittest.Record(t, later, 1)
	audittest.Close(t, later)
	audittest.Close(t, l)
	o := f.Options()
	o.Anchors = slices.DeleteFunc(o.Anchors, func(a audit.Anchor) bool { return a.Chain == inner })
	rest := slices.DeleteFunc(f.Lines(t), func(s string) bool { return chainOf(s) == inner })
	audittest.MustFind(t, o, 0, "is in none of the files", audittest.WriteLines(t, rest))
}

func TestA2_AChainRestartedByAThiefOfLogAndStore(t *testing.T) {
	f, lines, first := restarted(t)
	// The thief throws the log away and begins it anew in the store's name.
	thief := audittest.NewFixture(t)
	l := thief.Open(t)
	l.SetSigner(nil)
	audittest.Record(t, l, 5)
	audittest.Close(t, l)
	o := verify.Options{Keys: f.Signer.Keys(), Anchors: thief.Anchors.All()}
	audittest.MustFind(t, o, 1, "bears no signature", thief.Path)

	// With keys of the thief's own it is no better.
	own := audittest.NewFixture(t)
	own.Signer.KID = "thief"
	own.Write(t, 5)
	o.Anchors = own.Anchors.All()
	audittest.MustFind(t, o, 2, `key "thief" is unknown`, own.Path)

	// In the place of one chain it is found too, and so is one whose hashes
	// were computed anew.
	replaced := slices.Concat(thief.Lines(t), lines[first:])
	o.Anchors = append(o.Anchors, append(thief.Anchors.All(), f.Anchors.All()...)...)
	audittest.MustFind(t, o, 1, "bears no signature", audittest.WriteLines(t, replaced))
}

func TestA2_HeadsKeptElsewhereShowWhatTheStoreNoLongerKnows(t *testing.T) {
	f, lines, first := restarted(t)
	kept := f.Anchors.All()
	// Log and store are set back to before the second life.
	old := audittest.WriteLines(t, lines[:first])
	firstLife := func(a audit.Anchor) bool { return a.Chain == chainOf(lines[0]) }
	o := f.Options()
	o.Anchors = slices.DeleteFunc(o.Anchors, func(a audit.Anchor) bool { return !firstLife(a) })
	audittest.MustVerify(t, o, old)
	o.Heads = kept
	audittest.MustFind(t, o, 0, "(the list of heads knows it) is in none", old)
	// Or to the middle of the first.
	o.Anchors = nil
	audittest.MustFind(t, o, 2, "the list of heads attests line", audittest.WriteLines(t, lines[:2]))
	audittest.MustVerify(t, o, f.Path)
	o.Heads[slices.IndexFunc(o.Heads, firstLife)].Hash = line.NoHash
	audittest.MustFind(t, o, int64(first), "the list of heads attests as line", f.Path)
}

// A command on a deployment that gives it no master key cannot sign. Its chain
// may hold only what such a command writes, and the next server vouches for it.
func TestA2_UnsignedChainsOfCommands(t *testing.T) {
	f := audittest.NewFixture(t)
	l := f.Open(t)
	l.SetSigner(keyless{})
	for range 2 {
		if err := l.Record(t.Context(), audit.Event{Action: audit.UserAdded, Outcome: audit.Success, UserID: "u1"}); err != nil {
			t.Fatal(err)
		}
	}
	audittest.Close(t, l)
	rep := audittest.MustVerify(t, f.Options(), f.Path)
	if len(rep.Notes) != 1 || !strings.Contains(rep.Notes[0], "bears no signature") {
		t.Errorf("%+v", rep)
	}
	strict := f.Options()
	strict.Signed = true
	audittest.MustFind(t, strict, 1, "bears no signature", f.Path)

	server := f.Open(t, func(o *auditlog.Options) { o.Seen = f.Anchors.All() })
	audittest.Record(t, server, 1)
	audittest.Close(t, server)
	strict.Anchors = f.Anchors.All()
	if rep := audittest.MustVerify(t, strict, f.Path); len(rep.Notes) != 0 {
		t.Errorf("attested by the server, yet %+v", rep)
	}
	strict.Heads = strict.Anchors // the signature counts beside a list of heads
	audittest.MustVerify(t, strict, f.Path)
	edited := f.Lines(t)
	edited[1] = strings.Replace(edited[1], "u1", "u2", 1)
	audittest.MustFind(t, verify.Options{Keys: f.Signer.Keys()}, 2, "attests as line 1", audittest.WriteLines(t, edited))
}

// keyless is the signer of a command without master keys.
type keyless struct{}

func (keyless) Sign(string, []byte) (string, string, error) { return "", "", auditlog.ErrNoKey }

func TestA2_LinesAfterTheLastSignatureAreNoted(t *testing.T) {
	f, lines := tampered(t)
	rep := audittest.MustVerify(t, verify.Options{Keys: f.Signer.Keys()}, audittest.WriteLines(t, lines[:len(lines)-1]))
	if !strings.Contains(strings.Join(rep.Notes, "\n"), "comes after its last signature") {
		t.Errorf("%+v", rep)
	}
}

// Keys that retired long ago verify from a file with their public halves.
func TestA2_LogsOfLongRetiredKeys(t *testing.T) {
	f := audittest.NewFixture(t)
	var set jose.JSONWebKeySet
	for _, kid := range []string{"of 2019", "of 2021", "of 2023"} {
		s := audittest.NewSigner(t, kid)
		set.Keys = append(set.Keys, s.JWK())
		f.Signer = s
		f.Write(t, 3)
	}
	o := verify.Options{Keys: verify.KeySet(set)}
	if rep := audittest.MustVerify(t, o, f.Path); rep.Checkpoints != 6 || rep.Chains != 3 {
		t.Errorf("%+v", rep)
	}
	set.Keys = set.Keys[1:]
	o.Keys = verify.KeySet(set)
	audittest.MustFind(t, o, 2, `key "of 2019" is unknown`, f.Path)
}

func TestA2_AnOldFileInTheNewOnesPlace(t *testing.T) {
	f := audittest.NewFixture(t)
	l := f.Open(t)
	audittest.Record(t, l, 6)
	old, err := os.ReadFile(f.Path)
	if err != nil {
		t.Fatal(err)
	}
	old = old[:bytes.LastIndexByte(old, '\n')+1] // the writer may be at a checkpoint
	audittest.Record(t, l, 6)
	audittest.Close(t, l)
	if err := os.WriteFile(f.Path, old, 0o600); err != nil {
		t.Fatal(err)
	}
	audittest.MustFind(t, f.Options(), int64(len(audittest.SplitLines(string(old)))), "cut off", f.Path)
	// Or once more behind the new one.
	other := f.Path + ".1"
	if err := os.WriteFile(other, old, 0o600); err != nil {
		t.Fatal(err)
	}
	audittest.MustFind(t, f.Options(), 1, "begins again", f.Path, other)
}
