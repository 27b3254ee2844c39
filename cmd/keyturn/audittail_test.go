package main

import (
	"bytes"
	"os"
	"path/filepath"
	"testing"
	"time"
)

func TestColourIsForTerminals(t *testing.T) {
	terminal, err := os.OpenFile("/dev/ptmx", os.O_RDWR, 0)
	if err != nil {
		t.Fatal(err)
	}
	defer terminal.Close()
	file, err := os.Create(filepath.Join(t.TempDir(), "out"))
	if err != nil {
		t.Fatal(err)
	}
	defer file.Close()
	for name, c := range map[string]struct {
		p    program
		want bool
	}{
		"a terminal":              {program{stdout: terminal}, true},
		"NO_COLOR":                {program{stdout: terminal, environ: []string{"NO_COLOR=1"}}, false},
		"an empty NO_COLOR":       {program{stdout: terminal, environ: []string{"NO_COLOR="}}, true},
		"a file":                  {program{stdout: file}, false},
		"what is no file, a pipe": {program{stdout: &bytes.Buffer{}}, false},
	} {
		if got := c.p.colour(); got != c.want {
			t.Errorf("%s: %v", name, got)
		}
	}
}

func TestMoment(t *testing.T) {
	now := time.Date(2026, 11, 24, 12, 0, 0, 0, time.UTC)
	for s, want := range map[string]time.Time{
		"2026-11-24T08:30:00Z":      now.Add(-210 * time.Minute),
		"2026-11-24T08:30:00+01:00": now.Add(-270 * time.Minute),
		"2026-11-24T08:30":          now.Add(-210 * time.Minute),
		"2026-11-23":                now.Add(-36 * time.Hour),
		"90m":                       now.Add(-90 * time.Minute),
	} {
		m := moment{now: func() time.Time { return now }}
		if err := m.Set(s); err != nil || !m.Equal(want) {
			t.Errorf("%s: %v, %v; want %v", s, m.Time, err, want)
		}
	}
	for _, s := range []string{"", "yesterday", "-1h", "0", "5", "2026-13-01", "24.11.2026"} {
		m := moment{now: time.Now}
		if err := m.Set(s); err == nil {
			t.Errorf("%q is taken for %v", s, m.Time)
		}
	}
}
