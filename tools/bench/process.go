package main

import (
	"bytes"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strconv"
	"time"
)

// tick is the unit of processor time in /proc: Linux shows every program 100 of
// them in a second (USER_HZ), on every architecture that Go runs on.
const tick = time.Second / 100

// process is a process as /proc shows it; root is where /proc is mounted.
type process struct {
	root string
	pid  int
}

// usage is what a process has used: processor time, user and system, of all its
// threads since it began, and the memory in bytes that is resident now.
type usage struct {
	cpu time.Duration
	rss int64
}

// withWorkers reads what the process and its children have used: a Keyturn server
// hashes passwords in processes that it starts.
func (p process) withWorkers() (usage, error) {
	sum, err := p.usage()
	if err != nil {
		return usage{}, err
	}
	lists, err := filepath.Glob(filepath.Join(p.root, strconv.Itoa(p.pid), "task", "*", "children"))
	if err != nil {
		return usage{}, err
	}
	for _, list := range lists {
		children, _ := os.ReadFile(list) // none if the thread has ended
		for child := range bytes.FieldsSeq(children) {
			pid, err := strconv.Atoi(string(child))
			if err != nil {
				return usage{}, fmt.Errorf("%s: %w", list, err)
			}
			u, err := process{root: p.root, pid: pid}.usage()
			if err != nil {
				return usage{}, err
			}
			sum.cpu += u.cpu
			sum.rss += u.rss
		}
	}
	return sum, nil
}

// usage reads what the process has used.
func (p process) usage() (usage, error) {
	dir := filepath.Join(p.root, strconv.Itoa(p.pid))
	stat, err := os.ReadFile(filepath.Join(dir, "stat"))
	if err != nil {
		return usage{}, fmt.Errorf("the process cannot be read: %w", err)
	}
	cpu, err := parseStat(stat)
	if err != nil {
		return usage{}, err
	}
	status, err := os.ReadFile(filepath.Join(dir, "status"))
	if err != nil {
		return usage{}, fmt.Errorf("the process cannot be read: %w", err)
	}
	rss, err := parseStatus(status)
	if err != nil {
		return usage{}, err
	}
	return usage{cpu: cpu, rss: rss}, nil
}

// parseStat reads user and system time from /proc/PID/stat (proc(5)): fields 14
// and 15, counted after the name in parentheses, which may itself hold blanks
// and parentheses.
func parseStat(stat []byte) (time.Duration, error) {
	bad := errors.New("/proc/PID/stat: must be PID (NAME) STATE and numbers")
	end := bytes.LastIndexByte(stat, ')')
	if end < 0 {
		return 0, bad
	}
	fields := bytes.Fields(stat[end+1:])
	if len(fields) < 13 {
		return 0, bad
	}
	var ticks int64
	for _, f := range fields[11:13] {
		n, err := strconv.ParseInt(string(f), 10, 48)
		if err != nil || n < 0 {
			return 0, bad
		}
		ticks += n
	}
	return time.Duration(ticks) * tick, nil
}

// parseStatus reads VmRSS from /proc/PID/status (proc(5)), in bytes. A process
// that has ended but was not waited for has no such line.
func parseStatus(status []byte) (int64, error) {
	for line := range bytes.Lines(status) {
		rest, ok := bytes.CutPrefix(line, []byte("VmRSS:"))
		if !ok {
			continue
		}
		f := bytes.Fields(rest)
		if len(f) != 2 || string(f[1]) != "kB" {
			return 0, errors.New("/proc/PID/status: VmRSS must be a number of kB")
		}
		n, err := strconv.ParseInt(string(f[0]), 10, 48)
		if err != nil || n < 0 {
			return 0, errors.New("/proc/PID/status: VmRSS must be a number of kB")
		}
		return n << 10, nil
	}
	return 0, errors.New("/proc/PID/status: no VmRSS; the process has ended")
}
