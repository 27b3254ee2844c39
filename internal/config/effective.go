package config

// Source says where a value came from.
type Source string

// The sources, each overriding the ones before.
const (
	FromDefault     Source = "default"
	FromFile        Source = "file"
	FromEnvironment Source = "environment"
	FromFlag        Source = "flag"
)

// Value is the effective value of a setting.
type Value struct {
	Name string `json:"name"`
	// Value is in the form that Load parses, with secrets masked.
	Value  string `json:"value"`
	Source Source `json:"source"`
}

// SourceOf returns the source of a setting's value.
func (c *Config) SourceOf(setting string) Source { return c.sources[setting] }

// Effective returns the effective values of all settings, in the order of
// Settings. A value that Load derived from a default (the issuer from listen,
// the number of CPUs) is shown derived, with the source of the setting itself.
func (c *Config) Effective() []Value {
	values := make([]Value, 0, len(table))
	for _, s := range table {
		values = append(values, Value{Name: s.Name, Value: s.kind.show(c), Source: c.sources[s.Name]})
	}
	return values
}
