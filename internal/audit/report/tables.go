package report

import (
	"fmt"
	"time"

	"github.com/keyturn/keyturn/internal/audit"
)

// table is one table of the page.
type table struct {
	Columns []column
	Rows    [][]cell
	// Note says what the table omits, or how to read it.
	Note string
}

// A table with more than maxOpen rows shows the first few, and the others on
// demand.
const (
	maxOpen = 15
	few     = 10
)

// Upper returns the part of the table that the page shows at once.
func (t table) Upper() table {
	if len(t.Rows) > maxOpen {
		t.Rows = t.Rows[:few]
	}
	return t
}

// Lower returns the rest of the table, or nil if there is none.
func (t table) Lower() *table {
	if len(t.Rows) <= maxOpen {
		return nil
	}
	t.Rows = t.Rows[few:]
	return &t
}

type column struct {
	Name   string
	Number bool
}

// cell is a value; Class is its style.
type cell struct{ Text, Class string }

// columns returns the columns of a table by name. A name that begins with # is a
// column of numbers.
func columns(names ...string) []column {
	var out []column
	for _, n := range names {
		if n[0] == '#' {
			out = append(out, column{n[1:], true})
		} else {
			out = append(out, column{n, false})
		}
	}
	return out
}

// row returns the cells of values.
func row(values ...any) []cell {
	cells := make([]cell, len(values))
	for i, v := range values {
		switch v := v.(type) {
		case cell:
			cells[i] = v
		case int64:
			cells[i].Text = number(v)
		case time.Time:
			cells[i] = cell{clockTime(v), "time"}
		case audit.Action:
			if cells[i] = text(string(v)); cells[i].Class == "" {
				cells[i].Class = "word"
			}
		default:
			cells[i] = text(fmt.Sprint(v))
		}
	}
	return cells
}

// text returns the cell of a stranger's text. A text no longer than an address is
// not broken.
func text(s string) cell {
	c := cell{Text: shown(s)}
	if len(c.Text) > len("2001:0db8:0000:0000:0000:0000:0000:0000") {
		c.Class = "long"
	}
	return c
}

// counted returns the cell of a number counted up to maxDistinct.
func counted(n int) cell {
	if n >= maxDistinct {
		return cell{Text: fmt.Sprintf("%d+", maxDistinct)}
	}
	return cell{Text: fmt.Sprint(n)}
}

// alarming marks a number unless it is zero.
func alarming(n int64) cell {
	if n == 0 {
		return cell{Text: "0"}
	}
	return cell{Text: number(n), Class: "alarm"}
}

func cutNote[T any](l List[T]) string {
	if cut := l.Total - int64(len(l.Rows)); cut > 0 {
		return fmt.Sprintf("The latest %s of %s; %s earlier ones are not shown.", number(int64(len(l.Rows))), number(l.Total), number(cut))
	}
	return ""
}

func topNote[T any](t Top[T]) string {
	note := ""
	if t.More {
		note = fmt.Sprintf("The first %d; there are more.", len(t.Rows))
	}
	if t.Inexact > 0 {
		note += fmt.Sprintf(" There were more than %s to count, so a row may have taken the place of another; what it then shows is too low by up to %s.", number(maxKeys), number(t.Inexact))
	}
	return note
}

func (r *Report) unprovenTable() table {
	t := table{Columns: columns("Time", "User", "Client", "Session", "Presented from", "With", "Used last from", "With"), Note: cutNote(r.Unproven)}
	for _, u := range r.Unproven.Rows {
		t.Rows = append(t.Rows, row(u.At, u.User, u.Client, u.Session, u.By.IP, u.By.Agent, u.Before.IP, u.Before.Agent))
	}
	return t
}

func (r *Report) sourcesTable() table {
	t := table{Columns: columns("Address", "#Failed", "#Throttled", "#Accounts", "#Logins after", "First", "Last", "User agent"), Note: topNote(r.Sources)}
	for _, s := range r.Sources.Rows {
		t.Rows = append(t.Rows, row(s.IP, s.Failed, s.Throttled, counted(s.Accounts), s.logins(), s.First, s.Last, s.Agent))
	}
	return t
}

