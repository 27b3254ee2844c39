package main

import (
	"bufio"
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"time"

	"github.com/spf13/cobra"

	auditlog "github.com/keyturn/keyturn/internal/audit/log"
	auditreport "github.com/keyturn/keyturn/internal/audit/report"
	"github.com/keyturn/keyturn/internal/audit/verify"
	"github.com/keyturn/keyturn/internal/config"
)

func (p *program) auditReportCommand() *cobra.Command {
	var r reportFlags
	r.since.now, r.until.now = time.Now, time.Now
	cmd := &cobra.Command{
		Use:   "report FILE…",
		Short: "Make one page of an audit log for who investigates",
		Long: `Reads the files of one log as audit verify does (compressed or not, in any order;
- is standard input), or of the logs of several replicas, merged by time. It checks
them in the same way and writes one page of HTML: logins and failures over time,
reuse of refresh tokens with both sides, the sources and accounts of failed
passwords, new devices, what became of the keys, what operators did, and whether
the log is as it was written. The page needs no network and no script. With
--output json the same comes as JSON.

The check is of the whole log even where --since or --until narrow the report
down. A log that does not verify is reported all the same: the page says so, and
the exit code is 1.`,
		Example: `  keyturn audit report --out report.html keyturn-audit.log*
  keyturn audit report --since 48h --out report.html keyturn-audit.log
  keyturn audit tail --output json --user ada@example.com keyturn-audit.log | keyturn audit report --no-verify - > ada.html`,
		Args: cobra.MinimumNArgs(1),
	}
	f := cmd.Flags()
	r.verify.add(f)
	r.verify.since.now = time.Now
	f.Var(&r.verify.since, "whole-since", "the log is whole from this time on; older files were deleted")
	f.BoolVar(&r.unchecked, "no-verify", false, "do not check the chains: what is read is an excerpt")
	f.StringVar(&r.out, "out", "-", "the file to write, new or an earlier report; - is standard output")
	f.Var(&r.since, "since", "only events from this time on, or of the last so long, such as 48h")
	f.Var(&r.until, "until", "only events before this time, or older than so long")
	p.withSettings(cmd, func(ctx context.Context, cfg *config.Config, files []string) error {
		if err := (&verify.Filter{Since: r.since.Time, Until: r.until.Time}).Check(); err != nil {
			return usageError{err}
		}
		if err := checkReportFile(r.out); err != nil {
			return err
		}
		r.verify.asks = cmd.Flags().Changed("store")
		report, err := r.read(ctx, cfg, files)
		if err != nil {
			return unreadable(err)
		}
		if err := p.writeReport(r.out, report); err != nil {
			return err
		}
		if bad := report.Integrity.Bad; bad != nil {
			return bad
		}
		return nil
	})
	return cmd
}

// reportFlags are the flags of audit report.
type reportFlags struct {
	verify       verifyFlags
	unchecked    bool
	out          string
	since, until moment
}

func (r *reportFlags) read(ctx context.Context, cfg *config.Config, files []string) (*auditreport.Report, error) {
	b := auditreport.NewBuilder(r.since.Time, r.until.Time)
	take := func(line []byte) error {
		b.Add(line)
		return ctx.Err()
	}
	integrity, err := r.check(ctx, cfg, files, take)
	if err != nil {
		return nil, err
	}
	report := b.Report()
	report.Made, report.Files, report.Integrity = time.Now().UTC(), files, integrity
	report.Conclude()
	return report, nil
}

// check reads the files and passes each line to take. A fault of the log is part
// of its result, not an error.
func (r *reportFlags) check(ctx context.Context, cfg *config.Config, files []string, take func([]byte) error) (auditreport.Integrity, error) {
	if r.unchecked {
		return auditreport.Integrity{}, verify.Lines(files, take)
	}
	o, err := r.verify.options(ctx, cfg)
	if err != nil {
		return auditreport.Integrity{}, err
	}
	integrity := auditreport.Integrity{Checked: true}
	integrity.Report, err = verify.Each(files, o, take)
	if errors.As(err, &integrity.Bad) {
		err = nil
	}
	return integrity, err
}

// checkReportFile refuses a path that no report can be written to, before the log is
// read. It spares every file that is no report: if the name was left out, the shell may
// put the log in its place.
func checkReportFile(path string) error {
	info, err := os.Stat(path)
	switch {
	case path == "-":
		return nil
	case err != nil:
		if err = auditlog.TakesFiles(filepath.Dir(path)); err != nil {
			err = fmt.Errorf("--out: %w", err)
		}
		return err
	case info.Mode().IsRegular() && !holdsReport(path):
		return usageError{fmt.Errorf("--out %s: it is there, and no report: name another file, or remove it", path)}
	}
	return nil
}

// writeReport writes the report to path. A file is written completely or not at
// all, and only its owner can read it, because it names people and addresses. A pipe or
// a device is written to directly.
func (p *program) writeReport(path string, report *auditreport.Report) error {
	write := func(w io.Writer) error {
		buffered := bufio.NewWriter(w)
		var err error
		if p.output == "json" {
			err = encodeJSON(buffered, report)
		} else {
			err = report.WriteHTML(buffered)
		}
		return errors.Join(err, buffered.Flush())
	}
	if path == "-" {
		return write(p.stdout)
	}
	if info, err := os.Stat(path); err == nil && !info.Mode().IsRegular() {
		return writeThrough(path, write)
	}
	f, err := os.CreateTemp(filepath.Dir(path), ".keyturn-report-*")
	if err != nil {
		return fmt.Errorf("--out: %w", err)
	}
	err = errors.Join(write(f), f.Sync(), f.Close())
	if err == nil {
		err = os.Rename(f.Name(), path)
	}
	if err != nil {
		return errors.Join(fmt.Errorf("--out: %w", err), os.Remove(f.Name()))
	}
	return nil
}

func writeThrough(path string, write func(io.Writer) error) error {
	f, err := os.OpenFile(path, os.O_WRONLY, 0)
	if err == nil {
		err = errors.Join(write(f), f.Close())
	}
	if err != nil {
		return fmt.Errorf("--out: %w", err)
	}
	return nil
}

// holdsReport reports whether a file begins like a report, or is empty.
func holdsReport(path string) bool {
	f, err := os.Open(path)
	if err != nil {
		return false
	}
	defer f.Close()
	start := make([]byte, 32)
	n, err := io.ReadFull(f, start)
	if errors.Is(err, io.EOF) {
		return true
	}
	return bytes.HasPrefix(start[:n], []byte("<!DOCTYPE html>")) || bytes.HasPrefix(start[:n], []byte("{\n  \"made\":"))
}
