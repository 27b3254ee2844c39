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

// Value is a setting as it is in force.
type Value struct {
	Name string `json:"name"`
	// Value is printed as Load would read it again, secrets masked.
	Value  string `json:"value"`
	Source Source `json:"source"`
}

// SourceOf says where the value of a setting came from.
func (c *Config) SourceOf(setting string) Source { return c.sources[setting] }

// Effective returns every setting as it is in force, in the order of Settings.
// A value that Load worked out from a default (an issuer from listen, the
// number of CPUs) is shown worked out, with the source of the setting itself.
func (c *Config) Effective() []Value {
	values := make([]Value, 0, len(table))
	for _, s := range table {
		values = append(values, Value{Name: s.Name, Value: s.kind.show(c), Source: c.sources[s.Name]})
	}
	return values
}
