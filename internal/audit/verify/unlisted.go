package verify

import (
	"strings"
	"time"

	"github.com/keyturn/keyturn/internal/audit"
	"github.com/keyturn/keyturn/internal/audit/line"
)

// A list of heads names every chain that there was when it was made: the store
// hears of a chain before its first line is written. Which chains are older than
// the list tell the times, and in a file the order of the lines too.

// headsSlack is how far the clocks of replicas may be apart before a chain counts
// as older than a list of heads that does not name it.
const headsSlack = 5 * time.Minute

// heardOf is what a list of heads knows.
type heardOf struct {
	made   time.Time        // the list is not older than this
	chains map[string]int64 // the last line of each
	nodes  map[string]bool  // as they stand in lines
}

func heard(heads []audit.Anchor) heardOf {
	h := heardOf{chains: map[string]int64{}, nodes: map[string]bool{}}
	for _, a := range heads {
		h.chains[a.Chain] = a.Seq
		h.nodes[line.NodeInJSON(a.Node)] = true
		if a.At.After(h.made) {
			h.made = a.At
		}
	}
	return h
}

// What chainState.listed is of a chain that a list does not name, or where there
// is no list.
const (
	unlisted = -2
	noList   = -3
)

func (h *heardOf) of(chain string) int64 {
	seq, ok := h.chains[chain]
	switch {
	case ok:
		return seq
	case len(h.chains) == 0:
		return noList
	}
	return unlisted
}

// watchUnlisted marks the unlisted chains that were begun before a line that the
// list knows, and so before the list was made. Where several nodes' lines were
// shipped into one file they may have come in another order; a node that the list
// does not know either has no such excuse.
func (v *verifier) watchUnlisted(c *chainState, seq int64) {
	if seq > c.listed {
		return
	}
	log := v.logs[v.place.file]
	log.listed = true
	for _, o := range log.unlisted {
		overSyslog := strings.Contains(o.node, "://") // each process has a connection of its own
		if o.node == c.node && !overSyslog || !v.listed.nodes[o.node] {
			o.early = true
		}
	}
}

// checkUnheard finds chains that are older than the list of heads and not in it.
func (v *verifier) checkUnheard() error {
	for _, c := range v.order {
		if c.listed != unlisted {
			continue
		}
		if c.early {
			return c.firstAt.bad("the list of heads has never heard of chain %s, which begins here, before lines that it knows", c.id)
		}
		// The clock may have been set back since; the order of lines was not.
		if begun, ok := line.Begun([]byte(c.id)); ok && !c.late && begun.Before(v.listed.made.Add(-headsSlack)) {
			return c.firstAt.bad("the list of heads, made at %s or later, has never heard of chain %s, which was begun at %s",
				v.listed.made.UTC().Format(time.RFC3339Nano), c.id, begun.Format(time.RFC3339Nano))
		}
	}
	return nil
}
