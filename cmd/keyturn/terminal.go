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

// terminal returns the terminal that w is, nil if it is none.
func terminal(w io.Writer) *os.File {
	if f, ok := w.(*os.File); ok && term.IsTerminal(int(f.Fd())) {
		return f
	}
	return nil
}

// visible returns text for people with what could steer a terminal or mislead
// its reader in escapes: control characters, characters that nobody sees or that
// turn the direction of writing, and bytes that are no text. Much of what
// commands print was sent by strangers, a device's name among it. Lines stay.
func visible(s string) string {
	return escape(s, func(r rune, raw string) string {
		if r == utf8.RuneError {
			return fmt.Sprintf(`\x%02x`, raw[0])
		}
		quoted := strconv.QuoteRuneToASCII(r)
		return quoted[1 : len(quoted)-1]
	})
}

// visibleJSON does the same to JSON, in JSON's own escapes: what a program reads
// in it is the same. Bytes that are no text are none in JSON either.
func visibleJSON(s string) string {
	return escape(s, func(r rune, _ string) string {
		if hi, lo := utf16.EncodeRune(r); hi != unicode.ReplacementChar {
			return fmt.Sprintf(`\u%04x\u%04x`, hi, lo)
		}
		return fmt.Sprintf(`\u%04x`, r)
	})
}

// escape puts what with makes of them in place of the characters that are
// neither graphic nor the end of a line nor a tab; raw is how one stands in s.
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
