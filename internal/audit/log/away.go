package log

import (
	"fmt"
	"time"

	"github.com/keyturn/keyturn/internal/audit"
)

// probeTime is how often a log that cannot be written to is tried while no
// decision tries it. None may come, because clients were told to go elsewhere.
const probeTime = time.Second

// Away returns why the log cannot be written to, or nil if the last write
// succeeded. It also reports whether decisions take effect all the same, because
// their events may be kept or lost meanwhile.
func (l *Log) Away() (why error, stands bool) {
	if !l.backlog.on() {
		if cause := l.cause.Load(); cause != nil {
			return *cause, false
		}
		return nil, true
	}
	b := &l.backlog
	b.mu.Lock()
	defer b.mu.Unlock()
	if !b.away {
		return nil, true
	}
	return b.cause, b.held < b.keep && b.untold() == 0 || b.untold() < b.lose
}

// wrote records the result of a write of n events.
func (l *Log) wrote(err error, n int) {
	l.hung.Store(false)
	if err == nil {
		l.cause.Store(nil)
		l.w.refused = 0
		return
	}
	l.cause.CompareAndSwap(nil, &err) // the first cause says most
	l.w.refused += n
}

// failing reports whether the log should be probed: a chain has begun and its last
// write failed.
func (l *Log) failing() bool { return !l.backlog.on() && l.cause.Load() != nil && l.w.head.Seq >= 0 }

// probe tries the log with a line about its own outage.
func (l *Log) probe() {
	l.leaveUnsure()
	cause := l.cause.Load()
	_, err := l.tell(audit.Event{Action: audit.LogResumed, Outcome: audit.Success, Count: l.w.refused, Detail: fmt.Sprint(*cause)})
	l.wrote(err, 0)
}
