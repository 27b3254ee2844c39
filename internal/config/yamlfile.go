package config

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"maps"
	"os"
	"regexp"
	"slices"
	"strconv"
	"strings"

	"github.com/knadh/koanf/parsers/yaml"
	"github.com/knadh/koanf/providers/file"
	yamlv3 "go.yaml.in/yaml/v3"
)

// mostFileBytes bounds the file.
const mostFileBytes = 1 << 20

// fromFile provides a file that is worth reading: a regular one of bounded size.
func fromFile(path string) (*file.File, error) {
	reason := ""
	info, err := os.Stat(path)
	switch {
	case errors.Is(err, os.ErrNotExist):
		reason = "there is no such file"
	case err != nil:
		reason = "it cannot be read"
	case !info.Mode().IsRegular():
		reason = "it is not a regular file"
	case info.Size() > mostFileBytes:
		reason = fmt.Sprintf("it has %d bytes", info.Size())
	default:
		return file.Provider(path), nil
	}
	return nil, refuseFile(path, reason)
}

func refuseFile(path, reason string) error {
	return &refusal{name: "config", value: quoted(path), reason: reason,
		accepted: "a YAML file of at most 1 MiB that maps names of settings to values"}
}

// settingsYAML is koanf's YAML parser made strict: it passes on the settings it
// knows, each as the text that a variable would have, and reports the rest.
type settingsYAML struct {
	yaml.YAML
	path  string
	stray func(error)
}

// Unmarshal implements koanf.Parser.
func (p *settingsYAML) Unmarshal(b []byte) (map[string]any, error) {
	if len(b) > mostFileBytes {
		return nil, refuseFile(p.path, fmt.Sprintf("it has %d bytes", len(b)))
	}
	if reason := outline(b); reason != "" {
		return nil, refuseFile(p.path, reason)
	}
	entries, err := p.YAML.Unmarshal(b)
	if err != nil {
		return nil, refuseFile(p.path, yamlReason(err))
	}
	texts := make(map[string]any)
	for _, key := range slices.Sorted(maps.Keys(entries)) {
		if text, ok := p.entry(key, entries[key]); ok {
			texts[key] = text
		}
	}
	return texts, nil
}

// entry returns the text of one setting; what cannot be one it reports.
func (p *settingsYAML) entry(key string, value any) (string, bool) {
	s, found := lookup(key)
	switch {
	case !found:
		p.stray(&unknownName{name: key, source: FromFile, among: fileNames()})
		return "", false
	case s.EnvironmentOnly:
		p.stray(&refusal{name: key, value: masked, source: FromFile, reason: "secrets do not belong in it",
			accepted: s.Env() + " in the environment, or " + key + "_file"})
		return "", false
	}
	text, ok := scalar(value)
	if list, isList := value.([]any); isList && s.kind.list {
		text, ok = joinScalars(list)
	}
	if !ok {
		p.stray(&refusal{name: key, value: shape(value), source: FromFile, accepted: s.Accepts})
	}
	return text, ok
}

// fileNames are the names that the file may set.
func fileNames() []string {
	var names []string
	for _, s := range table {
		if !s.EnvironmentOnly {
			names = append(names, s.Name)
		}
	}
	return names
}

// scalar returns a YAML scalar as text; null is the empty text.
func scalar(value any) (string, bool) {
	switch v := value.(type) {
	case nil:
		return "", true
	case string:
		return v, true
	case bool:
		return strconv.FormatBool(v), true
	case int, int64, uint64:
		return fmt.Sprint(v), true
	case float64:
		return strconv.FormatFloat(v, 'g', -1, 64), true
	default:
		return "", false
	}
}

func joinScalars(list []any) (string, bool) {
	var items []string
	for _, value := range list {
		item, ok := scalar(value)
		if !ok {
			return "", false
		}
		items = append(items, item)
	}
	return strings.Join(items, ","), true
}

// shape names what stands where a scalar should.
func shape(value any) string {
	switch value.(type) {
	case []any:
		return "a list"
	case map[string]any, map[any]any:
		return "a mapping"
	default:
		return "a value that YAML takes for a date or binary data"
	}
}

// outline returns what is wrong with the file as a whole, before its values are
// looked at; syntax errors are left to the parser proper. A crowded mapping is
// refused because looking for repeated keys takes time that grows with the
// square of their number.
func outline(b []byte) string {
	decoder := yamlv3.NewDecoder(bytes.NewReader(b))
	var document, next yamlv3.Node
	switch {
	case decoder.Decode(&document) != nil:
		return ""
	case crowded(&document):
		return fmt.Sprintf("a mapping in it has more than %d entries", mostEntries)
	case !errors.Is(decoder.Decode(&next), io.EOF):
		return "it holds more than one document, of which only the first would count"
	}
	return ""
}

// mostEntries bounds each mapping of the file.
const mostEntries = 1000

func crowded(node *yamlv3.Node) bool {
	if node.Kind == yamlv3.MappingNode && len(node.Content) > 2*mostEntries {
		return true
	}
	return slices.ContainsFunc(node.Content, crowded)
}

var yamlLine = regexp.MustCompile(`line \d+`)

// yamlReason says what is wrong with a file. The library's words are passed on
// only where they quote nothing of the file, in which a secret may stand.
func yamlReason(err error) string {
	var mistyped *yamlv3.TypeError
	if errors.As(err, &mistyped) {
		twice := func(s string) bool { return strings.Contains(s, "already defined") }
		if i := slices.IndexFunc(mistyped.Errors, twice); i >= 0 {
			return "a name stands in it twice, at " + yamlLine.FindString(mistyped.Errors[i])
		}
		return "it is not a mapping of names to values"
	}
	reason := strings.TrimPrefix(err.Error(), "yaml: ")
	if strings.ContainsAny(reason, "`'\"") {
		if line := yamlLine.FindString(reason); line != "" {
			return "it is not YAML at " + line
		}
		return "it is not YAML"
	}
	return reason
}
