package oauth

import "time"

// RetryWindow says how long the token just spent yields its successor again (F2):
// a duration, or one of the two constants. Zero is for who has none of his own.
type RetryWindow time.Duration

const (
	// RetryUntilUsed takes a token for as long as its successor was not used
	// and the family lives.
	RetryUntilUsed RetryWindow = -1
	// RetryNever takes every second presentation for reuse.
	RetryNever RetryWindow = -2
)

// String returns until-used, 0s, or the duration; nothing for the zero value.
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

// open reports whether a token spent so long ago, whose successor was not used, is
// still taken for a retry.
func (w RetryWindow) open(age time.Duration) bool {
	return w == RetryUntilUsed || w > 0 && age <= time.Duration(w)
}
