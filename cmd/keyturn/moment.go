package main

import (
	"fmt"
	"time"
)

// moment is a flag for a point in time. The zero moment is none.
type moment struct {
	time.Time
	now func() time.Time
}

// Set parses a time, a day (its beginning, in UTC) or how long ago it was.
func (m *moment) Set(s string) error {
	for _, layout := range []string{time.RFC3339Nano, "2006-01-02T15:04", time.DateOnly} {
		if t, err := time.Parse(layout, s); err == nil {
			m.Time = t.UTC()
			return nil
		}
	}
	ago, err := time.ParseDuration(s)
	if err != nil || ago <= 0 {
		return fmt.Errorf("use a time such as 2026-11-24T08:30:00Z, a day such as 2026-11-24 (UTC), or how long ago, such as 90m or 48h")
	}
	m.Time = m.now().Add(-ago)
	return nil
}

// String returns the default, for pflag.
func (m *moment) String() string {
	if m.IsZero() {
		return ""
	}
	return m.Format(time.RFC3339Nano)
}

// Type returns the name of the value in the help.
func (m *moment) Type() string { return "time" }
