package audit

import "slices"

//go:generate go test ../e2e -run ^TestEventsPage$ -count 1 -update

// Term describes one action of the vocabulary: when it is written, its class in
// the Elastic Common Schema, and the possible content of its events.
type Term struct {
	Action Action
	// Category and Type are the values of ECS event.category and event.type.
	Category []string
	Type     []string
	// Stands says when the decision takes effect.
	Stands Standing
	// When describes for people when the event is written.
	When string
	// Success and Failure are the possible reasons of an event by outcome; the
	// zero Reason stands for none. An outcome without reasons is impossible.
	Success, Failure []Reason
	// Fields are the names of the possible fields besides those of every event
	// and of every request.
	Fields []string
}

// Vocabulary returns every action in the order of their declaration. The caller
// may change the result.
func Vocabulary() []Term {
	terms := make([]Term, len(vocabulary))
	for i, t := range vocabulary {
		t.Category, t.Type, t.Fields = slices.Clone(t.Category), slices.Clone(t.Type), slices.Clone(t.Fields)
		t.Success, t.Failure = slices.Clone(t.Success), slices.Clone(t.Failure)
		terms[i] = t
	}
	return terms
}
