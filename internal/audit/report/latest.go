package report

import (
	"hash/maphash"
	"slices"
)

// latest keeps the last of many rows.
type latest[T any] struct {
	room  int
	rows  []T // once full, a ring that begins at total % room
	total int64
}

func (l *latest[T]) add(row T) {
	if len(l.rows) < l.room {
		l.rows = append(l.rows, row)
	} else {
		l.rows[l.total%int64(l.room)] = row
	}
	l.total++
}

func (l *latest[T]) list() List[T] {
	begin := 0
	if len(l.rows) > 0 && l.total > int64(len(l.rows)) {
		begin = int(l.total % int64(l.room))
	}
	return List[T]{Rows: slices.Concat([]T{}, l.rows[begin:], l.rows[:begin]), Total: l.total}
}

// maxDistinct is up to how many distinct values are counted.
const maxDistinct = 100

// distinct counts distinct values by hashes that outsiders cannot predict.
type distinct map[uint64]struct{}

var seed = maphash.MakeSeed()

// add reports whether the value is new. No value is new once there is no room.
func (d *distinct) add(value string, room int) bool {
	h := maphash.String(seed, value)
	if _, known := (*d)[h]; known || len(*d) >= room {
		return false
	}
	if *d == nil {
		*d = distinct{}
	}
	(*d)[h] = struct{}{}
	return true
}
