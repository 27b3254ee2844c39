package main

import (
	"fmt"
	"io"
	"maps"
	"slices"
	"strings"
	"text/tabwriter"
)

// unknown stands where there is no figure.
const unknown = "-"

// columns head the table; times are in milliseconds.
var columns = []string{"SCENARIO", "REQUESTS/S", "P50 MS", "P90 MS", "P99 MS", "P99.9 MS", "MAX MS", "ERRORS",
	"CPU MS/REQ", "RSS MIB", "FLOOR/S", "FLOOR CPU MS", "RATIO", "CPU RATIO"}

// writeText prints the report as a table, and below it what went wrong.
func (r *report) writeText(w io.Writer) error {
	fmt.Fprintf(w, "%s: %d clients, %gs after a warm-up of %gs, %d rounds; %d CPUs, %s/%s, %s\n\n",
		r.URL, r.Clients, r.DurationSeconds, r.WarmupSeconds, r.Rounds, r.CPUs, r.OS, r.Arch, r.Go)
	t := tabwriter.NewWriter(w, 0, 0, 2, ' ', tabwriter.AlignRight)
	fmt.Fprintln(t, strings.Join(columns, "\t")+"\t")
	for _, s := range r.Scenarios {
		fmt.Fprintln(t, strings.Join(s.row(), "\t")+"\t")
	}
	if err := t.Flush(); err != nil {
		return err
	}
	for _, s := range r.Scenarios {
		writeErrors(w, s.Scenario, s.Server.Errors)
		if s.Floor != nil {
			writeErrors(w, s.Scenario+" floor", s.Floor.Errors)
		}
	}
	return r.writeNotes(w)
}

// row is the scenario's line in the table.
func (s result) row() []string {
	row := []string{s.Scenario, fmt.Sprintf("%.1f", s.Server.RequestsPerSecond)}
	if l := s.Server.Latency; l != nil {
		for _, us := range []int64{l.P50, l.P90, l.P99, l.P999, l.Max} {
			row = append(row, fmt.Sprintf("%.3f", float64(us)/1000))
		}
	} else {
		row = append(row, unknown, unknown, unknown, unknown, unknown)
	}
	row = append(row, fmt.Sprint(sum(s.Server.Errors)),
		decimal(s.Server.CPUMillis, 4), decimal(s.Server.RSSMiB, 1))
	if s.Floor != nil {
		row = append(row, fmt.Sprintf("%.1f", s.Floor.RequestsPerSecond), decimal(s.Floor.CPUMillis, 4))
	} else {
		row = append(row, unknown, unknown)
	}
	return append(row, decimal(s.Ratio, 3), decimal(s.CPURatio, 2))
}

func decimal(v *float64, digits int) string {
	if v == nil {
		return unknown
	}
	return fmt.Sprintf("%.*f", digits, *v)
}

func writeErrors(w io.Writer, who string, errors map[string]int64) {
	for _, why := range slices.Sorted(maps.Keys(errors)) {
		fmt.Fprintf(w, "%s: %d failed: %s\n", who, errors[why], why)
	}
}

// writeNotes says what a reader of the table must know.
func (r *report) writeNotes(w io.Writer) error {
	if r.ServerPID == nil {
		fmt.Fprintln(w, "\nThe server's process is not known; --pid gives its processor time and memory.")
	}
	_, err := fmt.Fprintln(w, "\nRatio: the server's requests per second to its floor's, the median of the rounds. "+
		"CPU ratio: the same of\nprocessor time per request. keyturn-bench --help says what each floor does.")
	return err
}
