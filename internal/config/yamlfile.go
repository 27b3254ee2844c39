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

	"go.yaml.in/yaml/v3"
)

// mostFileBytes bounds the size of the file.
const mostFileBytes = 1 << 20

// fromFile returns the settings in a YAML file as texts, in the form of
// variables. It passes an error for everything else in the file to stray.
func fromFile(path string, stray func(error)) map[string]string {
	content, reason := readFile(path)
	entries := make(map[string]any)
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
func readYAML(content []byte) (entries map[string]any, reason string) {
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
func entryText(key string, value any) (string, error) {
	s, found := lookup(key)
	switch {
	case !found:
		return "", &unknownName{name: key, source: FromFile, among: fileNames()}
	case s.EnvironmentOnly:
		return "", &refusal{name: key, value: masked, source: FromFile, reason: "secrets do not belong in it",
			accepted: s.Env() + " in the environment, or " + key + "_file"}
	}
	text, ok := scalar(value)
	if list, isList := value.([]any); isList && s.kind.list {
		text, ok = joinScalars(list)
	}
	if !ok {
		return "", &refusal{name: key, value: shape(value), source: FromFile, accepted: s.Accepts}
	}
	return text, nil
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

// shape names a value that is not a scalar, for errors.
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
