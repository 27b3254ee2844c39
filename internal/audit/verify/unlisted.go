package verify

import (
	"strings"
	"time"

	"github.com/keyturn/keyturn/internal/audit"
	"github.com/keyturn/keyturn/internal/audit/line"
)

// A list of heads names every chain that existed when it was made, because a
// chain is announced to the store before its first line is written. Whether a
// chain is older than the list follows from the times and, within a file, from
// the order of the lines.

// headsSlack is the clock difference between replicas that is allowed before a
// chain counts as older than a list of heads that does not name it.
const headsSlack = 5 * time.Minute

// heardOf is the content of a list of heads.
type heardOf struct {
	made   time.Time        // the list was made at this time or later
	chains map[string]int64 // the number of each chain's last line
	nodes  map[string]bool  // escaped as in lines
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

// Values of chainState.listed for a chain that the list does not name, and for no
// list.
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

// watchUnlisted marks the unlisted chains that began before a line that the list
// knows, and so before the list was made. Lines of several nodes shipped into one
// file may be in another order, unless the list does not know the node either.
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

// checkUnheard finds chains that are older than the list of heads but not in it.
func (v *verifier) checkUnheard() error {
	for _, c := range v.order {
		if c.listed != unlisted {
			continue
		}
		if c.early {
			return c.firstAt.bad("the list of heads has never heard of chain %s, which begins here, before lines that it knows", c.id)
		}
		// The clock may have been set back since, but the order of lines cannot.
		if begun, ok := line.Begun([]byte(c.id)); ok && !c.late && begun.Before(v.listed.made.Add(-headsSlack)) {
			return c.firstAt.bad("the list of heads, made at %s or later, has never heard of chain %s, which was begun at %s",
				v.listed.made.UTC().Format(time.RFC3339Nano), c.id, begun.Format(time.RFC3339Nano))
		}
	}
	return nil
}
