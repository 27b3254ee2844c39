package main

import (
	"encoding/json"
	"io"
	"runtime"
	"slices"
	"time"

	"github.com/HdrHistogram/hdrhistogram-go"
)

// report is what is printed.
type report struct {
	URL             string    `json:"url"`
	StartedAt       time.Time `json:"started_at"`
	Go              string    `json:"go"`
	OS              string    `json:"os"`
	Arch            string    `json:"arch"`
	CPUs            int       `json:"cpus"`
	Clients         int       `json:"clients"`
	DurationSeconds float64   `json:"duration_seconds"`
	WarmupSeconds   float64   `json:"warmup_seconds"`
	Rounds          int       `json:"rounds"`
	// ServerPID is null where the server's process is not known.
	ServerPID *int     `json:"server_pid"`
	Scenarios []result `json:"scenarios"`
	// Errors is how many requests failed in all, the floors' included.
	Errors int64 `json:"errors"`
}

// result is one scenario. Its figures are medians over the rounds, but for the
// latencies, which are of all rounds together. The ratios are medians of the
// rounds' own: server to floor, of requests per second and of processor time
// per request. What is not known is null.
type result struct {
	Scenario string        `json:"scenario"`
	Server   figures       `json:"server"`
	Floor    *figures      `json:"floor"`
	Ratio    *float64      `json:"ratio"`
	CPURatio *float64      `json:"cpu_ratio"`
	Rounds   []roundResult `json:"rounds"`
}

// roundResult is one turn of floor and server.
type roundResult struct {
	Server figures  `json:"server"`
	Floor  *figures `json:"floor"`
}

// figures are what is said of one run, or of several together.
type figures struct {
	Requests          int64            `json:"requests"`
	RequestsPerSecond float64          `json:"requests_per_second"`
	Latency           *latency         `json:"latency_us"`
	Errors            map[string]int64 `json:"errors"`
	// CPUMillis is the processor time of the process for each request, user
	// and system; ClientCPUMillis is keyturn-bench's own.
	CPUMillis       *float64 `json:"cpu_ms_per_request"`
	ClientCPUMillis *float64 `json:"client_cpu_ms_per_request"`
	RSSMiB          *float64 `json:"rss_mib"`
}

// latency is in microseconds, with three significant digits.
type latency struct {
	P50  int64 `json:"p50"`
	P90  int64 `json:"p90"`
	P99  int64 `json:"p99"`
	P999 int64 `json:"p99.9"`
	Max  int64 `json:"max"`
}

func newReport(b *bench, at time.Time) *report {
	r := &report{
		URL:             b.target.url,
		StartedAt:       at.UTC().Truncate(time.Millisecond),
		Go:              runtime.Version(),
		OS:              runtime.GOOS,
		Arch:            runtime.GOARCH,
		CPUs:            runtime.NumCPU(),
		Clients:         b.clients,
		DurationSeconds: b.load.duration.Seconds(),
		WarmupSeconds:   b.load.warmup.Seconds(),
		Rounds:          b.rounds,
		Scenarios:       []result{},
	}
	if b.pid != 0 {
		r.ServerPID = &b.pid
	}
	return r
}

// add appends one scenario.
func (r *report) add(name string, rounds []round) {
	res := result{Scenario: name}
	var servers, floors []measurement
	var ratios, cpuRatios []float64
	for _, turn := range rounds {
		servers = append(servers, turn.server)
		rr := roundResult{Server: figuresOf(turn.server)}
		if turn.floor != nil {
			floors = append(floors, *turn.floor)
			f := figuresOf(*turn.floor)
			rr.Floor = &f
			ratios = appendRatio(ratios, &rr.Server.RequestsPerSecond, &f.RequestsPerSecond)
			cpuRatios = appendRatio(cpuRatios, rr.Server.CPUMillis, f.CPUMillis)
		}
		res.Rounds = append(res.Rounds, rr)
	}
	res.Server = figuresOf(servers...)
	if len(floors) > 0 {
		f := figuresOf(floors...)
		res.Floor = &f
	}
	res.Ratio, res.CPURatio = median(ratios), median(cpuRatios)
	for _, m := range slices.Concat(servers, floors) {
		r.Errors += m.failed()
	}
	r.Scenarios = append(r.Scenarios, res)
}

func appendRatio(ratios []float64, server, floor *float64) []float64 {
	if server == nil || floor == nil || *floor == 0 {
		return ratios
	}
	return append(ratios, *server / *floor)
}

// figuresOf sums runs up.
func figuresOf(runs ...measurement) figures {
	f := figures{Errors: map[string]int64{}}
	var rates, cpu, own, rss []float64
	var all *hdrhistogram.Histogram
	for _, m := range runs {
		f.Requests += m.requests
		rates = append(rates, m.rate())
		for why, n := range m.errors {
			f.Errors[why] += n
		}
		if m.requests > 0 && m.known {
			cpu = append(cpu, millisEach(m.cpu, m.requests))
		}
		if m.requests > 0 && m.own > 0 {
			own = append(own, millisEach(m.own, m.requests))
		}
		if m.known {
			rss = append(rss, float64(m.rss)/(1<<20))
		}
		if m.latency != nil {
			if all == nil {
				all = newHistogram()
			}
			all.Merge(m.latency)
		}
	}
	if rate := median(rates); rate != nil {
		f.RequestsPerSecond = *rate
	}
	f.Latency = latencyOf(all)
	f.CPUMillis, f.ClientCPUMillis, f.RSSMiB = median(cpu), median(own), median(rss)
	return f
}

func millisEach(d time.Duration, n int64) float64 {
	return float64(d) / float64(time.Millisecond) / float64(n)
}

func latencyOf(h *hdrhistogram.Histogram) *latency {
	if h == nil || h.TotalCount() == 0 {
		return nil
	}
	return &latency{
		P50:  h.ValueAtQuantile(50),
		P90:  h.ValueAtQuantile(90),
		P99:  h.ValueAtQuantile(99),
		P999: h.ValueAtQuantile(99.9),
		Max:  h.Max(),
	}
}

// median returns the middle of v, or the mean of the two in the middle; nil of
// nothing.
func median(v []float64) *float64 {
	if len(v) == 0 {
		return nil
	}
	s := slices.Sorted(slices.Values(v))
	m := (s[(len(s)-1)/2] + s[len(s)/2]) / 2
	return &m
}

// write prints the report as text or json.
func (r *report) write(w io.Writer, format string) error {
	if format == "json" {
		e := json.NewEncoder(w)
		e.SetIndent("", "  ")
		return e.Encode(r)
	}
	return r.writeText(w)
}
