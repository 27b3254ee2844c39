package log

import (
	"os"
	"slices"
	"strings"
	"testing"

	"github.com/go-jose/go-jose/v4"

	"github.com/keyturn/keyturn/internal/audit"
	"github.com/keyturn/keyturn/internal/audit/line"
)

// restarted is a log of two servers' lives, the second of which attests the
// first, as a store that was set back to before both would show it.
func restarted(t *testing.T) (*fixture, []string, int) {
	t.Helper()
	f := newFixture(t)
	f.write(t, 4)
	first := len(f.lines(t))
	l := f.open(t, func(o *Options) { o.Seen = f.anchors.all() })
	record(t, l, 3)
	closeLog(t, l)
	return f, f.lines(t), first
}

// setBack changes what the store holds, as its thief can.
func (f *fixture) setBack(chain string, seq int64, hash string) VerifyOptions {
	o := f.options()
	for i := range o.Anchors {
		if o.Anchors[i].Chain == chain {
			o.Anchors[i].Seq, o.Anchors[i].Hash = seq, hash
		}
	}
	return o
}

func TestA2_ATailCutOffInLogAndStoreIsFoundByALaterSignature(t *testing.T) {
	f, lines, first := restarted(t)
	mustVerify(t, f.options(), f.path)
	for n := 1; n < first; n++ {
		cut := slices.Concat(lines[:n], lines[first:])
		k, err := line.Parse([]byte(lines[n]))
		if err != nil {
			t.Fatal(err)
		}
		o := f.setBack(chainOf(lines[0]), k.Seq-1, string(k.Prev))
		mustFind(t, o, int64(n), "attests line", writeLines(t, cut))
	}
}

func TestA2_AChainTakenOutOfLogAndStoreIsFoundByALaterSignature(t *testing.T) {
	f := newFixture(t)
	l := f.open(t)
	record(t, l, 1)
	f.write(t, 2) // a chain within the other's life, so that its absence shows
	lines := f.lines(t)
	outer := chainOf(lines[0])
	inner := chainOf(lines[slices.IndexFunc(lines, func(s string) bool { return chainOf(s) != outer })])
	later := f.open(t, func(o *Options) { o.Seen = f.anchors.all() })
	record(t, later, 1)
	closeLog(t, later)
	closeLog(t, l)
	o := f.options()
	o.Anchors = slices.DeleteFunc(o.Anchors, func(a audit.Anchor) bool { return a.Chain == inner })
	rest := slices.DeleteFunc(f.lines(t), func(s string) bool { return chainOf(s) == inner })
	mustFind(t, o, int64(len(rest)), "is in none of the files", writeLines(t, rest))
}

func TestA2_AChainRestartedByAThiefOfLogAndStore(t *testing.T) {
	f, lines, first := restarted(t)
	// The thief throws the log away and begins it anew in the store's name.
	thief := newFixture(t)
	l := thief.open(t)
	l.SetSigner(nil)
	record(t, l, 5)
	closeLog(t, l)
	o := VerifyOptions{Keys: f.signer.keys(), Anchors: thief.anchors.all()}
	mustFind(t, o, 1, "bears no signature", thief.path)

	// With keys of the thief's own it is no better.
	own := newFixture(t)
	own.signer.kid = "thief"
	own.write(t, 5)
	o.Anchors = own.anchors.all()
	mustFind(t, o, 2, `key "thief" is unknown`, own.path)

	// In the place of one chain it is found too, and so is one whose hashes
	// were computed anew.
	replaced := slices.Concat(thief.lines(t), lines[first:])
	o.Anchors = append(o.Anchors, append(thief.anchors.all(), f.anchors.all()...)...)
	mustFind(t, o, 1, "bears no signature", writeLines(t, replaced))
}

func TestA2_HeadsKeptElsewhereShowWhatTheStoreNoLongerKnows(t *testing.T) {
	f, lines, first := restarted(t)
	kept := f.anchors.all()
	// Log and store are set back to before the second life.
	old := writeLines(t, lines[:first])
	firstLife := func(a audit.Anchor) bool { return a.Chain == chainOf(lines[0]) }
	o := f.options()
	o.Anchors = slices.DeleteFunc(o.Anchors, func(a audit.Anchor) bool { return !firstLife(a) })
	mustVerify(t, o, old)
	o.Heads = kept
	mustFind(t, o, int64(first), "the list of heads attests, is in none", old)
	// Or to the middle of the first.
	o.Anchors = nil
	mustFind(t, o, 2, "the list of heads attests line", writeLines(t, lines[:2]))
	mustVerify(t, o, f.path)
	o.Heads[slices.IndexFunc(o.Heads, firstLife)].Hash = line.NoHash
	mustFind(t, o, int64(first), "the list of heads attests as line", f.path)
}

