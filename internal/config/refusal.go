package config

import "strings"

// refusal says of one setting that its value cannot be used: its name, the
// value (quoted, secrets masked), where it came from, why, and what would do.
type refusal struct {
	name     string
	value    string
	source   Source
	reason   string
	accepted string
}

// Error is one line.
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
