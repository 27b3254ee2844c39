package verify

import "crypto/sha256"

// recentLines is how many lines of a chain are remembered: more than a syslog
// sink sends again (maxUnread bytes, in lines of at least 400).
const recentLines = 1 << 14

// recent remembers the hashes of a chain's last lines by number.
type recent struct {
	sums  [][sha256.Size]byte // of line n at (n-first) % recentLines
	first int64               // the first number seen
	next  int64               // the number after the last
}

func (r *recent) add(seq int64, sum [sha256.Size]byte) {
	if len(r.sums) == 0 {
		r.first = seq
	}
	if len(r.sums) < recentLines {
		r.sums = append(r.sums, sum)
	} else {
		r.sums[(seq-r.first)%recentLines] = sum
	}
	r.next = seq + 1
}

func (r *recent) has(seq int64, sum [sha256.Size]byte) bool {
	return seq >= r.first && seq < r.next && seq >= r.next-int64(len(r.sums)) && r.sums[(seq-r.first)%recentLines] == sum
}
