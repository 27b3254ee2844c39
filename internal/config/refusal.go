package config

import "strings"

// refusal says that the value of a setting cannot be used: the setting's name,
// the value (quoted, secrets masked), its source, the reason, and what would be
// accepted.
type refusal struct {
	name     string
	value    string
	source   Source
	reason   string
	accepted string
}

// Error returns one line.
func (r *refusal) Error() string {
	var b strings.Builder
	b.WriteString(r.name + ": " + r.value)
	if r.source != "" && r.source != FromDefault {
		b.WriteString(" from the " + string(r.source))
	}
	b.WriteString(" is refused")
	if r.reason != "" {
		b.WriteString(": " + r.reason)
	}
	if r.accepted != "" {
		b.WriteString("; accepted: " + r.accepted)
	}
	return b.String()
}
