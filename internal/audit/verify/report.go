package verify

import (
	"fmt"
	"time"

	"github.com/go-jose/go-jose/v4"

	"github.com/keyturn/keyturn/internal/audit"
)

// Options is what Files can hold the lines against. The chain of hashes
// alone is always checked; it shows any change that was not carried through to
// the end of the chain.
type Options struct {
	// Keys returns the public key of a kid; see KeySet. With it, checkpoints
	// are verified. The key set must hold archived keys too.
	Keys func(kid string) (jose.JSONWebKey, bool)
	// Anchors are the heads in the store, read before the files are, since a
	// running server moves both on. With them, lines missing at the end,
	// whole chains missing and chains put there are found. Nil means that
	// nobody could ask the store.
	Anchors []audit.Anchor
	// Heads are heads that were kept elsewhere, such as those that somebody
	// read from the store last month: whatever became of the store since, the
	// log must still hold those lines.
	Heads []audit.Anchor
	// Signed refuses chains without a signature even where they hold only
	// what a command without the master keys may write.
	Signed bool
	// Repeats passes over lines that are, byte for byte, ones that came not
	// long before, which a syslog receiver writes down twice when a
	// connection was cut. Otherwise such a line counts as added.
	Repeats bool
	// Elsewhere names nodes whose chains are in none of the files, and need not
	// be: those of other replicas, or of a command's standard error. A * at the
	// end of one stands for any ending.
	Elsewhere []string
	// Since says that the log need be whole from then on only: what was written
	// before may have been deleted because of its age.
	Since time.Time
	// Partial says that the files are only a part of the log, such as one
	// rotated file: they need neither reach back to the beginning of a
	// chain nor up to the anchors, and other chains may be missing.
	Partial bool
	// restored is set by Ahead.
	restored bool
}

// Report says what Files read and what it could not know.
type Report struct {
	// Lines, Bytes and Chains count what was read.
	Lines  int64 `json:"lines"`
	Bytes  int64 `json:"bytes"`
	Chains int   `json:"chains"`
	// Checkpoints counts the checkpoints whose signature was verified.
	Checkpoints int64 `json:"checkpoints"`
	// Anchored counts the chains whose anchored line was found as it should be.
	Anchored int `json:"anchored"`
	// Repeated counts the lines passed over; they are in no other count.
	Repeated int64 `json:"repeated,omitempty"`
	// Notes say, for people, what could not be checked and why, and which
	// chains begin before the first file.
	Notes []string `json:"notes,omitempty"`
}

// BadLine says where a log was tampered with. Where lines are missing, it names
// the line before which, or after which, they are.
type BadLine struct {
	File   string `json:"file"`
	Line   int64  `json:"line"` // counted from 1; 0 where it is about no line
	Reason string `json:"reason"`
	// Missing are the chains that none of the files holds; Line is then 0.
	Missing []Missing `json:"missing,omitempty"`
}

// Error returns file, line, where there is one, and reason.
func (b *BadLine) Error() string {
	if b.Line == 0 {
		return fmt.Sprintf("%s: %s", b.File, b.Reason)
	}
	return fmt.Sprintf("%s:%d: %s", b.File, b.Line, b.Reason)
}

// KeySet returns a Options.Keys that looks in set.
func KeySet(set jose.JSONWebKeySet) func(kid string) (jose.JSONWebKey, bool) {
	return func(kid string) (jose.JSONWebKey, bool) {
		if keys := set.Key(kid); len(keys) > 0 {
			return keys[0], true
		}
		return jose.JSONWebKey{}, false
	}
}
