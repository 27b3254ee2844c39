package config

import (
	"errors"
	"fmt"
	"slices"
	"strconv"
	"strings"
	"time"
	"unicode"
)

// kind converts between the text of a setting and the value of a field. An
// error of set says what is wrong with the text and never contains it. It is
// errNotAccepted if accepts says enough.
type kind struct {
	typ     string
	accepts string
	list    bool
	set     func(c *Config, text string) error
	show    func(c *Config) string
}

// errNotAccepted is the error of a text if what would be accepted explains
// enough.
var errNotAccepted = errors.New("")

// text is a kind of plain text that valid checks; a nil valid accepts
// everything.
func text(field func(*Config) *string, typ, accepts string, valid func(string) error) kind {
	return kind{
		typ:     typ,
		accepts: accepts,
		set: func(c *Config, s string) error {
			if valid != nil {
				if err := valid(s); err != nil {
					return err
				}
			}
			*field(c) = s
			return nil
		},
		show: func(c *Config) string { return *field(c) },
	}
}

// filePath is a kind of file names.
func filePath(field func(*Config) *string, accepts string) kind {
	return text(field, "file", accepts, noControl)
}

// noControl refuses control characters, which no file name contains on purpose.
func noControl(s string) error {
	if strings.ContainsFunc(s, unicode.IsControl) {
		return errors.New("it holds a control character")
	}
	return nil
}

// oneOf is a kind of text with a few values.
func oneOf(field func(*Config) *string, values ...string) kind {
	return text(field, "name", strings.Join(values, ", "), func(s string) error {
		if !slices.Contains(values, s) {
			return errNotAccepted
		}
		return nil
	})
}

// switched is a kind of switch that is printed as yes or no.
func switched(field func(*Config) *bool, yes, no string) kind {
	return kind{
		typ:     yes + "|" + no,
		accepts: "true or on, false or off",
		set: func(c *Config, s string) error {
			switch strings.ToLower(s) { // True and TRUE are YAML's too
			case "true", "on":
				*field(c) = true
			case "false", "off":
				*field(c) = false
			default:
				return errNotAccepted
			}
			return nil
		},
		show: func(c *Config) string {
			if *field(c) {
				return yes
			}
			return no
		},
	}
}

// number is a kind of whole number from least to most.
func number[T int | uint8 | uint32](field func(*Config) *T, least, most T, unit string) kind {
	if unit != "" {
		unit = " " + unit
	}
	return kind{
		typ:     "number",
		accepts: fmt.Sprintf("a whole number from %d to %d%s", least, most, unit),
		set: func(c *Config, s string) error {
			n, err := strconv.ParseInt(s, 10, 64)
			// No zeros before it, which some read as octal, and no plus.
			if err != nil || strconv.FormatInt(n, 10) != s || n < int64(least) || n > int64(most) {
				return errNotAccepted
			}
			*field(c) = T(n)
			return nil
		},
		show: func(c *Config) string { return fmt.Sprint(*field(c)) },
	}
}

// longest bounds every duration, so that sums of a few never overflow.
const longest = 3650 * 24 * time.Hour

// duration is a kind of duration from least to longest.
func duration(field func(*Config) *time.Duration, least time.Duration) kind {
	return kind{
		typ:     "duration",
		accepts: fmt.Sprintf("a duration from %v to 3650d, such as 500ms, 30s, 24h or 30d", least),
		set: func(c *Config, s string) error {
			d, err := ParseDuration(s)
			if err != nil {
				return err
			}
			if d < least || d > longest {
				return errNotAccepted
			}
			*field(c) = d
			return nil
		},
		show: func(c *Config) string { return field(c).String() },
	}
}

// ParseDuration parses a duration in Go's syntax that may begin with a whole
// number of days of 24 hours: 500ms, 1h30m, 2d, 1d12h. A fraction of a
// millisecond is an error, because stores keep milliseconds.
func ParseDuration(s string) (time.Duration, error) {
	var days uint64
	rest := s
	if number, after, found := strings.Cut(s, "d"); found {
		n, err := strconv.ParseUint(number, 10, 64)
		if err != nil || strings.ContainsAny(after, "+-") {
			return 0, errors.New("days are a whole number before everything else, as in 1d12h")
		}
		if n > uint64(longest/(24*time.Hour)) {
			return 0, errors.New("it is too long")
		}
		days, rest = n, after
		if rest == "" {
			rest = "0"
		}
	}
	d, err := time.ParseDuration(rest)
	switch {
	case err != nil && rest != "" && strings.Trim(rest, "0123456789.") == "":
		return 0, errors.New("it has no unit")
	case err != nil:
		return 0, errors.New("it is not a duration")
	case d%time.Millisecond != 0:
		return 0, errors.New("it is finer than a millisecond")
	case d > longest:
		return 0, errors.New("it is too long")
	}
	return time.Duration(days)*24*time.Hour + d, nil
}

// mostItems bounds every list, because a request may be compared with all
// items.
const mostItems = 256

// listOf is a kind of list; parse parses and show prints one item.
func listOf[T any](field func(*Config) *[]T, accepts string, parse func(string) (T, error), show func(T) string) kind {
	return kind{
		typ:     "list",
		list:    true,
		accepts: accepts,
		set: func(c *Config, s string) error {
			items := splitList(s)
			if len(items) > mostItems {
				return fmt.Errorf("it has more than %d items", mostItems)
			}
			var values []T
			for _, item := range items {
				value, err := parse(item)
				if err != nil {
					return fmt.Errorf("%s%w", quoted(item), because(err))
				}
				values = append(values, value)
			}
			*field(c) = values
			return nil
		},
		show: func(c *Config) string {
			var items []string
			for _, value := range *field(c) {
				items = append(items, show(value))
			}
			return strings.Join(items, ",")
		},
	}
}

// because formats the reason why an item is refused.
func because(err error) error {
	if errors.Is(err, errNotAccepted) {
		return errors.New(" is not one")
	}
	return fmt.Errorf(": %w", err)
}

// splitList splits a list at commas and white space.
func splitList(s string) []string {
	return strings.FieldsFunc(s, func(r rune) bool { return r == ',' || unicode.IsSpace(r) })
}
