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
	// lastAt is At, or when the chain began if that is unknown.
	lastAt time.Time
}

func (m Missing) String() string {
	when := ""
	if !m.At.IsZero() {
		when = " until " + m.At.UTC().Format(time.RFC3339Nano) + " or later"
	}
	return fmt.Sprintf("chain %s, written by %s%s, of %d lines at least (%s knows it)", m.Chain, m.Node, when, m.Events, m.By)
}

// maxNamed is how many missing chains an error lists, and how many nodes a note.
const maxNamed = 20

// unseen returns an error with the chains that are missing from the files, and notes
// those that an option lets be missing.
func (v *verifier) unseen() error {
	missing := v.missing()
	begins := v.beginning()
	var lost, away, old []Missing
	short := false
	for _, m := range missing {
		switch {
		case v.isElsewhere(m.Node):
			away = append(away, m)
		case v.o.Partial || !m.lastAt.Before(v.o.Since):
			lost = append(lost, m)
		case v.reachesBack(m.Node, begins):
			old = append(old, m)
		default:
			lost, short = append(lost, m), true
		}
	}
	v.noteWaived("--elsewhere says that they are in other logs", away)
	v.noteWaived("they end before the time of --since", old)
	if v.o.Partial {
		v.noteWaived("--partial says that the files are a part of the log", lost)
		return nil
	}
	if len(lost) == 0 {
		return nil
	}
	advice := "give all files of all logs, or say which are elsewhere (--elsewhere NODE) or were deleted because of their age (--since TIME)"
	if short {
		advice = "the files do not reach back to the time of --since: give older ones too, or a time from which on they are whole"
	}
	is := "are"
	if len(lost) == 1 {
		is = "is"
	}
	return &BadLine{
		File: v.place.file, Missing: lost,
		Reason: fmt.Sprintf("%s %s in none of the files; %s", named(lost), is, advice),
	}
}

// noteWaived notes chains that are known and not in the files, by their nodes, and why
// that is no fault.
func (v *verifier) noteWaived(why string, chains []Missing) {
	var nodes []string
	count := map[string]int{}
	for _, m := range chains {
		if count[m.Node]++; count[m.Node] == 1 {
			nodes = append(nodes, m.Node)
		}
	}
	words := make([]string, 0, maxNamed)
	for _, node := range nodes[:min(len(nodes), maxNamed)] {
		words = append(words, fmt.Sprintf("%d of %s", count[node], node))
	}
	if more := len(nodes) - maxNamed; more > 0 {
		words = append(words, fmt.Sprintf("those of %d more nodes", more))
	}
	if len(chains) > 0 {
		v.note("known chains that are in none of the files: %d (%s), and %s", len(chains), strings.Join(words, ", "), why)
	}
}

// named lists chains for people.
func named(chains []Missing) string {
	var words []string
	for _, m := range chains[:min(len(chains), maxNamed)] {
		words = append(words, m.String())
	}
	if more := len(chains) - maxNamed; more > 0 {
		words = append(words, fmt.Sprintf("and %d more", more))
	}
	return strings.Join(words, "; ")
}

// beginning returns the time of the first line of all, or zero if there is none.
func (v *verifier) beginning() (first time.Time) {
	for _, at := range v.nodes {
		if first.IsZero() || at.Before(first) {
			first = at
		}
	}
	return first
}

// reachesBack reports whether the files of the node, or all files if it has none, begin
// before Since. Otherwise Since says nothing of what is missing in them.
func (v *verifier) reachesBack(node string, first time.Time) bool {
	if at, wrote := v.nodes[line.NodeInJSON(node)]; wrote {
		first = at
	}
	return !first.IsZero() && !first.After(v.o.Since)
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
			note(Missing{Chain: a.Chain, Node: a.Node, Events: a.Seq + 1, At: a.At, By: list.by, lastAt: a.At})
		}
	}
	for id, a := range v.attested {
		// Chains of other logs are only expected if their heads were given.
		begun, ok := line.Begun([]byte(id))
		if _, wrote := v.nodes[line.NodeInJSON(a.Node)]; a.signed && wrote && ok {
			note(Missing{Chain: id, Node: a.Node, Events: a.Seq + 1, By: a.by, lastAt: begun})
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