// A command on a deployment that gives it no master key cannot sign. Its chain
// may hold only what such a command writes, and the next server vouches for it.
func TestA2_UnsignedChainsOfCommands(t *testing.T) {
	f := newFixture(t)
	l := f.open(t)
	l.SetSigner(keyless{})
	for range 2 {
		if err := l.Record(t.Context(), audit.Event{Action: audit.UserAdded, Outcome: audit.Success, UserID: "u1"}); err != nil {
			t.Fatal(err)
		}
	}
	closeLog(t, l)
	rep := mustVerify(t, f.options(), f.path)
	if len(rep.Notes) != 1 || !strings.Contains(rep.Notes[0], "bears no signature") {
		t.Errorf("%+v", rep)
	}
	strict := f.options()
	strict.Signed = true
	mustFind(t, strict, 1, "bears no signature", f.path)

	server := f.open(t, func(o *Options) { o.Seen = f.anchors.all() })
	record(t, server, 1)
	closeLog(t, server)
	strict.Anchors = f.anchors.all()
	if rep := mustVerify(t, strict, f.path); len(rep.Notes) != 0 {
		t.Errorf("attested by the server, yet %+v", rep)
	}
	strict.Heads = strict.Anchors // the signature counts beside a list of heads
	mustVerify(t, strict, f.path)
	edited := f.lines(t)
	edited[1] = strings.Replace(edited[1], "u1", "u2", 1)
	mustFind(t, VerifyOptions{Keys: f.signer.keys()}, 2, "attests as line 1", writeLines(t, edited))
}

// keyless is the signer of a command without master keys.
type keyless struct{}

func (keyless) Sign(string, []byte) (string, string, error) { return "", "", ErrNoKey }

func TestA2_LinesAfterTheLastSignatureAreNoted(t *testing.T) {
	f, lines := tampered(t)
	rep := mustVerify(t, VerifyOptions{Keys: f.signer.keys()}, writeLines(t, lines[:len(lines)-1]))
	if !strings.Contains(strings.Join(rep.Notes, "\n"), "come after its last signature") {
		t.Errorf("%+v", rep)
	}
}

// Keys that retired long ago verify from a file with their public halves.
func TestA2_LogsOfLongRetiredKeys(t *testing.T) {
	f := newFixture(t)
	var set jose.JSONWebKeySet
	for _, kid := range []string{"of 2019", "of 2021", "of 2023"} {
		s := newSigner(t, kid)
		set.Keys = append(set.Keys, jose.JSONWebKey{Key: &s.key.PublicKey, KeyID: kid, Algorithm: string(jose.ES256)})
		f.signer = s
		f.write(t, 3)
	}
	o := VerifyOptions{Keys: KeySet(set)}
	if rep := mustVerify(t, o, f.path); rep.Checkpoints != 6 || rep.Chains != 3 {
		t.Errorf("%+v", rep)
	}
	set.Keys = set.Keys[1:]
	o.Keys = KeySet(set)
	mustFind(t, o, 2, `key "of 2019" is unknown`, f.path)
}

func TestA2_AnOldFileInTheNewOnesPlace(t *testing.T) {
	f := newFixture(t)
	l := f.open(t)
	record(t, l, 6)
	old, err := os.ReadFile(f.path)
	if err != nil {
		t.Fatal(err)
	}
	record(t, l, 6)
	closeLog(t, l)
	if err := os.WriteFile(f.path, old, 0o600); err != nil {
		t.Fatal(err)
	}
	mustFind(t, f.options(), int64(len(splitLines(string(old)))), "cut off", f.path)
	// Or once more behind the new one.
	other := f.path + ".1"
	if err := os.WriteFile(other, old, 0o600); err != nil {
		t.Fatal(err)
	}
	mustFind(t, f.options(), 1, "begins again", f.path, other)
}
