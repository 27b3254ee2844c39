package main

import (
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"strings"
	"text/tabwriter"
	"time"
)

// print prints v as JSON, or the output of text.
func (p *program) print(v any, text func(w io.Writer)) error {
	if p.output == "json" {
		return p.printJSON(v)
	}
	var b strings.Builder
	text(&b)
	_, err := io.WriteString(p.stdout, visible(b.String()))
	return err
}

// say is print with a format and its arguments as the text.
func (p *program) say(v any, format string, args ...any) error {
	return p.print(v, func(w io.Writer) { fmt.Fprintf(w, format, args...) })
}

// answer is the JSON of a command with a short answer.
type answer map[string]any

func (p *program) printJSON(v any) error { return encodeJSON(p.stdout, v) }

func encodeJSON(w io.Writer, v any) error {
	var b strings.Builder
	enc := json.NewEncoder(&b)
	enc.SetEscapeHTML(false)
	enc.SetIndent("", "  ")
	if err := enc.Encode(v); err != nil {
		return err
	}
	_, err := io.WriteString(w, visibleJSON(b.String()))
	return err
}

// oneCell keeps a value in its column and on its line.
var oneCell = strings.NewReplacer("\t", `\t`, "\n", `\n`)

// table writes rows in aligned columns below a heading.
func table(w io.Writer, heading string, rows func(row func(cells ...any))) {
	t := tabwriter.NewWriter(w, 0, 0, 2, ' ', 0)
	fmt.Fprintln(t, heading)
	rows(func(cells ...any) {
		for i, c := range cells {
			if i > 0 {
				fmt.Fprint(t, "\t")
			}
			fmt.Fprint(t, oneCell.Replace(visible(fmt.Sprint(c))))
		}
		fmt.Fprintln(t)
	})
	// t writes to a buffer, whose own flush reports errors.
	_ = t.Flush()
}

// when formats a time for people: absolute, and relative to now.
func when(t, now time.Time) string {
	if t.IsZero() {
		return "-"
	}
	return fmt.Sprintf("%s (%s)", t.UTC().Format(time.RFC3339), relative(t, now))
}

// relative formats the distance of a time from now, such as "in 29d23h" or
// "1m20s ago". It returns "" for the zero time.
func relative(t, now time.Time) string {
	if t.IsZero() {
		return ""
	}
	switch d := t.Sub(now).Round(time.Second); {
	case d < 0:
		return span(-d) + " ago"
	case d == 0:
		return "now"
	default:
		return "in " + span(d)
	}
}

// counted formats a number with its noun.
func counted[N int | int64](n N, what string) string {
	if n != 1 {
		what += "s"
	}
	return fmt.Sprintf("%d %s", n, what)
}

// span formats a duration in its two largest units.
func span(d time.Duration) string {
	const day = 24 * time.Hour
	switch {
	case d >= day:
		return fmt.Sprintf("%dd%dh", d/day, d%day/time.Hour)
	case d >= time.Hour:
		return fmt.Sprintf("%dh%dm", d/time.Hour, d%time.Hour/time.Minute)
	}
	return d.String()
}

// input opens a file that a command reads; - is standard input.
func (p *program) input(path string) (io.ReadCloser, error) {
	if path == "-" {
		return io.NopCloser(p.stdin), nil
	}
	return os.Open(path)
}

// readAll reads at most most bytes of such a file.
func (p *program) readAll(path string, most int64) ([]byte, error) {
	in, err := p.input(path)
	if err != nil {
		return nil, err
	}
	defer in.Close()
	return io.ReadAll(io.LimitReader(in, most))
}

// maxSecretFile bounds the size of a password file, in bytes.
const maxSecretFile = 4096

// readSecret reads a secret from a file, or from standard input if the path is
// "-". It removes one newline at the end.
func (p *program) readSecret(flag, path string) (string, error) {
	if path == "" {
		return "", usageError{fmt.Errorf("--%s is needed: a file, or - for standard input", flag)}
	}
	b, err := p.readAll(path, maxSecretFile+1)
	switch {
	case err != nil:
		return "", fmt.Errorf("--%s: %w", flag, err)
	case len(b) > maxSecretFile:
		return "", fmt.Errorf("--%s: longer than %d bytes", flag, maxSecretFile)
	}
	secret := strings.TrimSuffix(strings.TrimSuffix(string(b), "\n"), "\r")
	if secret == "" {
		return "", errors.New("--" + flag + ": it is empty")
	}
	return secret, nil
}
