package report

import (
	"cmp"
	"slices"
	"time"

	"github.com/keyturn/keyturn/internal/audit"
	"github.com/keyturn/keyturn/internal/audit/line"
)

// chains records who wrote the log, and when nobody did.
type chains struct {
	known    map[string]*Server
	serving  map[string]bool // chains with events that only a server writes
	beyond   int64           // lines of chains beyond maxChains
	last     time.Time
	silences []Silence // the longest silences, longest first
}

func (c *chains) add(e *line.Entry) {
	c.silence(e.Time)
	id := e.Keyturn.Chain.ID
	s := c.known[id]
	if s == nil {
		if len(c.known) == maxChains {
			c.beyond++
			return
		}
		s = &Server{Chain: id, Node: e.Service.Node.Name, First: e.Time}
		c.known[id] = s
	}
	if e.Time.Before(s.Last.Add(-time.Second)) {
		s.Back++
	}
	s.Lines++
	s.Last, s.Stopped = e.Time, e.Event.Action == audit.ServerStopped || s.Stopped && e.Event.Action == audit.Checkpoint
	if e.From() != "" || e.Event.Action == audit.ServerStarted || e.Event.Action == audit.ServerStopped {
		c.serving[id] = true
	}
}

func (c *chains) silence(at time.Time) {
	if !c.last.IsZero() && at.Sub(c.last) > time.Minute {
		c.silences = append(c.silences, Silence{c.last, at})
		slices.SortStableFunc(c.silences, func(a, b Silence) int { return cmp.Compare(b.length(), a.length()) })
		c.silences = c.silences[:min(len(c.silences), maxSilence)]
	}
	if at.After(c.last) {
		c.last = at
	}
}

func (s Silence) length() time.Duration { return s.To.Sub(s.From) }

// servers returns the latest chains of servers, and the number of commands'
// chains.
func (c *chains) servers() (Servers, int64) {
	list := Servers{List: List[Server]{Rows: []Server{}}, Beyond: c.beyond}
	for id := range c.serving {
		list.Rows = append(list.Rows, *c.known[id])
	}
	slices.SortFunc(list.Rows, func(a, b Server) int { return a.First.Compare(b.First) })
	list.Total = int64(len(list.Rows))
	list.Rows = list.Rows[max(0, len(list.Rows)-maxServers):]
	return list, int64(len(c.known)) - list.Total
}
