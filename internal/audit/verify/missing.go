package verify

import (
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/keyturn/keyturn/internal/audit"
	"github.com/keyturn/keyturn/internal/audit/line"
)

// Missing is a known chain that is in none of the files.
type Missing struct {
	Chain string `json:"chain"`
	// Node names the machine and the file, or stream, of the chain.
	Node string `json:"node"`
	// Events is the least number of lines that the chain had.
	Events int64 `json:"events"`
	// At is when the last of these was written, or zero if unknown.
	At time.Time `json:"at,omitzero"`
	// By says who knows the chain.
	By string `json:"known_by"`
}

func (m Missing) String() string {
	when := ""
	if !m.At.IsZero() {
		when = " until " + m.At.UTC().Format(time.RFC3339Nano) + " or later"
	}
	return fmt.Sprintf("chain %s, written by %s%s, of %d lines at least (%s knows it)", m.Chain, m.Node, when, m.Events, m.By)
}

// maxNamed is how many missing chains an error lists.
const maxNamed = 20

// unseen returns an error with the chains that are missing from the files.
func (v *verifier) unseen() error {
	missing := v.missing()
	if len(missing) == 0 {
		return nil
	}
	var words []string
	for _, m := range missing[:min(len(missing), maxNamed)] {
		words = append(words, m.String())
	}
	if more := len(missing) - maxNamed; more > 0 {
		words = append(words, fmt.Sprintf("and %d more", more))
	}
	is := "are"
	if len(missing) == 1 {
		is = "is"
	}
	return &BadLine{
		File: v.place.file, Missing: missing,
		Reason: fmt.Sprintf("%s %s in none of the files; give all files of all logs, or say which are elsewhere (--elsewhere NODE) or were deleted because of their age (--since TIME)",
			strings.Join(words, "; "), is),
	}
}

// missing returns the chains, sorted by id and so by age, that the store, the
// kept heads or the signatures in the log know but the files do not have.
func (v *verifier) missing() []Missing {
	known := map[string]Missing{}
	note := func(m Missing) {
		if old, ok := known[m.Chain]; v.chains[m.Chain] == nil && m.Events > 0 && (!ok || m.Events > old.Events) {
			known[m.Chain] = m
		}
	}
	for _, list := range []struct {
		heads []audit.Anchor
		by    string
	}{{v.o.Heads, "the list of heads"}, {v.o.Anchors, "the store"}} {
		for _, a := range list.heads {
			if !v.isElsewhere(a.Node) && !a.At.Before(v.o.Since) {
				note(Missing{Chain: a.Chain, Node: a.Node, Events: a.Seq + 1, At: a.At, By: list.by})
			}
		}
	}
	for id, a := range v.attested {
		// Chains of other logs are only expected if their heads were given.
		begun, ok := line.Begun([]byte(id))
		if _, wrote := v.nodes[line.NodeInJSON(a.Node)]; a.signed && wrote && ok && !v.isElsewhere(a.Node) && !begun.Before(v.o.Since) {
			note(Missing{Chain: id, Node: a.Node, Events: a.Seq + 1, By: a.by})
		}
	}
	var all []Missing
	for _, m := range known {
		all = append(all, m)
	}
	slices.SortFunc(all, func(a, b Missing) int { return strings.Compare(a.Chain, b.Chain) })
	return all
}

// isElsewhere reports whether Elsewhere names the node. A * at the end of a name
// stands for any ending.
func (v *verifier) isElsewhere(node string) bool {
	return slices.ContainsFunc(v.o.Elsewhere, func(said string) bool {
		start, open := strings.CutSuffix(said, "*")
		return node == said || open && strings.HasPrefix(node, start)
	})
}

// checkBeginnings finds chains whose first lines are in none of the files, unless
// they are older than Since.
func (v *verifier) checkBeginnings() error {
	for _, c := range v.order {
		if c.firstSeq == 0 && !c.behind {
			continue
		}
		from := v.logs[c.firstAt.file]
		begun, ok := line.Begun([]byte(c.id))
		old := ok && begun.Before(v.o.Since)
		if old && !from.After(v.o.Since) {
			continue
		}
		what := fmt.Sprintf("the first %d lines of chain %s are in none of the files", c.firstSeq, c.id)
		switch c.firstSeq {
		case 0:
			what = "the line that stood before this one is in none of the files"
		case 1:
			what = fmt.Sprintf("the first line of chain %s is in none of the files", c.id)
		}
		if old {
			return c.firstAt.bad("%s, which begin at %s only, after what --since says", what, from.UTC().Format(time.RFC3339Nano))
		}
		return c.firstAt.bad("%s; give all files of the log, or say from when on it is whole (--since TIME) where older ones were deleted", what)
	}
	return nil
}
