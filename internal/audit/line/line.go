// Package line defines the form of an audit log on disk: the bytes of a line, the
// rules by which lines are chained (chain.go), and the names of rotated files. It
// does no input or output except for listing the names in a directory.
package line

import (
	"bytes"
	"encoding/json"
	"errors"
	"time"

	"github.com/keyturn/keyturn/internal/audit"
)

// Max is the length of the longest line in bytes, without its newline.
const Max = 64 << 10

// Every line begins with the members of its chain in one fixed layout, so that the
// verifier reads them without decoding JSON. Quotation marks inside a JSON string
// are always escaped, so none of these keys can occur inside a value.
const (
	idKey         = `{"keyturn":{"chain":{"id":"`
	seqKey        = `","seq":`
	prevKey       = `,"prev":"`
	afterKey      = `","after":"`
	chainEnd      = `"}`
	checkpointKey = `,"checkpoint":"`
	timeKey       = `,"@timestamp":"`
	actionKey     = `,"event":{"kind":"event","action":"`
	nodeKey       = `,"node":{"name":"`
)

// The lengths of a chain's id and of a hash in hex.
const (
	IDLen   = 36
	HashLen = 64
)

// MaxStart bounds the members of the chain at the start of a line, in bytes.
const MaxStart = 320

// Link holds the parts of a line that the verifier reads. Its slices point into
// the line.
type Link struct {
	ID   []byte
	Seq  int64
	Prev []byte
	// Foreign is the hash of another chain's line directly before it in the file,
	// or nil.
	Foreign []byte
	// Checkpoint is the JWS of a checkpoint line, otherwise nil.
	Checkpoint []byte
}

var (
	errNotALine = errors.New("not a line of an audit log")
	errBadID    = errors.New("the chain's id is no UUID")
	errBadSeq   = errors.New("the sequence number is no number")
	errBadPrev  = errors.New("the previous line's hash is no SHA-256 in hex")
	errUnclosed = errors.New("the line is not complete")
	errTooLong  = errors.New("the line is longer than 64 KiB")
)

// Parse parses the fixed start of a line. It accepts exactly what appendChain
// writes, byte for byte.
func Parse(text []byte) (Link, error) {
	var k Link
	if len(text) > Max {
		return k, errTooLong
	}
	rest, ok := bytes.CutPrefix(text, []byte(idKey))
	if !ok {
		return k, errNotALine
	}
	if len(rest) < IDLen || !isUUID(rest[:IDLen]) {
		return k, errBadID
	}
	k.ID, rest = rest[:IDLen], rest[IDLen:]
	if rest, ok = bytes.CutPrefix(rest, []byte(seqKey)); !ok {
		return k, errNotALine
	}
	n := 0
	for n < len(rest) && rest[n] >= '0' && rest[n] <= '9' {
		if n == 18 {
			return k, errBadSeq
		}
		k.Seq = k.Seq*10 + int64(rest[n]-'0')
		n++
	}
	if n == 0 || n > 1 && rest[0] == '0' {
		return k, errBadSeq
	}
	if rest, ok = bytes.CutPrefix(rest[n:], []byte(prevKey)); !ok {
		return k, errNotALine
	}
	if len(rest) < HashLen || !isHex(rest[:HashLen]) {
		return k, errBadPrev
	}
	k.Prev, rest = rest[:HashLen], rest[HashLen:]
	if after, ok := bytes.CutPrefix(rest, []byte(afterKey)); ok {
		if len(after) < HashLen || !isHex(after[:HashLen]) {
			return k, errBadPrev
		}
		k.Foreign, rest = after[:HashLen], after[HashLen:]
	}
	if rest, ok = bytes.CutPrefix(rest, []byte(chainEnd)); !ok {
		return k, errNotALine
	}
	if !bytes.HasSuffix(rest, []byte("}}")) {
		return k, errUnclosed
	}
	if jws, ok := bytes.CutPrefix(rest, []byte(checkpointKey)); ok {
		before, _, ok := bytes.Cut(jws, []byte{'"'})
		if !ok {
			return k, errUnclosed
		}
		k.Checkpoint = before
	}
	return k, nil
}

// Time returns the line's @timestamp, or the zero time if it has none.
func Time(text []byte) time.Time {
	_, rest, ok := bytes.Cut(text, []byte(timeKey))
	if !ok || len(rest) < len(TimeLayout) {
		return time.Time{}
	}
	t, err := time.Parse(TimeLayout, string(rest[:len(TimeLayout)]))
	if err != nil {
		return time.Time{}
	}
	return t
}

// Node returns the line's service.node.name, still escaped as in JSON.
func Node(text []byte) string {
	_, rest, ok := bytes.Cut(text, []byte(nodeKey))
	if !ok {
		return ""
	}
	for i := 0; i < len(rest); i++ {
		switch rest[i] {
		case '"':
			return string(rest[:i])
		case '\\':
			i++ // an escaped character does not end the string
		}
	}
	return ""
}

// Action returns the line's event.action. An action contains nothing to unescape.
func Action(text []byte) audit.Action {
	_, rest, ok := bytes.Cut(text, []byte(actionKey))
	if !ok {
		return ""
	}
	action, _, _ := bytes.Cut(rest, []byte{'"'})
	return audit.Action(action)
}

// NodeInJSON returns node in the form that Node returns.
func NodeInJSON(node string) string {
	quoted := appendString(nil, node, maxNode)
	return string(quoted[1 : len(quoted)-1])
}

// IsPiece reports whether b is an incomplete beginning of a line.
func IsPiece(b []byte) bool {
	if len(b) < len(idKey) {
		return bytes.HasPrefix([]byte(idKey), b)
	}
	return bytes.HasPrefix(b, []byte(idKey)) && !IsWhole(b)
}

// IsWhole reports whether b is a complete line without its newline.
func IsWhole(b []byte) bool {
	_, err := Parse(b)
	return err == nil && json.Valid(b)
}

func isUUID(s []byte) bool {
	for i, c := range s {
		if i == 8 || i == 13 || i == 18 || i == 23 {
			if c != '-' {
				return false
			}
		} else if !lowerHex[c] {
			return false
		}
	}
	return true
}

func isHex(s []byte) bool {
	for _, c := range s {
		if !lowerHex[c] {
			return false
		}
	}
	return true
}

var lowerHex = func() (t [256]bool) {
	for _, c := range "0123456789abcdef" {
		t[c] = true
	}
	return t
}()
