// The rules of a chain:
//
//  1. A chain is one process's lines in a log. Its id is a UUID of version 7,
//      made when the process opened the log.
//    2. Its lines are numbered from 0 on, without a gap.
//    3. Each line contains the SHA-256 of the line before it, newline excluded, in
//      hex; the first line contains NoHash.
//    4. A line that directly follows a line of another chain in the file also
//      contains the SHA-256 of that one, so that no chain can be removed or moved
//      unnoticed. If several logs are shipped into one file, others may stand
//      between the two.
//    5. A checkpoint is a line like any other. It contains a signature over the
//      chain's id and the number and hash of the line before it, and so over all
//      lines up to there. The first one also signs the heads of other chains that
//      the signer knows.
//
// A change of a line changes the hash that the next line must contain, and so on
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
	// Seq is the line's number, or -1 if the chain has no line yet. Sum is its
	// hash. At is when it was written.
	Seq int64
	Sum [sha256.Size]byte
	At  time.Time
	// After is the hash of the last line in the file, if another chain wrote it
	// after this head.
	After string
}

// Beginning returns the head of a chain without lines.
func Beginning(chain string, at time.Time) Head { return Head{Chain: chain, Seq: -1, At: at} }

// Hash returns the hash of the line as the next line contains it.
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

// InHex returns a hash as lines contain it.
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

// Step is the relation of a line to the last line of its chain.
type Step int

// The steps.
const (
	Next     Step = iota // the next line
	Ahead                // lines are missing in between
	Again                // a second first line
	Behind               // the chain has passed this number already
	Forked               // the same number in a different line
	Unlinked             // the next number, but another prev
)

// After returns the relation of the line, whose hash is own, to the last line of
// its chain, which has number seq and hash last.
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

// Misbegun reports whether the line is a first one whose prev is not NoHash.
func (k Link) Misbegun() bool { return k.Seq == 0 && string(k.Prev) != NoHash }

// Renamed returns the line with prev as its previous hash.
func (k Link) Renamed(text []byte, prev [HashLen]byte) []byte {
	text = slices.Clone(text)
	copy(text[k.prevAt():], prev[:])
	return text
}

// prevAt returns the offset of prev in the line.
func (k Link) prevAt() int {
	digits := 1
	for n := k.Seq; n >= 10; n /= 10 {
		digits++
	}
	return len(idKey) + IDLen + len(seqKey) + digits + len(prevKey)
}

// CheckpointType is the typ of a checkpoint's JWS, so that no other token signed
// by the same keys can pass for one (RFC 8725 §3.11).
const CheckpointType = "keyturn-checkpoint+jwt"

// MaxJWS bounds the signature in a checkpoint, in bytes.
const MaxJWS = 8 << 10

// Seal is the payload of a checkpoint: the line before it and, in the first of a
// chain, the heads of other chains that the signer knows.
type Seal struct {
	Chain    string `json:"chain"`
	Seq      int64  `json:"seq"`
	Hash     string `json:"hash"`
	IssuedAt int64  `json:"iat"`
	Seen     []Seen `json:"seen,omitempty"`
}

// Seen is the head of another chain. A later chain's signature proves it even if
// both the file and the store are set back.
type Seen struct {
	Chain string `json:"chain"`
	Seq   int64  `json:"seq"`
	Hash  string `json:"hash"`
	Node  string `json:"node"`
}

// Covers reports whether the seal in line k is over the line before k.
func (s *Seal) Covers(k Link) bool {
	return s.Chain == string(k.ID) && s.Seq == k.Seq-1 && s.Hash == string(k.Prev)
}

// NewChainID returns a UUID of version 7 (RFC 9562 §5.7), from which the verifier
// reads when the chain began.
func NewChainID(now time.Time) string {
	id := uuid.New()
	ms := now.UnixMilli()
	for i := range 6 {
		id[i] = byte(ms >> (40 - 8*i))
	}
	id[6] = 0x70 | id[6]&0x0f
	return id.String()
}

// Begun returns when a chain began, to the millisecond, from its id. It returns
// false if the id is not a UUID of version 7 (RFC 9562 §5.7).
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
