package line

import (
	"github.com/keyturn/keyturn/internal/audit"
)

// eventHeads holds, for each action, the start of the event object up to the
// outcome's opening quote, so that the hot path copies it in one piece.
var eventHeads = func() map[audit.Action]string {
	heads := map[audit.Action]string{}
	for _, t := range audit.Vocabulary() {
		heads[t.Action] = eventHead(t)
	}
	return heads
}()

// eventHead renders an entry of eventHeads. An action outside the vocabulary is
// written without a category, because an event with a poor class is better than
// none.
func eventHead(t audit.Term) string {
	b := append([]byte(nil), `,"event":{"kind":"event","action":`...)
	b = appendString(b, string(t.Action), maxWord)
	b = append(b, `,"dataset":"keyturn.audit","category":`...)
	b = appendList(b, t.Category)
	b = append(b, `,"type":`...)
	b = appendList(b, t.Type)
	return string(append(b, `,"outcome":"`...))
}

func appendList(b []byte, words []string) []byte {
	b = append(b, '[')
	for i, w := range words {
		if i > 0 {
			b = append(b, ',')
		}
		b = appendString(b, w, maxWord)
	}
	return append(b, ']')
}
