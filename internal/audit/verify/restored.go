package verify

import (
	"encoding/json"
	"slices"
	"time"

	"github.com/keyturn/keyturn/internal/audit"
	"github.com/keyturn/keyturn/internal/audit/line"
)

// A store that was put back from a backup has lost the heads of the chains since
// then, and the keys. So who restores it takes the heads over from the log as it
// then is (Ahead), and says so in an event that begins a chain of its own. From then
// on the store vouches for those heads, and the event for signatures before it
// whose keys went with the old store. It is believed only where the store, a list
// of heads or a signature vouches for the line: who can write to the log alone
// cannot make one.

// Ahead reads the files of the log of a store that was restored, and returns the
// heads that the store does not know, or has forgotten how far they had come,
// oldest first. The log has to be in order otherwise, and to hold what o has.
func Ahead(files []string, o Options) ([]audit.Anchor, error) {
	o.Partial, o.restored = false, true
	v := newVerifier(o)
	if _, err := v.files(files); err != nil {
		return nil, err
	}
	var ahead []audit.Anchor
	for _, c := range v.order {
		if c.anchor == nil || c.anchor.Seq < c.seq {
			var node string
			if err := json.Unmarshal([]byte(`"`+c.node+`"`), &node); err != nil {
				return nil, c.firstAt.bad("the line names no node: %v", err)
			}
			ahead = append(ahead, audit.Anchor{Chain: c.id, Seq: c.seq, Hash: string(c.hash[:]), Node: node, At: c.written})
		}
	}
	slices.SortFunc(ahead, func(a, b audit.Anchor) int { return a.At.Compare(b.At) })
	return ahead, nil
}

// restoration is the event that a store was restored.
type restoration struct {
	chain  *chainState
	at     time.Time
	detail string
}

// noteRestoration looks whether the first line of a chain is such an event.
func (v *verifier) noteRestoration(c *chainState, text []byte) {
	if c.firstSeq > 0 || line.Action(text) != audit.StoreRestored {
		return
	}
	var e struct {
		Keyturn struct{ Detail string }
		Event   struct{ Outcome audit.Outcome }
	}
	if json.Unmarshal(text, &e) == nil && e.Event.Outcome == audit.Success {
		v.restorations = append(v.restorations, restoration{c, line.Time(text), e.Keyturn.Detail})
	}
}

// vouchedFor reports whether the store or a list of heads vouches for the chain up to
// that line, as far as the files were read.
func (v *verifier) vouchedFor(c *chainState, seq int64) bool {
	if c.anchor != nil && c.anchor.Seq >= seq && c.seq >= c.anchor.Seq {
		return true
	}
	a, ok := v.attested[c.id]
	return ok && a.Seq >= seq && c.seq >= a.Seq
}

// known reports whether there will be something to hold that line against.
func (v *verifier) known(c *chainState, seq int64) bool {
	a, ok := v.attested[c.id]
	return c.anchor != nil && c.anchor.Seq >= seq || ok && a.Seq >= seq
}

// lostKey is a checkpoint that was signed with a key that nobody knows.
type lostKey struct {
	chain *chainState
	seq   int64
	at    time.Time
	bad   *BadLine
}

// checkLostKeys finds signatures by unknown keys that no restored store explains.
func (v *verifier) checkLostKeys() error {
	believed := slices.DeleteFunc(slices.Clone(v.restorations), func(r restoration) bool { return r.chain.sealedSeq < 0 && !v.vouchedFor(r.chain, 0) })
	lost := 0
	for _, k := range v.lostKeys {
		if !v.vouchedFor(k.chain, k.seq) || !slices.ContainsFunc(believed, func(r restoration) bool { return r.at.After(k.at) }) {
			return k.bad
		}
		lost++
		k.chain.sealedSeq, k.chain.vouched = max(k.chain.sealedSeq, k.seq-1), max(k.chain.vouched, k.seq)
	}
	for _, r := range believed {
		v.note("the store was restored at %s: %s", r.at.Format(time.RFC3339Nano), r.detail)
	}
	if lost > 0 {
		v.note("%d checkpoints are signed with keys that were lost with the store that was restored: the heads, not their signatures, vouch for these lines", lost)
	}
	return nil
}
