package main

import (
	"fmt"
	"io"
	"os"
	"strconv"
	"strings"
	"unicode"
	"unicode/utf16"
	"unicode/utf8"

	"golang.org/x/term"
)

// terminal returns w if it is a terminal, otherwise nil.
func terminal(w io.Writer) *os.File {
	if f, ok := w.(*os.File); ok && term.IsTerminal(int(f.Fd())) {
		return f
	}
	return nil
}

// visible escapes everything in a text that could control a terminal or mislead
// its reader: control characters, characters that are invisible or turn the
// direction of writing, and invalid UTF-8. Much of what commands print comes
// from strangers, such as a device's name. Line breaks and tabs stay.
func visible(s string) string {
	return escape(s, func(r rune, raw string) string {
		if r == utf8.RuneError {
			return fmt.Sprintf(`\x%02x`, raw[0])
		}
		quoted := strconv.QuoteRuneToASCII(r)
		return quoted[1 : len(quoted)-1]
	})
}

// visibleJSON does the same to JSON with JSON's own escapes, so that a program
// reads the same values. JSON contains no invalid UTF-8.
func visibleJSON(s string) string {
	return escape(s, func(r rune, _ string) string {
		if hi, lo := utf16.EncodeRune(r); hi != unicode.ReplacementChar {
			return fmt.Sprintf(`\u%04x\u%04x`, hi, lo)
		}
		return fmt.Sprintf(`\u%04x`, r)
	})
}

// escape replaces the characters that are neither graphic nor a line break nor a
// tab by the result of with; raw is the character's text in s.
func escape(s string, with func(r rune, raw string) string) string {
	var b strings.Builder
	for from := 0; from < len(s); {
		r, size := utf8.DecodeRuneInString(s[from:])
		raw := s[from : from+size]
		if invalid := r == utf8.RuneError && size == 1; invalid || !unicode.IsGraphic(r) && r != '\n' && r != '\t' {
			raw = with(r, raw)
		}
		b.WriteString(raw)
		from += size
	}
	return b.String()
}