// logins returns the cell of the logins after the first failure. They are only
// alarming after many failures; after a few somebody had just mistyped.
func (s *Source) logins() cell {
	if s.Failed+s.Throttled < manyFailures {
		return cell{Text: number(s.Logins)}
	}
	return alarming(s.Logins)
}

func (r *Report) accountsTable() table {
	t := table{Columns: columns("Account", "#Failed", "#Throttled", "#Addresses", "#Logins after", "Exists", "First", "Last"), Note: topNote(r.Accounts)}
	for _, a := range r.Accounts.Rows {
		exists := "not shown"
		if a.Exists || a.Logins > 0 {
			exists = "yes"
		}
		t.Rows = append(t.Rows, row(a.Name, a.Failed, a.Throttled, counted(a.Sources), a.Logins, exists, a.First, a.Last))
	}
	return t
}

func (r *Report) clientsTable() table {
	t := table{Columns: columns("Client", "#Failed", "#Addresses", "Last reason", "First", "Last"), Note: topNote(r.Clients)}
	for _, c := range r.Clients.Rows {
		t.Rows = append(t.Rows, row(c.ID, c.Failed, counted(c.Sources), c.Reason, c.First, c.Last))
	}
	return t
}

func (r *Report) devicesTable() table {
	t := table{Columns: columns("Time", "User", "User agent", "Address", "Network", "Client"), Note: cutNote(r.Devices.List)}
	if n := r.Devices.Unwatched; n > 0 {
		t.Note += fmt.Sprintf(" %s of users beyond the first %s were not looked at.", are(n, "login", "logins"), number(maxUsers))
	}
	for _, d := range r.Devices.Rows {
		network := cell{Text: "known"}
		if d.Elsewhere {
			network = cell{Text: "new", Class: "warn"}
		}
		t.Rows = append(t.Rows, row(d.At, d.User, d.Agent, d.IP, network, d.Client))
	}
	return t
}

func (r *Report) refusalsTable() table {
	t := table{Columns: columns("Action", "Reason", "#Times", "Last"), Note: topNote(r.Refusals)}
	for _, f := range r.Refusals.Rows {
		t.Rows = append(t.Rows, row(f.Action, f.Reason, f.Count, f.Last))
	}
	return t
}

func changesTable(l List[Change], note string) table {
	t := table{Columns: columns("Time", "Action", "Outcome", "Concerning", "#Count", "Detail", "Process"), Note: note}
	for _, c := range l.Rows {
		outcome := cell{Text: "success"}
		if c.Failed {
			outcome = cell{Text: "failure", Class: "warn"}
		}
		if c.Reason != "" {
			outcome.Text += ": " + shown(c.Reason)
		}
		count := ""
		if c.Count != 0 {
			count = number(int64(c.Count))
		}
		t.Rows = append(t.Rows, row(c.At, c.Action, outcome, c.Subject, count, c.Detail, c.Node))
	}
	return t
}

func (r *Report) serversTable() table {
	t := table{Columns: columns("Process", "First line", "Last line", "#Lines", "End", "#Clock set back", "Chain"), Note: cutNote(r.Servers.List)}
	if n := r.Servers.Beyond; n > 0 {
		t.Note += fmt.Sprintf(" %s of chains beyond the first %s, which are not in this table.", are(n, "line is", "lines are"), number(maxChains))
	}
	for _, s := range r.Servers.Rows {
		end := cell{Text: "not in the log", Class: "warn"}
		if s.Stopped {
			end = cell{Text: "stopped"}
		}
		t.Rows = append(t.Rows, row(s.Node, s.First, s.Last, s.Lines, end, alarming(s.Back), s.Chain))
	}
	return t
}

func (r *Report) lossesTable() table {
	t := table{Columns: columns("Told at", "#Events", "From when to when, and why", "Process"), Note: cutNote(r.Losses.List)}
	for _, l := range r.Losses.Rows {
		t.Rows = append(t.Rows, row(l.At, alarming(l.Events), l.Detail, l.Node))
	}
	return t
}

func (r *Report) silencesTable() table {
	t := table{Columns: columns("From", "To", "Length")}
	for _, s := range r.Silences {
		t.Rows = append(t.Rows, row(s.From, s.To, long(s.length())))
	}
	return t
}
