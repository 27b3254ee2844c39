package userfile

import (
	"encoding/json"
	"errors"
	"math"
	"strconv"
	"strings"
	"time"
)

// value is a JSON string, number or boolean, as text; null is empty.
type value string

// UnmarshalJSON implements json.Unmarshaler. An object or an array becomes text too,
// which is neither a boolean nor a time, so that the caller refuses it.
func (v *value) UnmarshalJSON(text []byte) error {
	switch {
	case string(text) == "null":
		return nil
	case text[0] == '"':
		return json.Unmarshal(text, (*string)(v))
	}
	*v = value(text)
	return nil
}

// id is a JSON string or a whole number, as text; null is empty.
type id string

// UnmarshalJSON implements json.Unmarshaler. Its error does not contain the value.
func (i *id) UnmarshalJSON(text []byte) error {
	if text[0] != '"' && string(text) != "null" && strings.Trim(string(text), "-0123456789") != "" {
		return errors.New("uid must be a text or a whole number, as in 17")
	}
	return (*value)(i).UnmarshalJSON(text)
}

// parseBool parses a boolean in the forms of JSON, PostgreSQL and MySQL.
func parseBool(text string) (is, ok bool) {
	switch strings.ToLower(text) {
	case "", "false", "f", "0":
		return false, true
	case "true", "t", "1":
		return true, true
	}
	return false, false
}

// timeForms are the layouts of RFC 3339 and of the output of PostgreSQL, MySQL and
// SQLite. A time without an offset is in UTC.
var timeForms = []string{
	time.RFC3339, "2006-01-02 15:04:05Z07:00", "2006-01-02 15:04:05Z07", "2006-01-02 15:04:05 Z0700", "2006-01-02 15:04:05 MST",
	"2006-01-02 15:04:05", "2006-01-02T15:04:05", "2006-01-02",
}

// parseTime parses a time in one of timeForms, or a number of seconds, milliseconds
// or microseconds since 1970, distinguished by magnitude.
func parseTime(text string) (time.Time, bool) {
	if n, err := strconv.ParseFloat(text, 64); err == nil && n >= 0 && n < 1e17 && !math.IsNaN(n) {
		switch {
		case n >= 1e14:
			n /= 1e6
		case n >= 1e11:
			n /= 1e3
		}
		return time.UnixMilli(int64(math.Round(n * 1e3))).UTC(), true
	}
	for _, form := range timeForms {
		if form == "2006-01-02 15:04:05 MST" && !strings.HasSuffix(text, " UTC") {
			continue // other abbreviations have no certain offset
		}
		if t, err := time.Parse(form, text); err == nil {
			return t.UTC(), true
		}
	}
	return time.Time{}, false
}
