package audit

import "slices"

//go:generate go test ../e2e -run ^TestEventsPage$ -count 1 -update

// Term describes one action of the vocabulary: when it is written, how it is
// classed in the Elastic Common Schema, and what its events can hold.
type Term struct {
	Action Action
	// Category and Type are the values of ECS event.category and event.type.
	Category []string
	Type     []string
	// Stands says from when on what was decided stands.
	Stands Standing
	// When says, for people, what happened when the event is written.
	When string
	// Success and Failure are the reasons that an event of that outcome can
	// bear, the zero Reason for one without. An outcome without any is none
	// that the event can have.
	Success, Failure []Reason
	// Fields are the fields that the event can have beside those of every
	// event and of every request, by their names in Fields.
	Fields []string
}

// Vocabulary returns every action that a log can hold, in the order of their
// declaration. The caller may keep and change the result.
func Vocabulary() []Term {
	terms := make([]Term, len(vocabulary))
	for i, t := range vocabulary {
		t.Category, t.Type, t.Fields = slices.Clone(t.Category), slices.Clone(t.Type), slices.Clone(t.Fields)
		t.Success, t.Failure = slices.Clone(t.Success), slices.Clone(t.Failure)
		terms[i] = t
	}
	return terms
}

// eventHeads holds, for each action, the start of the event object up to the
// outcome's opening quote, so that the hot path copies it in one piece.
var eventHeads = func() map[Action]string {
	heads := make(map[Action]string, len(vocabulary))
	for _, t := range vocabulary {
		heads[t.Action] = eventHead(t)
	}
	return heads
}()

// eventHead renders what eventHeads holds. An action outside the vocabulary is
// still written, without a category: better classed badly than not recorded.
func eventHead(t Term) string {
	b := append([]byte(nil), `,"event":{"kind":"event","action":`...)
	b = appendString(b, string(t.Action), maxWord)
	b = append(b, `,"category":`...)
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
