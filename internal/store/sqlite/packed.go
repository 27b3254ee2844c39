package sqlite

import (
	"errors"
	"strconv"
	"strings"
	"time"
)

// separator stands between columns that come as one text. No text of a record
// holds it: it is refused, or left out, wherever text enters.
const separator = "\x00"

// packed names, for a SELECT, columns that come as one text, in this order; none
// may be NULL. What the driver does for each column of a row costs several times
// what SQLite does, and a refresh reads a row of twenty.
func packed(columns []string) string {
	return "concat_ws(char(0), " + strings.Join(columns, ", ") + ")"
}

// fields are columns that came packed. They are taken one after the other, as
// those of a row are; the first that is not what it should be is remembered as the
// row's err.
type fields struct {
	row   *row
	names []string
	all   string
	rest  string
	next  int
}

// unpack takes the next column of the row, into which the columns of these names
// are packed.
func (r *row) unpack(names []string) *fields {
	all := r.text()
	f := &fields{row: r, names: names, all: all, rest: all}
	if r.err == nil && strings.Count(all, separator) != len(names)-1 {
		f.wrong(0, errors.New("followed by a text with a NUL character in it"))
	}
	return f
}

// wrong remembers what is wrong with a column.
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
