package verify

import (
	"encoding/json"
	"slices"
	"time"

	"github.com/keyturn/keyturn/internal/audit"
	"github.com/keyturn/keyturn/internal/audit/line"
)

// A store restored from a backup lacks the chains' heads since then, and the keys. So
// the restore takes the heads over from the log (Ahead), and records that in an event
// that begins a chain of its own. From then on the store vouches for those heads, and
// the event for signatures before it whose keys were lost with the old store. Such an
// event counts only if the store, a list of heads or a signature vouches for its
// line, so that write access to the log alone cannot forge one.

// Ahead reads the log of a restored store, and returns the heads that the store lacks
// or has in an older state, oldest first. The log must pass all other checks with o.
// Doubtful are the heads of chains that neither the store nor a signature by one of its
// keys vouches for, so that anybody may have put them there.
func Ahead(files []string, o Options) (ahead, doubtful []audit.Anchor, err error) {
	o.Partial, o.restored = false, true
	v := newVerifier(o)
	if _, err := v.files(files); err != nil {
		return nil, nil, err
	}
	for _, c := range v.order {
		if c.anchor == nil || c.anchor.Seq < c.seq {
			var node string
			if err := json.Unmarshal([]byte(`"`+c.node+`"`), &node); err != nil {
				return nil, nil, c.firstAt.bad("the line names no node: %v", err)
			}
			list := &ahead
			if c.anchor == nil && c.sealedSeq < 0 {
				list = &doubtful
			}
			*list = append(*list, audit.Anchor{Chain: c.id, Seq: c.seq, Hash: string(c.hash[:]), Node: node, At: c.written})
		}
	}
	for _, list := range [][]audit.Anchor{ahead, doubtful} {
		slices.SortFunc(list, func(a, b audit.Anchor) int { return a.At.Compare(b.At) })
	}
	return ahead, doubtful, nil
}

// restoration is the event of a restored store.
type restoration struct {
	chain  *chainState
	at     time.Time
	detail string
}

// noteRestoration records the first line of a chain if it is such an event.
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
// line seq, according to the lines read so far.
func (v *verifier) vouchedFor(c *chainState, seq int64) bool {
	if c.anchor != nil && c.anchor.Seq >= seq && c.seq >= c.anchor.Seq {
		return true
	}
	a, ok := v.attested[c.id]
	return ok && a.Seq >= seq && c.seq >= a.Seq
}

// known reports whether the store or a list of heads knows line seq or a later one.
func (v *verifier) known(c *chainState, seq int64) bool {
	a, ok := v.attested[c.id]
	return c.anchor != nil && c.anchor.Seq >= seq || ok && a.Seq >= seq
}

// lostKey is a checkpoint signed with an unknown key.
type lostKey struct {
	chain *chainState
	seq   int64
	at    time.Time
	bad   *BadLine
}

// checkLostKeys returns an error for a signature by an unknown key that no restored
// store explains.
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
