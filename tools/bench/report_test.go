package main

import (
	"testing"
	"time"
)

// took returns a run of n requests in one second, each with the latency.
func took(n int64, each, cpu time.Duration) measurement {
	m := measurement{requests: n, elapsed: time.Second, latency: newHistogram(),
		errors: map[string]int64{}, known: true, cpu: cpu, own: cpu, rss: 64 << 20}
	for range n {
		if err := m.latency.RecordValue(each.Microseconds()); err != nil {
			panic(err)
		}
	}
	return m
}

func TestReportTakesMediansOfTheRoundsRatios(t *testing.T) {
	floors := []measurement{took(100, time.Millisecond, time.Second), took(200, time.Millisecond, time.Second), took(1000, time.Millisecond, time.Second)}
	servers := []measurement{took(50, time.Second, time.Second), took(20, time.Millisecond, time.Second), took(900, time.Millisecond, time.Second)}
	servers[1].errors["503"] = 4
	floors[2].errors["network"] = 3
	var rounds []round
	for i := range servers {
		rounds = append(rounds, round{floor: &floors[i], server: servers[i]})
	}
	r := &report{}
	r.add("x", rounds)
	s := r.Scenarios[0]
	// The rounds' ratios are 0.5, 0.1 and 0.9; that of the medians is 0.25.
	if s.Ratio == nil || *s.Ratio != 0.5 {
		t.Errorf("ratio %v, want 0.5", s.Ratio)
	}
	if s.CPURatio == nil || *s.CPURatio < 1.99 || *s.CPURatio > 2.01 {
		t.Errorf("cpu ratio %v, want 2", s.CPURatio)
	}
	if s.Server.RequestsPerSecond != 50 || s.Server.Requests != 970 || *s.Server.RSSMiB != 64 {
		t.Errorf("server %+v", s.Server)
	}
	if *s.Server.CPUMillis != 20 || *s.Floor.CPUMillis != 5 {
		t.Errorf("cpu %v and %v ms, want 20 and 5", *s.Server.CPUMillis, *s.Floor.CPUMillis)
	}
	// One slow round of 50 in 970 shows in the high percentiles of them all.
	if l := s.Server.Latency; l.P50 != 1000 || l.P99 < 990_000 || l.Max < 990_000 {
		t.Errorf("latency %+v", l)
	}
	if r.Errors != 7 || s.Server.Errors["503"] != 4 || s.Floor.Errors["network"] != 3 {
		t.Errorf("errors %d, %v, %v", r.Errors, s.Server.Errors, s.Floor.Errors)
	}
}

func TestReportLeavesOutWhatIsNotKnown(t *testing.T) {
	r := &report{}
	none := measurement{elapsed: 0, errors: map[string]int64{"500": 9}, latency: newHistogram()}
	r.add("x", []round{{floor: &none, server: none}})
	s := r.Scenarios[0]
	if s.Ratio != nil || s.CPURatio != nil || s.Server.CPUMillis != nil || s.Server.RSSMiB != nil || s.Server.Latency != nil {
		t.Errorf("%+v", s)
	}
	if s.Server.RequestsPerSecond != 0 {
		t.Errorf("a rate of %v from nothing", s.Server.RequestsPerSecond)
	}
}

func TestTallyCountsOnlyWhatWasMeasured(t *testing.T) {
	c := newTally()
	c.record(warming, time.Second)
	c.record(measuring, 2*time.Millisecond)
	c.record(measuring, 0)
	c.record(finished, 2*requestTimeout)
	if c.done != 2 {
		t.Errorf("%d done, want 2", c.done)
	}
	h := c.latency
	if h.TotalCount() != 3 || h.Min() != 1 || !h.ValuesAreEquivalent(h.Max(), requestTimeout.Microseconds()) {
		t.Errorf("%d latencies from %d to %d", h.TotalCount(), h.Min(), h.Max())
	}
}

func TestMedian(t *testing.T) {
	if m := median(nil); m != nil {
		t.Errorf("of nothing: %v", *m)
	}
	if m := median([]float64{9, 1, 2}); *m != 2 {
		t.Errorf("of three: %v", *m)
	}
	if m := median([]float64{8, 1, 2, 4}); *m != 3 {
		t.Errorf("of four: %v", *m)
	}
}
