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
