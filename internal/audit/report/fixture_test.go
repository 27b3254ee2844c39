package report

import (
	"bytes"
	"testing"
	"time"

	"github.com/keyturn/keyturn/internal/audit/audittest"
	"github.com/keyturn/keyturn/internal/audit/verify"
)

// reportOf makes the report of a log, checked.
func reportOf(t testing.TB, s *audittest.Scribe) *Report {
	t.Helper()
	return reportOfFiles(t, s.Path)
}

func reportOfFiles(t testing.TB, files ...string) *Report {
	t.Helper()
	b := NewBuilder(time.Time{}, time.Time{})
	checked, err := verify.Each(files, verify.Options{}, func(line []byte) error { b.Add(line); return nil })
	r := b.Report()
	r.Integrity = Integrity{Checked: true, Report: checked}
	if err != nil {
		t.Fatal(err)
	}
	r.Made, r.Files = audittest.Dawn.Add(24*time.Hour), []string{"keyturn-audit.log"}
	r.Conclude()
	return r
}

func pageOf(t testing.TB, r *Report) string {
	t.Helper()
	var b bytes.Buffer
	if err := r.WriteHTML(&b); err != nil {
		t.Fatal(err)
	}
	return b.String()
}
