package log

import (
	"bytes"
	"encoding/hex"
	"errors"
	"strconv"
	"time"
)

// MaxLine is the longest line, in bytes without its newline, that a log holds.
const MaxLine = 64 << 10

// Every line begins with the members of its chain in one fixed layout, so that
// the verifier reads them without decoding JSON. A quotation mark inside a JSON
// string is always escaped; none of these keys can be found inside a value.
const (
	idKey         = `{"keyturn":{"chain":{"id":"`
	seqKey        = `","seq":`
	prevKey       = `,"prev":"`
	chainEnd      = `"}`
	checkpointKey = `,"checkpoint":"`
	timeKey       = `,"@timestamp":"`
	actionKey     = `,"event":{"kind":"event","action":"`
	nodeKey       = `,"node":{"name":"`
)

const (
	uuidLen = 36
	hashLen = 64 // of a SHA-256 in hex
)

// noHash is the prev of a chain's first line.
const noHash = "0000000000000000000000000000000000000000000000000000000000000000"

// link is what the verifier reads of a line. Its slices point into the line.
type link struct {
	id   []byte
	seq  int64
	prev []byte
	// checkpoint is the JWS of a checkpoint line, otherwise nil.
	checkpoint []byte
}

// prevAt returns where in the line prev begins.
func (k link) prevAt() int {
	digits := 1
	for n := k.seq; n >= 10; n /= 10 {
		digits++
	}
	return len(idKey) + uuidLen + len(seqKey) + digits + len(prevKey)
}

var (
	errNotALine = errors.New("not a line of an audit log")
	errBadID    = errors.New("the chain's id is no UUID")
	errBadSeq   = errors.New("the sequence number is no number")
	errBadPrev  = errors.New("the previous line's hash is no SHA-256 in hex")
	errUnclosed = errors.New("the line is not complete")
	errTooLong  = errors.New("the line is longer than 64 KiB")
)

// appendChain appends the fixed start of a line.
func appendChain[H string | []byte](b []byte, id string, seq int64, prev H) []byte {
	b = append(b, idKey...)
	b = append(b, id...)
	b = append(b, seqKey...)
	b = strconv.AppendInt(b, seq, 10)
	b = append(b, prevKey...)
	b = append(b, prev...)
	return append(b, chainEnd...)
}

// parseLine reads the fixed start of a line. It is as strict as appendChain is
// fixed: whatever it accepts, appendChain would write in the same bytes.
func parseLine(line []byte) (link, error) {
	var k link
	if len(line) > MaxLine {
		return k, errTooLong
	}
	rest, ok := bytes.CutPrefix(line, []byte(idKey))
	if !ok {
		return k, errNotALine
	}
	if len(rest) < uuidLen || !isUUID(rest[:uuidLen]) {
		return k, errBadID
	}
	k.id, rest = rest[:uuidLen], rest[uuidLen:]
	if rest, ok = bytes.CutPrefix(rest, []byte(seqKey)); !ok {
		return k, errNotALine
	}
	n := 0
	for n < len(rest) && rest[n] >= '0' && rest[n] <= '9' {
		if n == 18 {
			return k, errBadSeq
		}
		k.seq = k.seq*10 + int64(rest[n]-'0')
		n++
	}
	if n == 0 || n > 1 && rest[0] == '0' {
		return k, errBadSeq
	}
	if rest, ok = bytes.CutPrefix(rest[n:], []byte(prevKey)); !ok {
		return k, errNotALine
	}
	if len(rest) < hashLen || !isHex(rest[:hashLen]) {
		return k, errBadPrev
	}
	k.prev, rest = rest[:hashLen], rest[hashLen:]
	if rest, ok = bytes.CutPrefix(rest, []byte(chainEnd)); !ok {
		return k, errNotALine
	}
	if !bytes.HasSuffix(rest, []byte("}}")) {
		return k, errUnclosed
	}
	if jws, ok := bytes.CutPrefix(rest, []byte(checkpointKey)); ok {
		end := bytes.IndexByte(jws, '"')
		if end < 0 {
			return k, errUnclosed
		}
		k.checkpoint = jws[:end]
	}
	return k, nil
}

// lineTime returns the line's @timestamp, or the zero time if it has none.
func lineTime(line []byte) time.Time {
	_, rest, ok := bytes.Cut(line, []byte(timeKey))
	if !ok || len(rest) < len(timeLayout) {
		return time.Time{}
	}
	t, err := time.Parse(timeLayout, string(rest[:len(timeLayout)]))
	if err != nil {
		return time.Time{}
	}
	return t
}

// lineNode returns the line's service.node.name as it stands in JSON.
func lineNode(line []byte) string {
	_, rest, ok := bytes.Cut(line, []byte(nodeKey))
	if !ok {
		return ""
	}
	for i := 0; i < len(rest); i++ {
		switch rest[i] {
		case '"':
			return string(rest[:i])
		case '\\':
			i++ // what follows a backslash does not end the string
		}
	}
	return ""
}

// nodeInJSON returns node as lineNode finds it in a line.
func nodeInJSON(node string) string {
	quoted := appendString(nil, node, maxNode)
	return string(quoted[1 : len(quoted)-1])
}

// chainTime returns when a chain was begun, to the millisecond, from its id (a
// UUID of version 7, RFC 9562 §5.7); false for an id of another version.
func chainTime(id []byte) (time.Time, bool) {
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
