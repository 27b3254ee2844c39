package report

import (
	"fmt"
	"strconv"
	"strings"
	"time"
	"unicode"
)

// maxShown is how many characters of a value the page shows.
const maxShown = 240

// shown escapes characters that would mislead a reader, because they are
// invisible or turn the direction of writing, and cuts a long value. It does
// not make a value safe for HTML; the template does.
func shown(s string) string {
	var b strings.Builder
	n := 0
	for _, r := range s {
		if n++; n > maxShown {
			b.WriteString("…")
			break
		}
		switch {
		case r == ' ' || unicode.IsGraphic(r) && !unicode.IsSpace(r) && r != unicode.ReplacementChar:
			b.WriteRune(r)
		default:
			quoted := strconv.QuoteRuneToASCII(r)
			b.WriteString(quoted[1 : len(quoted)-1])
		}
	}
	return b.String()
}

// number formats a count with thousands separators.
func number(n int64) string {
	s := strconv.FormatInt(n, 10)
	for i := len(s) - 3; i > 0 && s[i-1] != '-'; i -= 3 {
		s = s[:i] + "," + s[i:]
	}
	return s
}

// clockTime formats a time to the second in UTC; the page states the time zone
// once.
func clockTime(t time.Time) string {
	if t.IsZero() {
		return "–"
	}
	return t.UTC().Format("2006-01-02 15:04:05")
}

// long formats a duration in its two largest units.
func long(d time.Duration) string {
	const day = 24 * time.Hour
	switch {
	case d >= day:
		return fmt.Sprintf("%d d %d h", d/day, d%day/time.Hour)
	case d >= time.Hour:
		return fmt.Sprintf("%d h %d min", d/time.Hour, d%time.Hour/time.Minute)
	case d >= time.Minute:
		return fmt.Sprintf("%d min %d s", d/time.Minute, d%time.Minute/time.Second)
	}
	return fmt.Sprintf("%d s", d/time.Second)
}

// String returns the page's name of a step.
func (s Step) String() string {
	for _, u := range []struct {
		of   Step
		name string
	}{{24 * 3600, "day"}, {3600, "hour"}, {60, "minute"}} {
		if s%u.of == 0 {
			if s == u.of {
				return u.name
			}
			return fmt.Sprintf("%d %ss", s/u.of, u.name)
		}
	}
	return fmt.Sprintf("%d seconds", int64(s))
}
