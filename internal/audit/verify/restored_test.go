package verify_test

import (
	"errors"
	"slices"
	"strings"
	"testing"

	"github.com/go-jose/go-jose/v4"

	"github.com/keyturn/keyturn/internal/audit"
	"github.com/keyturn/keyturn/internal/audit/audittest"
	auditlog "github.com/keyturn/keyturn/internal/audit/log"
	"github.com/keyturn/keyturn/internal/audit/verify"
)

// TestA2_ARestoredStoreIsNoTampering puts a store back to before a chain and the key
// that signed it, and has it take over what the log has. Then the log verifies, and
// whatever is done to the lines between is found; and so it is where the event of a
// restore was only put into the log.
func TestA2_ARestoredStoreIsNoTampering(t *testing.T) {
	f := audittest.NewFixture(t)
	f.Write(t, 3)
	backup, first := f.Anchors.All(), f.Lines(t)
	lost := audittest.NewSigner(t, "lost")
	kept := f.Signer
	f.Signer = lost
	f.Write(t, 5)
	f.Signer = kept
	lines := f.Lines(t)
	o := verify.Options{Keys: kept.Keys(), Anchors: backup}
	audittest.MustFind(t, o, int64(len(first)+1), "never heard of", f.Path)

	vouched, ahead, err := verify.Ahead([]string{f.Path}, o)
	if err != nil || len(vouched) > 0 || len(ahead) != 1 || ahead[0].Chain != chainOf(lines[len(first)]) || ahead[0].Node == "" || ahead[0].At.IsZero() {
		t.Fatalf("%+v, %v", ahead, err)
	}
	restored := &audittest.MemoryAnchors{}
	for _, a := range slices.Concat(backup, ahead) {
		if err := restored.SetAnchor(t.Context(), a); err != nil {
			t.Fatal(err)
		}
	}
	withoutEvent := verify.Options{Keys: kept.Keys(), Anchors: restored.All()}
	if _, err := verify.Files([]string{f.Path}, withoutEvent); err == nil || !strings.Contains(err.Error(), `"lost" is unknown`) {
		t.Errorf("an unknown key without a restore: %v", err)
	}
	f.Anchors = restored
	l := f.Open(t)
	if err := l.Record(t.Context(), audit.Event{Action: audit.StoreRestored, Outcome: audit.Success, Detail: "of yesterday"}); err != nil {
		t.Fatal(err)
	}
	audittest.Close(t, l)
	o.Anchors = restored.All()
	r := audittest.MustVerify(t, o, f.Path)
	if notes := strings.Join(r.Notes, "\n"); !strings.Contains(notes, "the store was restored at ") || !strings.Contains(notes, "of yesterday") {
		t.Errorf("notes %s", notes)
	}
	// The heads that were kept elsewhere since do as well as the store.
	audittest.MustVerify(t, verify.Options{Keys: kept.Keys(), Heads: restored.All(), Signed: true}, f.Path)

	whole := f.Lines(t)
	for n := range lines {
		for what, bad := range map[string][]string{
			"taken out": slices.Delete(slices.Clone(whole), n, n+1),
			"edited":    edited(whole, n),
		} {
			var found *verify.BadLine
			if _, err := verify.Files([]string{audittest.WriteLines(t, bad)}, o); !errors.As(err, &found) {
				t.Errorf("line %d %s: %v", n, what, err)
			}
		}
	}

	// Of a thief, who has the log and a key of his own, nothing is believed.
	f = audittest.NewFixture(t)
	f.Write(t, 3)
	own, honest := f.Anchors, f.Options()
	f.Signer, f.Anchors = audittest.NewSigner(t, "thief"), &audittest.MemoryAnchors{}
	thief := f.Open(t, func(o *auditlog.Options) { o.Seen = own.All() })
	if err := thief.Record(t.Context(), audit.Event{Action: audit.StoreRestored, Outcome: audit.Success}); err != nil {
		t.Fatal(err)
	}
	audittest.Close(t, thief)
	for what, o := range map[string]verify.Options{"store": honest, "keys": {Keys: honest.Keys}, "keys and heads": {Keys: honest.Keys, Heads: honest.Anchors}} {
		if _, err := verify.Files([]string{f.Path}, o); err == nil {
			t.Errorf("a restore that was made up passes with %s", what)
		}
	}
	if _, _, err := verify.Ahead([]string{audittest.WriteLines(t, edited(whole, 1))}, o); err == nil {
		t.Error("the heads of a log that was edited are taken over")
	}
	var none jose.JSONWebKeySet
	if _, _, err := verify.Ahead([]string{f.Path}, verify.Options{Keys: verify.KeySet(none), Anchors: []audit.Anchor{}}); err != nil {
		t.Errorf("a store without heads and keys: %v", err)
	}
}

// edited changes a letter of a line.
func edited(lines []string, n int) []string {
	lines = slices.Clone(lines)
	lines[n] = strings.Replace(lines[n], `"ecs"`, `"ecz"`, 1)
	return lines
}
