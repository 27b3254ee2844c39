package main

import (
	"io"
	"os"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"time"

	auditreport "github.com/keyturn/keyturn/internal/audit/report"
)

// TestReportOnAPipe writes to a name that is no file: it stays what it is.
func TestReportOnAPipe(t *testing.T) {
	path := filepath.Join(t.TempDir(), "pipe")
	if err := syscall.Mkfifo(path, 0o600); err != nil {
		t.Fatal(err)
	}
	page := make(chan string, 1)
	go func() {
		defer close(page)
		f, err := os.Open(path)
		if err != nil {
			return
		}
		defer f.Close()
		b, _ := io.ReadAll(f)
		page <- string(b)
	}()
	if err := (&program{}).writeReport(path, auditreport.NewBuilder(time.Time{}, time.Time{}).Report()); err != nil {
		t.Fatal(err)
	}
	info, err := os.Stat(path)
	if err != nil || info.Mode()&os.ModeNamedPipe == 0 {
		t.Fatalf("the report has taken the place of the pipe: %v, %v", info.Mode(), err)
	}
	if got := <-page; !strings.HasPrefix(got, "<!DOCTYPE html>") {
		t.Errorf("the reader of the pipe got %q", got)
	}
}

// TestReportReplacesReportsAlone names files that a report would take the place
// of, as the shell does where the name after --out was left out.
func TestReportReplacesReportsAlone(t *testing.T) {
	made := auditreport.NewBuilder(time.Time{}, time.Time{}).Report()
	for name, c := range map[string]struct {
		there  string
		output string
		refuse bool
	}{
		"a log":            {`{"keyturn":{"chain":{}}}` + "\n", "text", true},
		"a compressed log": {"\x1f\x8b\x08", "text", true},
		"an empty file":    {"", "text", false},
		"a page":           {"<!DOCTYPE html>\n<html>", "json", false},
		"an earlier page":  {"", "text", false},
		"an earlier JSON":  {"", "json", false},
	} {
		t.Run(name, func(t *testing.T) {
			path := filepath.Join(t.TempDir(), "out")
			p := &program{output: c.output}
			if err := os.WriteFile(path, []byte(c.there), 0o600); err != nil {
				t.Fatal(err)
			}
			if strings.HasPrefix(name, "an earlier") {
				if err := p.writeReport(path, made); err != nil {
					t.Fatal(err)
				}
			}
			err := checkReportFile(path)
			if err == nil {
				err = p.writeReport(path, made)
			}
			now, rerr := os.ReadFile(path)
			if rerr != nil || (err != nil) != c.refuse || (string(now) == c.there) != c.refuse {
				t.Errorf("error is %v, %v; the file begins %.40q", err, rerr, now)
			}
		})
	}
}
