package config

import "strings"

// unknownName says that a name with prefix is not a setting. It suggests the
// nearest name of among, or lists all of them if none is near.
type unknownName struct {
	name   string
	prefix string
	source Source
	among  []string
}

// Error returns one line.
func (u *unknownName) Error() string {
	line := quoted(u.name) + " from the " + string(u.source) + " is not the name of a setting; "
	bare := strings.TrimPrefix(u.name, u.prefix)
	if nearest, found := nearestName(bare, u.among); found {
		return line + "did you mean " + u.spelled(nearest) + "?"
	}
	var names []string
	for _, name := range u.among {
		names = append(names, u.spelled(name))
	}
	return line + "accepted: " + strings.Join(names, ", ")
}

// spelled returns the name of a setting as it is spelled in the source.
func (u *unknownName) spelled(setting string) string {
	if u.source == FromEnvironment {
		return envPrefix + strings.ToUpper(setting)
	}
	return setting
}

// nearestName returns the name with the smallest edit distance, the first in
// case of a tie. It returns false if more than a third of the letters differ.
func nearestName(name string, among []string) (string, bool) {
	const longestName = 64
	if len(name) > longestName {
		return "", false
	}
	folded := foldName(name)
	best, least := "", 2+len(name)/3
	for _, candidate := range among {
		if d := editDistance(folded, foldName(candidate)); d < least {
			best, least = candidate, d
		}
	}
	return best, best != ""
}

// foldName ignores case and treats dashes as underscores.
func foldName(name string) string {
	return strings.ReplaceAll(strings.ToLower(name), "-", "_")
}

// editDistance returns the Levenshtein distance of a and b in bytes.
func editDistance(a, b string) int {
	row := make([]int, len(b)+1)
	for j := range row {
		row[j] = j
	}
	for i := range len(a) {
		diagonal := row[0]
		row[0] = i + 1
		for j := range len(b) {
			replace := diagonal
			if a[i] != b[j] {
				replace++
			}
			diagonal = row[j+1]
			row[j+1] = min(replace, row[j]+1, row[j+1]+1)
		}
	}
	return row[len(b)]
}
