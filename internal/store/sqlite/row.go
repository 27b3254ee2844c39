package sqlite

import (
	"database/sql/driver"
	"encoding/json"
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/keyturn/keyturn/internal/decision"
)

// row is one row of a result. Its columns are read one after the other, in the
// order of the statement. The first wrong column sets err.
type row struct {
	columns []string
	values  []driver.Value
	next    int
	err     error
}

// wrong records what is wrong with a column.
func (r *row) wrong(column int, err error) {
	r.refuse(r.columns[column], r.columns[0], r.values[0], err)
}

// refuse sets err for the first wrong column: what it is, and which record it
// belongs to. The first column of every listing names the record.
func (r *row) refuse(column, first string, id any, err error) {
	if r.err != nil {
		return
	}
	of := ""
	if slices.Contains(identities, first) {
		of = fmt.Sprintf(" of the record with the %s %q", first, fmt.Sprint(id))
	}
	r.err = fmt.Errorf("sqlite store: %s%s is %w", column, of, err)
}

// identities are the columns that name a record.
var identities = []string{"uid", "id", "kid", "jti", "chain"}

func column[T any](r *row) T {
	v, ok := r.values[r.next].(T)
	if !ok {
		r.wrong(r.next, fmt.Errorf("a %T, not a %T", r.values[r.next], v))
	}
	r.next++
	return v
}

func (r *row) text() string            { return column[string](r) }
func (r *row) integer() int64          { return column[int64](r) }
func (r *row) flag() bool              { return r.integer() != 0 }
func (r *row) duration() time.Duration { return time.Duration(r.integer()) }

// blob returns a column of bytes, or nil if it is NULL.
func (r *row) blob() []byte {
	if r.values[r.next] == nil {
		r.next++
		return nil
	}
	return column[[]byte](r)
}

func (r *row) time() time.Time { return instant(r.integer()) }

func (r *row) list() []string {
	return asList(r.text(), func(err error) { r.wrong(r.next-1, err) })
}

// asList decodes a list, or calls wrong.
func asList(text string, wrong func(error)) []string {
	found, err := decodeList(text)
	if err != nil {
		wrong(fmt.Errorf("not a list: %w", err))
	}
	return found
}

// millis returns the stored form of a time: milliseconds since 1970, 0 for the
// zero time.
func millis(t time.Time) int64 {
	if t.IsZero() {
		return 0
	}
	return t.UnixMilli()
}

// instant is the inverse of millis.
func instant(ms int64) time.Time {
	if ms == 0 {
		return time.Time{}
	}
	return time.UnixMilli(ms).UTC()
}

func integer(flag bool) int64 {
	if flag {
		return 1
	}
	return 0
}

// encodeList returns the stored form of a list: a JSON array of strings.
func encodeList(list []string) string {
	if len(list) == 0 {
		return "[]"
	}
	text, err := json.Marshal(list)
	if err != nil {
		return "[]" // a list of strings can always be encoded
	}
	return string(text)
}

func decodeList(text string) ([]string, error) {
	if text == "[]" {
		return nil, nil
	}
	// Without a backslash no element contains a quote, so quotes only delimit.
	if inner, ok := strings.CutPrefix(text, `["`); ok && !strings.Contains(text, `\`) {
		if inner, ok := strings.CutSuffix(inner, `"]`); ok && strings.Count(inner, `"`) == 2*strings.Count(inner, `","`) {
			return strings.Split(inner, `","`), nil
		}
	}
	var list []string
	err := json.Unmarshal([]byte(text), &list)
	return list, err
}

// limit returns the engine's limit for n; for the engine a negative number means
// no limit.
func limit(n int) int64 { return int64(max(n, 0)) }

// scanHeld reads the columns version, unborn, slot_id and slot.
func scanHeld(r *row) decision.Held {
	return decision.Held{Version: r.integer(), Unborn: r.flag(), SlotID: r.text(), Slot: r.blob()}
}
