package verify

import (
	"fmt"

	"github.com/keyturn/keyturn/internal/audit/line"
)

// place is the position of a line.
type place struct {
	file string
	line int64
}

func (p place) bad(format string, args ...any) *BadLine {
	return &BadLine{File: p.file, Line: p.line, Reason: fmt.Sprintf(format, args...)}
}

// watchOrder records a line of another chain that is missing where this line says
// that it was: it was removed, or one of the two was moved. The error counts last,
// because other checks name a line that was changed or is missing within its chain
// more precisely.
func (v *verifier) watchOrder(c *chainState, k line.Link, begins bool) {
	if k.Foreign == nil {
		return
	}
	before := [line.HashLen]byte(k.Foreign)
	if _, known := v.heads[before]; known || before == c.hash {
		return
	}
	if begins {
		c.behind = true
	} else if v.misplaced == nil {
		v.misplaced = v.place.bad("another chain's line, which stood right before this one, is not there: it was removed, changed or moved")
	}
}
