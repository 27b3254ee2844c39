// The rules of a chain, all of them:
//
//  1. A chain is one process's lines in a log. Its id is a UUID of version 7,
//     made when the process opened the log.
//  2. Its lines are numbered from 0 on, without a gap.
//  3. Each line names the SHA-256 of the line before it, newline excluded, in
//     hex; the first names NoHash.
//  4. A line that comes right behind another chain's in the file names the SHA-256
//     of that one too, so that no chain can be taken out or moved unseen. Where
//     several logs are shipped into one file, others may stand between the two.
//  5. A checkpoint is a line like any other. It carries a signature over the
//     chain's id and the number and hash of the line right before it, and so
//     over all lines up to there; the first also over the heads of other chains
//     that the signer knows.
//
// Whoever changes a line changes the hash that the next line names, and so on
// up to the head, which is signed and kept in the store.

package line

import (
	"crypto/sha256"
	"encoding/hex"
	"slices"
	"strconv"
	"time"

	"github.com/google/uuid"
)

// NoHash is the prev of a chain's first line.
const NoHash = "0000000000000000000000000000000000000000000000000000000000000000"

// Head is the last line of a chain.
type Head struct {
	Chain string
	// Seq is its number, -1 where the chain has no line yet, and Sum its hash;
	// At is when it was written.
	Seq int64
	Sum [sha256.Size]byte
	At  time.Time
	// After is the hash of the line that the next one comes right behind in the
	// file, where another chain has written since.
	After string
}

// Beginning is the head of a chain without a line.
func Beginning(chain string, at time.Time) Head { return Head{Chain: chain, Seq: -1, At: at} }

// Hash returns the line's hash as the next line names it.
func (h Head) Hash() string { return hex.EncodeToString(h.Sum[:]) }

// Append appends the line that follows h, newline included, and returns the new
// head.
func (h Head) Append(b, body []byte, at time.Time) ([]byte, Head) {
	from := len(b)
	prev := InHex(h.Sum)
	b = appendChain(b, h.Chain, h.Seq+1, string(prev[:]), h.After)
	b = append(b, body...)
	next := Head{Chain: h.Chain, Seq: h.Seq + 1, Sum: sha256.Sum256(b[from:]), At: at}
	return append(b, '\n'), next
}

// InHex returns a hash as lines name it.
func InHex(sum [sha256.Size]byte) (h [HashLen]byte) {
	hex.Encode(h[:], sum[:])
	return h
}

// appendChain appends the members of the chain, the fixed start of a line.
func appendChain(b []byte, id string, seq int64, prev, after string) []byte {
	b = append(b, idKey...)
	b = append(b, id...)
	b = append(b, seqKey...)
	b = strconv.AppendInt(b, seq, 10)
	b = append(b, prevKey...)
	b = append(b, prev...)
	if len(after) > 0 {
		b = append(append(b, afterKey...), after...)
	}
	return append(b, chainEnd...)
}

// Step says how a line stands to the last line of its chain.
type Step int

// How a line can stand to the one before it.
const (
	Next     Step = iota // right behind it
	Ahead                // lines are missing between the two
	Again                // it is another first line
	Behind               // the chain has come to its number before
	Forked               // it has the same number and is another line
	Unlinked             // it has the next number and names another hash
)

// After says how the line, of that hash, stands to the last line of its chain.
func (k Link) After(seq int64, last, own [HashLen]byte) Step {
	switch {
	case k.Seq > seq+1:
		return Ahead
	case k.Seq == 0:
		return Again
	case k.Seq == seq && own != last:
		return Forked
	case k.Seq <= seq:
		return Behind
	case string(k.Prev) != string(last[:]):
		return Unlinked
	}
	return Next
}

// Misbegun reports whether the line is a first one that names a line before it.
func (k Link) Misbegun() bool { return k.Seq == 0 && string(k.Prev) != NoHash }

// Renamed returns the line as it would be if it named prev.
func (k Link) Renamed(text []byte, prev [HashLen]byte) []byte {
	text = slices.Clone(text)
	copy(text[k.prevAt():], prev[:])
	return text
}

// prevAt returns where in the line prev begins.
func (k Link) prevAt() int {
	digits := 1
	for n := k.Seq; n >= 10; n /= 10 {
		digits++
	}
	return len(idKey) + IDLen + len(seqKey) + digits + len(prevKey)
}

// CheckpointType is the typ of a checkpoint's JWS, so that no other token that
// the same keys sign can pass for one (RFC 8725 §3.11).
const CheckpointType = "keyturn-checkpoint+jwt"

// MaxJWS bounds the signature in a checkpoint.
const MaxJWS = 8 << 10

// Seal is the payload of a checkpoint: the line right before it and, in the
// first of a chain, the heads of other chains that the signer has seen.
type Seal struct {
	Chain    string `json:"chain"`
	Seq      int64  `json:"seq"`
	Hash     string `json:"hash"`
	IssuedAt int64  `json:"iat"`
	Seen     []Seen `json:"seen,omitempty"`
}

// Seen is the head of another chain. Signed by a later one, it stands even
// where both the file and the store were set back.
type Seen struct {
	Chain string `json:"chain"`
	Seq   int64  `json:"seq"`
	Hash  string `json:"hash"`
	Node  string `json:"node"`
}

// Covers reports whether the seal is over the line before k, and k its line.
func (s *Seal) Covers(k Link) bool {
	return s.Chain == string(k.ID) && s.Seq == k.Seq-1 && s.Hash == string(k.Prev)
}

// NewChainID returns a UUID of version 7 (RFC 9562 §5.7). The verifier reads
// from it when the chain began.
func NewChainID(now time.Time) string {
	id := uuid.New()
	ms := now.UnixMilli()
	for i := range 6 {
		id[i] = byte(ms >> (40 - 8*i))
	}
	id[6] = 0x70 | id[6]&0x0f
	return id.String()
}

// Begun returns when a chain was begun, to the millisecond, from its id (a
// UUID of version 7, RFC 9562 §5.7); false for an id of another version.
func Begun(id []byte) (time.Time, bool) {
	if id[14] != '7' {
		return time.Time{}, false
	}
	var b [6]byte
	if _, err := hex.Decode(b[:4], id[:8]); err != nil {
		return time.Time{}, false
	}
	if _, err := hex.Decode(b[4:], id[9:13]); err != nil {
		return time.Time{}, false
	}
	var ms int64
	for _, c := range b {
		ms = ms<<8 | int64(c)
	}
	return time.UnixMilli(ms).UTC(), true
}
