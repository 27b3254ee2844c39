package verify

import (
	"fmt"
	"time"

	"github.com/go-jose/go-jose/v4"

	"github.com/keyturn/keyturn/internal/audit"
)

// Options say what Files compares the lines with. It always checks the chain of
// hashes, which shows any change that was not carried through to the end of the
// chain.
type Options struct {
	// Keys returns the public key of a kid; see KeySet. With it Files verifies
	// checkpoints. The key set must include archived keys.
	Keys func(kid string) (jose.JSONWebKey, bool)
	// Anchors are the heads in the store, read before the files, because a
	// running server advances both. With them Files finds missing lines at the
	// end, missing chains and forged chains. Nil means that the store was not
	// read.
	Anchors []audit.Anchor
	// Heads are heads kept elsewhere, for example read from the store last
	// month. Whatever happened to the store since, the log must still have
	// those lines.
	Heads []audit.Anchor
	// Signed refuses chains without a signature even if they only have events
	// that a command without the master keys may write.
	Signed bool
	// Repeats skips exact copies of recent lines, which a syslog receiver
	// writes if a connection was cut. Otherwise such a line counts as added.
	Repeats bool
	// Elsewhere names nodes whose chains need not be in the files: those of
	// other replicas, or of a command's standard error. A * at the end of one
	// stands for any ending.
	Elsewhere []string
	// Since says from when on the log must be complete. Older files may have
	// been deleted because of their age.
	Since time.Time
	// Partial says that the files are only a part of the log, such as one
	// rotated file: chains need neither begin nor reach their anchors in it,
	// and other chains may be missing.
	Partial bool
	// restored is set by Ahead.
	restored bool
}

// Report says what Files read and what it could not check.
type Report struct {
	// Lines, Bytes and Chains count what was read.
	Lines  int64 `json:"lines"`
	Bytes  int64 `json:"bytes"`
	Chains int   `json:"chains"`
	// Checkpoints counts the checkpoints whose signature was verified.
	Checkpoints int64 `json:"checkpoints"`
	// Anchored counts the chains whose anchored line was found unchanged.
	Anchored int `json:"anchored"`
	// Repeated counts the skipped lines, which no other count includes.
	Repeated int64 `json:"repeated,omitempty"`
	// Notes say for people what could not be checked and why, and which chains
	// begin before the first file.
	Notes []string `json:"notes,omitempty"`
}

// BadLine says where a log was tampered with. If lines are missing, it names
// the line before or after them.
type BadLine struct {
	File   string `json:"file"`
	Line   int64  `json:"line"` // counted from 1; 0 if no line is concerned
	Reason string `json:"reason"`
	// Missing are the chains that are in none of the files; Line is then 0.
	Missing []Missing `json:"missing,omitempty"`
}

// Error returns the file, the line if any, and the reason.
func (b *BadLine) Error() string {
	if b.Line == 0 {
		return fmt.Sprintf("%s: %s", b.File, b.Reason)
	}
	return fmt.Sprintf("%s:%d: %s", b.File, b.Line, b.Reason)
}

// KeySet returns an Options.Keys that looks up keys in set.
func KeySet(set jose.JSONWebKeySet) func(kid string) (jose.JSONWebKey, bool) {
	return func(kid string) (jose.JSONWebKey, bool) {
		if keys := set.Key(kid); len(keys) > 0 {
			return keys[0], true
		}
		return jose.JSONWebKey{}, false
	}
}
