package main

import (
	"fmt"
	"strconv"
	"time"

	"github.com/HdrHistogram/hdrhistogram-go"
)

// newHistogram returns a histogram of microseconds, from 1 µs to the longest
// wait, with three significant digits.
func newHistogram() *hdrhistogram.Histogram {
	return hdrhistogram.New(1, requestTimeout.Microseconds(), 3)
}

// tally is what one client saw. It belongs to that client until the run is over.
type tally struct {
	// done counts the requests answered while measuring; latency also holds
	// those that were under way when the time was up.
	done    int64
	latency *hdrhistogram.Histogram
	errors  map[string]int64
}

func newTally() *tally {
	return &tally{latency: newHistogram(), errors: map[string]int64{}}
}

// record counts a request that was answered as it should be, in the phase in
// which its answer came.
func (t *tally) record(phase int32, took time.Duration) {
	if phase == warming {
		return
	}
	if phase == measuring {
		t.done++
	}
	us := min(max(took.Microseconds(), 1), requestTimeout.Microseconds())
	if err := t.latency.RecordValue(us); err != nil {
		panic(fmt.Sprintf("a latency of %d µs is outside of the histogram: %v", us, err))
	}
}

// fail counts a request that went wrong, in whatever phase.
func (t *tally) fail(why string) {
	t.errors[why]++
}

// judge returns "" for a request that was answered as it should be, and else
// the name that its failure is counted under: the status; timeout; network for
// a connection that was refused or broke; answer for a 2xx answer that is not
// what was asked for.
func judge(s session, status int, body []byte, err error) string {
	switch {
	case err != nil && isTimeout(err):
		return "timeout"
	case err != nil:
		return "network"
	case status < 200 || status > 299:
		return strconv.Itoa(status)
	case !s.accept(body):
		return "answer"
	}
	return ""
}

// measurement is the outcome of one run.
type measurement struct {
	requests int64
	elapsed  time.Duration
	// latency is nil where no single latencies were taken.
	latency *hdrhistogram.Histogram
	errors  map[string]int64
	// known says that the server's process could be read: cpu and rss are
	// its processor time and its memory in bytes. own is the tool's own
	// processor time.
	known    bool
	cpu, own time.Duration
	rss      int64
}

// measurement adds up what the clients saw in the window.
func (w window) measurement(tallies []*tally) measurement {
	m := measurement{
		elapsed: w.elapsed,
		latency: newHistogram(),
		errors:  map[string]int64{},
		known:   w.server.pid != 0,
		cpu:     w.after.cpu - w.before.cpu,
		rss:     w.after.rss,
		own:     w.mine,
	}
	for _, t := range tallies {
		m.requests += t.done
		m.latency.Merge(t.latency)
		for why, n := range t.errors {
			m.errors[why] += n
		}
	}
	return m
}

// rate is how many requests were answered in a second.
func (m measurement) rate() float64 {
	if m.elapsed <= 0 {
		return 0
	}
	return float64(m.requests) / m.elapsed.Seconds()
}

// failed is how many requests went wrong.
func (m measurement) failed() int64 { return sum(m.errors) }

func sum(counts map[string]int64) int64 {
	var n int64
	for _, c := range counts {
		n += c
	}
	return n
}
