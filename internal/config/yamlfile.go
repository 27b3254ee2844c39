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
	"strings"

	"go.yaml.in/yaml/v3"
)

// mostFileBytes bounds the size of the file.
const mostFileBytes = 1 << 20

// fromFile returns the settings in a YAML file as texts, in the form of
// variables. It passes an error for everything else in the file to stray.
func fromFile(path string, stray func(error)) map[string]string {
	content, reason := readFile(path)
	entries := make(map[string]yaml.Node)
	if reason == "" {
		entries, reason = readYAML(content)
	}
	if reason != "" {
		stray(&refusal{name: "config", value: quoted(path), reason: reason,
			accepted: "a YAML file of at most 1 MiB that maps names of settings to values"})
	}
	texts := make(map[string]string)
	for _, key := range slices.Sorted(maps.Keys(entries)) {
		if text, err := entryText(key, entries[key]); err != nil {
			stray(err)
		} else {
			texts[key] = text
		}
	}
	return texts
}

// readFile returns the content of a regular file of bounded size, or the reason
// why it cannot be read.
func readFile(path string) (content []byte, reason string) {
	info, err := os.Stat(path)
	switch {
	case errors.Is(err, os.ErrNotExist):
		return nil, "there is no such file"
	case err == nil && !info.Mode().IsRegular():
		return nil, "it is not a regular file"
	}
	f, err := os.Open(path)
	if err != nil {
		return nil, "it cannot be read"
	}
	defer f.Close()
	content, err = io.ReadAll(io.LimitReader(f, mostFileBytes+1))
	switch {
	case err != nil:
		return nil, "it cannot be read"
	case len(content) > mostFileBytes:
		return nil, fmt.Sprintf("it has more than %d bytes", mostFileBytes)
	}
	return content, ""
}

// readYAML returns the entries of content, which must be one mapping, or the
// reason why it is not.
func readYAML(content []byte) (entries map[string]yaml.Node, reason string) {
	decoder := yaml.NewDecoder(bytes.NewReader(content))
	var document, next yaml.Node
	switch err := decoder.Decode(&document); {
	case errors.Is(err, io.EOF):
		return nil, ""
	case err != nil:
		return nil, yamlReason(err)
	case crowded(&document):
		return nil, fmt.Sprintf("a mapping in it has more than %d entries", mostEntries)
	case !errors.Is(decoder.Decode(&next), io.EOF):
		return nil, "it holds more than one document, of which only the first would count"
	}
	if err := document.Decode(&entries); err != nil {
		return nil, yamlReason(err)
	}
	return entries, ""
}

// entryText returns the text of one setting, or an error if the entry is not a
// setting.
func entryText(key string, value yaml.Node) (string, error) {
	s, found := lookup(key)
	switch {
	case !found:
		return "", &unknownName{name: key, source: FromFile, among: fileNames()}
	case s.EnvironmentOnly:
		return "", &refusal{name: key, value: masked, source: FromFile, reason: "secrets do not belong in it",
			accepted: s.Env() + " in the environment, or " + key + "_file"}
	}
	node := target(&value)
	nodes := []*yaml.Node{node}
	if s.kind.list && node.Kind == yaml.SequenceNode {
		nodes = node.Content
	}
	var texts []string
	for _, n := range nodes {
		if n = target(n); !isText(n) {
			return "", misshapen(s, node, n)
		}
		texts = append(texts, n.Value)
	}
	return strings.Join(texts, ","), nil
}

// misshapen refuses the value whose part is no text.
func misshapen(s Setting, value, part *yaml.Node) error {
	r := &refusal{name: s.Name, value: shape(value), source: FromFile, accepted: s.Accepts}
	if isNull(part) {
		r.reason = `it has no value; write "" for an empty one, and quote one that begins with #`
	}
	return r
}

// fileNames returns the names of the settings that the file may contain.
func fileNames() []string {
	var names []string
	for _, s := range table {
		if !s.EnvironmentOnly {
			names = append(names, s.Name)
		}
	}
	return names
}

// target returns the node that an alias stands for, or node.
func target(node *yaml.Node) *yaml.Node {
	if node.Kind == yaml.AliasNode {
		return node.Alias
	}
	return node
}

// isText reports whether node is a scalar that is taken as it is written, whatever
// YAML would make of it: 010 is no 8, and 1.10 no 1.1.
func isText(node *yaml.Node) bool {
	return node.Kind == yaml.ScalarNode && slices.Contains([]string{"!!str", "!!int", "!!float", "!!bool", "!!timestamp"}, node.ShortTag())
}

func isNull(node *yaml.Node) bool { return node.Kind == yaml.ScalarNode && node.ShortTag() == "!!null" }

// shape names a value that is no text, for errors.
func shape(value *yaml.Node) string {
	switch {
	case value.Kind == yaml.SequenceNode:
		return "a list"
	case value.Kind == yaml.MappingNode:
		return "a mapping"
	case isNull(value):
		return "null"
	default:
		return "a value with a tag"
	}
}

// mostEntries bounds each mapping of the file, because the check for repeated
// keys takes quadratic time.
const mostEntries = 1000

func crowded(node *yaml.Node) bool {
	if node.Kind == yaml.MappingNode && len(node.Content) > 2*mostEntries {
		return true
	}
	return slices.ContainsFunc(node.Content, crowded)
}

var yamlLine = regexp.MustCompile(`line \d+`)

// yamlReason says what is wrong with a file. It passes on the library's message
// only if that quotes nothing of the file, which may contain a secret.
func yamlReason(err error) string {
	if mistyped, ok := errors.AsType[*yaml.TypeError](err); ok {
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
