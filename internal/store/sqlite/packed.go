package sqlite

import (
	"errors"
	"strconv"
	"strings"
	"time"
)

// separator separates columns that are read as one text. No text of a record
// contains it, because it is refused or removed wherever text enters.
const separator = "\x00"

// packed returns a SELECT expression for several columns as one text, in this
// order. None may be NULL. The driver's work for each column of a row costs
// several times SQLite's, and a refresh reads a row of twenty columns.
func packed(columns []string) string {
	return "concat_ws(char(0), " + strings.Join(columns, ", ") + ")"
}

// fields are the columns of a packed text. They are read one after the other, like
// those of a row. The first wrong column sets the row's err.
type fields struct {
	row   *row
	names []string
	all   string
	rest  string
	next  int
}

// unpack reads the next column of the row, which contains the packed columns of
// these names.
func (r *row) unpack(names []string) *fields {
	all := r.text()
	f := &fields{row: r, names: names, all: all, rest: all}
	if r.err == nil && strings.Count(all, separator) != len(names)-1 {
		f.wrong(0, errors.New("followed by a text with a NUL character in it"))
	}
	return f
}

// wrong records what is wrong with a column.
func (f *fields) wrong(column int, err error) {
	id, _, _ := strings.Cut(f.all, separator)
	f.row.refuse(f.names[column], f.names[0], id, err)
}

func (f *fields) text() string {
	var s string
	s, f.rest, _ = strings.Cut(f.rest, separator)
	f.next++
	return s
}

func (f *fields) integer() int64 {
	n, err := strconv.ParseInt(f.text(), 10, 64)
	if err != nil {
		f.wrong(f.next-1, err)
	}
	return n
}

func (f *fields) time() time.Time { return instant(f.integer()) }

func (f *fields) list() []string {
	return asList(f.text(), func(err error) { f.wrong(f.next-1, err) })
}
