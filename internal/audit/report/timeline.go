package report

import (
	"time"
)

// Timeline holds counts in equal steps of time, from the first event to the
// last without a gap.
type Timeline struct {
	Step  Step   `json:"step_seconds"`
	Steps []Slot `json:"steps"`
}

// Slot is one step of a timeline.
type Slot struct {
	From time.Time `json:"from"`
	Counts
}

// Step is a length of time in seconds.
type Step int64

const (
	// maxSteps bounds the steps of a timeline, maxKept those held while the log
	// is read.
	maxSteps = 72
	maxKept  = 2000
)

// steps are the preferred lengths, in seconds. Longer ones double.
var steps = []Step{60, 5 * 60, 15 * 60, 3600, 3 * 3600, 12 * 3600, 24 * 3600, 7 * 24 * 3600, 28 * 24 * 3600}

func (s Step) next() Step {
	for _, n := range steps {
		if n > s {
			return n
		}
	}
	return 2 * s
}

// of returns the number of the step that contains t.
func (s Step) of(t time.Time) int64 {
	unix := t.Unix()
	n := unix / int64(s)
	if unix%int64(s) < 0 {
		n--
	}
	return n
}

// begin returns when step n begins.
func (s Step) begin(n int64) time.Time { return time.Unix(n*int64(s), 0).UTC() }

// clock counts events by time. It lengthens its steps as needed.
type clock struct {
	step  Step
	kept  map[int64]*Counts
	total Counts
}

func newClock() *clock { return &clock{step: steps[0], kept: map[int64]*Counts{}} }

func (c *clock) add(at time.Time, d Counts) {
	c.total.add(d)
	n := c.step.of(at)
	for c.kept[n] == nil && len(c.kept) == maxKept {
		c.lengthen(c.step.next())
		n = c.step.of(at)
	}
	if c.kept[n] == nil {
		c.kept[n] = &Counts{}
	}
	c.kept[n].add(d)
}

func (c *clock) lengthen(to Step) {
	longer := make(map[int64]*Counts, len(c.kept))
	for n, counts := range c.kept {
		m := to.of(c.step.begin(n))
		if longer[m] == nil {
			longer[m] = &Counts{}
		}
		longer[m].add(*counts)
	}
	c.step, c.kept = to, longer
}

// timeline returns the counts between two times.
func (c *clock) timeline(first, last time.Time) Timeline {
	if len(c.kept) == 0 {
		return Timeline{Step: c.step, Steps: []Slot{}}
	}
	to := c.step
	for to.of(last)-to.of(first) >= maxSteps {
		to = to.next()
	}
	c.lengthen(to)
	t := Timeline{Step: to}
	for n := to.of(first); n <= to.of(last); n++ {
		slot := Slot{From: to.begin(n)}
		if counts := c.kept[n]; counts != nil {
			slot.Counts = *counts
		}
		t.Steps = append(t.Steps, slot)
	}
	return t
}
