package clients

import "time"

// RetryWindow says how long a token just spent still yields its successor (F2): a
// duration, or one of the two constants. The zero value means that a client has no
// window of its own.
type RetryWindow time.Duration

const (
	// RetryUntilUsed accepts a token as long as its successor was not used and the
	// family is live.
	RetryUntilUsed RetryWindow = -1
	// RetryNever treats every second presentation as reuse.
	RetryNever RetryWindow = -2
)

// String returns until-used, 0s, or the duration; it returns "" for the zero
// value.
func (w RetryWindow) String() string {
	switch w {
	case 0:
		return ""
	case RetryUntilUsed:
		return "until-used"
	case RetryNever:
		return "0s"
	}
	return time.Duration(w).String()
}

// Open reports whether a token spent that long ago, whose successor was not used,
// still counts as a retry.
func (w RetryWindow) Open(age time.Duration) bool {
	return w == RetryUntilUsed || w > 0 && age <= time.Duration(w)
}
