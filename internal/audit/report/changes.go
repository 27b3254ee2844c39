package report

import (
	"cmp"
	"slices"
	"strings"

	"github.com/keyturn/keyturn/internal/audit"
	"github.com/keyturn/keyturn/internal/audit/line"
)

// ofKeys are the actions about signing keys, ofOperators those that only an
// operator can do.
var ofKeys, ofOperators = func() (keys, operators map[audit.Action]bool) {
	keys, operators = map[audit.Action]bool{}, map[audit.Action]bool{}
	for _, t := range audit.Vocabulary() {
		if strings.HasPrefix(string(t.Action), "key-") {
			keys[t.Action] = true
		}
		if slices.Contains(t.Type, "admin") {
			operators[t.Action] = true
		}
	}
	return keys, operators
}()

// changes records events about keys and of operators. An event about sessions
// that an operator ended has no address, because no request asked for it.
func (b *Builder) changes(e *line.Entry) {
	ended := (e.Event.Action == audit.SessionEnded || e.Event.Action == audit.SessionsEnded) && e.From() == ""
	if ofKeys[e.Event.Action] {
		b.keys.add(change(e))
	}
	if !ofOperators[e.Event.Action] && !ended {
		return
	}
	l := b.admin[e.Event.Action]
	if l == nil {
		l = &latest[Change]{room: maxOfKind}
		b.admin[e.Event.Action] = l
	}
	l.add(change(e))
}

func change(e *line.Entry) Change {
	k := &e.Keyturn
	return Change{
		At: e.Time, Action: e.Event.Action, Failed: e.Event.Outcome != audit.Success, Reason: e.Event.Reason,
		Subject: cmp.Or(e.User.Email, e.User.ID, k.Key, k.Client, k.Session),
		Count:   k.Count, Detail: k.Detail, Node: e.Service.Node.Name,
	}
}
