package report

import (
	"fmt"
	"slices"
	"strings"
)

// chart is a bar chart over the steps of a timeline. The page stretches the
// drawing to its width, so the drawing contains no text; the page puts the
// labels beside it.
type chart struct {
	ID, Title, Summary string
	Width, Height      int
	Bars               []bar
	Marks              []bar // a strip above the bars
	Legend             []series
	Top, Middle        string // the labels of the upper and the middle line
	Labels             []string
	Table              table
}

// bar is a rectangle; Hint describes its value.
type bar struct {
	Class, Hint         string
	X, Y, Width, Height string
}

// series is one kind of bar.
type series struct {
	Class, Name string
	of          func(Counts) int64
}

const (
	stepWidth   = 10 // of one step in the drawing, including a gap of 2
	chartHeight = 200
	stripHeight = 12
)

// draw stacks the series of a timeline. It draws a mark above every step in
// which marks is not zero.
func draw(c chart, t Timeline, marks *series) chart {
	c.Width, c.Height = max(1, len(t.Steps))*stepWidth, chartHeight+stripHeight
	var highest int64
	for _, s := range t.Steps {
		highest = max(highest, sum(c.Legend, s.Counts))
	}
	scale := roundUp(highest)
	c.Top, c.Middle = number(scale), number(scale/2)
	for i, s := range t.Steps {
		x := i*stepWidth + 1
		below := float64(c.Height)
		for _, of := range c.Legend {
			n := of.of(s.Counts)
			if n == 0 {
				continue
			}
			// Even a small value must be visible.
			high := max(2, float64(n)/float64(scale)*chartHeight)
			below -= high
			c.Bars = append(c.Bars, bar{of.Class, hint(s, t.Step, of.Name, n), fmt.Sprint(x), fmt.Sprintf("%.1f", below), "8", fmt.Sprintf("%.1f", high)})
		}
		if marks != nil && marks.of(s.Counts) > 0 {
			c.Marks = append(c.Marks, bar{marks.Class, hint(s, t.Step, marks.Name, marks.of(s.Counts)), fmt.Sprint(x), "0", "8", "8"})
		}
	}
	c.Labels = labels(t)
	c.Table = inNumbers(t, c.Legend, marks)
	if marks != nil {
		c.Legend = append(c.Legend, *marks)
	}
	return c
}

func sum(all []series, c Counts) (n int64) {
	for _, s := range all {
		n += s.of(c)
	}
	return n
}

func hint(s Slot, step Step, name string, n int64) string {
	return fmt.Sprintf("%s, %s from %s: %s", name, step, s.From.Format("2006-01-02 15:04"), number(n))
}

// roundUp returns the least round number with a round half that is not below n:
// 2, 4, 6, 8, 10, 12, 16, 20, 40 ...
func roundUp(n int64) int64 {
	for unit := int64(1); ; unit *= 10 {
		for _, m := range []int64{2, 4, 6, 8, 10, 12, 16} {
			if n <= m*unit || m*unit > 1<<60 {
				return m * unit
			}
		}
	}
}

// labels returns the times under a chart: its beginning, middle and end.
func labels(t Timeline) []string {
	layout := "2006-01-02 15:04"
	if t.Step >= 24*3600 {
		layout = "2006-01-02"
	}
	n := len(t.Steps)
	switch {
	case n == 0:
		return nil
	case n < 8:
		return []string{t.Steps[0].From.Format(layout), t.Steps[n-1].From.Format(layout)}
	}
	return []string{t.Steps[0].From.Format(layout), t.Steps[n/2].From.Format(layout), t.Steps[n-1].From.Format(layout)}
}

// inNumbers returns a chart's values as a table, without the empty steps.
func inNumbers(t Timeline, drawn []series, marks *series) table {
	all := drawn
	if marks != nil {
		all = append(slices.Clip(all), *marks)
	}
	out := table{Columns: []column{{Name: "From (UTC)"}}}
	for _, s := range all {
		out.Columns = append(out.Columns, column{Name: s.Name, Number: true})
	}
	for _, s := range t.Steps {
		if sum(all, s.Counts) == 0 {
			continue
		}
		row := []cell{{Text: s.From.Format("2006-01-02 15:04")}}
		for _, of := range all {
			row = append(row, cell{Text: number(of.of(s.Counts))})
		}
		out.Rows = append(out.Rows, row)
	}
	return out
}

// summary describes a chart for readers who cannot see it.
func summary(t Timeline, all ...series) string {
	var parts []string
	for _, s := range all {
		var n, most int64
		var at Slot
		for _, slot := range t.Steps {
			v := s.of(slot.Counts)
			n += v
			if v > most {
				most, at = v, slot
			}
		}
		if n == 0 {
			parts = append(parts, "no "+strings.ToLower(s.Name))
			continue
		}
		parts = append(parts, fmt.Sprintf("%s %s, at most %s in the %s from %s", number(n), strings.ToLower(s.Name), number(most), t.Step, at.From.Format("2006-01-02 15:04")))
	}
	return strings.Join(parts, "; ") + "."
}
