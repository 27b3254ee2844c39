package users

import (
	"bytes"
	"compress/gzip"
	_ "embed"
	"io"
	"slices"
	"strings"
	"sync"
	"unicode/utf8"
)

// The commonest passwords; blocklist/README.md names their source.
//
//go:embed blocklist/passwords.txt.gz
var blocklistGzip []byte

// blocklist returns the sorted entries as slices of one string. It unpacks them
// at the first call.
var blocklist = sync.OnceValue(func() []string {
	r, err := gzip.NewReader(bytes.NewReader(blocklistGzip))
	if err != nil {
		panic("users: the built-in password blocklist is damaged: " + err.Error())
	}
	text, err := io.ReadAll(r)
	if err != nil {
		panic("users: the built-in password blocklist is damaged: " + err.Error())
	}
	return strings.Split(strings.TrimSuffix(string(text), "\n"), "\n")
})

// isCommon reports whether a folded word is on the blocklist.
func isCommon(word string) bool {
	if utf8.RuneCountInString(word) < shortestWord {
		return false
	}
	_, found := slices.BinarySearch(blocklist(), word)
	return found
}
