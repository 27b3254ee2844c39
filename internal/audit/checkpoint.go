package audit

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"slices"
	"time"
)

// CheckpointType is the typ of a checkpoint's JWS, so that no other token that
// the same keys sign can pass for one (RFC 8725 §3.11).
const CheckpointType = "keyturn-checkpoint+jwt"

const (
	maxJWS = 8 << 10
	// anchorTime bounds how long one anchor may take.
	anchorTime = 10 * time.Second
	// announceTime bounds how long the first event waits for the store.
	announceTime = 3 * time.Second
)

// Signer signs checkpoints; the server's key ring does.
type Signer interface {
	// Sign returns the compact JWS of payload with typ in its header, and the
	// kid of the key that signed. It is called between two batches of events
	// and must not wait for a network. Safe for concurrent use.
	Sign(typ string, payload []byte) (compact, kid string, err error)
}

// ErrNoKey is what a Signer returns where there is no key to sign with, and
// need not be: the chain then bears no signature, which the verifier notes.
var ErrNoKey = errors.New("no key to sign checkpoints with")

// sealed is the payload of a checkpoint: the line right before it and, in the
// first of a chain, the heads of other chains that the signer has seen.
type sealed struct {
	Chain    string `json:"chain"`
	Seq      int64  `json:"seq"`
	Hash     string `json:"hash"`
	IssuedAt int64  `json:"iat"`
	Seen     []seen `json:"seen,omitempty"`
}

// seen is the head of another chain. Signed by a later one, it stands even
// where both the file and the store were set back.
type seen struct {
	Chain string `json:"chain"`
	Seq   int64  `json:"seq"`
	Hash  string `json:"hash"`
	Node  string `json:"node"`
}

// maxSeen bounds the heads in one checkpoint, in bytes of their nodes' names
// and of what comes with each.
const maxSeen = 4 << 10

// checkpoint signs the head, if there are events that no checkpoint covers, and
// asks for the new head to be anchored. What fails is reported and tried again
// at the next checkpoint; decisions do not depend on it.
func (l *Log) checkpoint() {
	w := &l.w
	if w.head.seq < 0 {
		return
	}
	w.untried = 0
	l.mu.Lock()
	signer, anchors := l.signer, l.anchors
	l.mu.Unlock()
	if signer != nil && w.unsealed > 0 {
		w.signed = true // or tried; whatever fails now waits for its time
		if err := l.sign(signer); errors.Is(err, ErrNoKey) {
			l.mu.Lock()
			l.signer = nil
			l.mu.Unlock()
		} else if err != nil {
			l.onError(fmt.Errorf("audit checkpoint after line %d of chain %s: %w", w.head.seq, l.chain, err))
		} else {
			w.unsealed = 0
		}
	}
	if anchors == nil {
		return
	}
	if owed := l.owed.Swap(false); owed || w.head.seq > w.requested {
		l.requestAnchor(w.head)
	}
}

// sign writes one checkpoint line.
func (l *Log) sign(s Signer) error {
	line, next, err := l.appendCheckpoint(nil, l.w.head, s)
	if err != nil {
		return err
	}
	if kept, err := l.sink.append(line); kept < len(line) {
		return err
	}
	l.w.head = next
	l.w.seen = nil
	return nil
}

// appendCheckpoint appends the line that signs at, and returns the head after it.
// After an error it has appended nothing.
func (l *Log) appendCheckpoint(b []byte, at head, s Signer) ([]byte, head, error) {
	now := l.now()
	payload, err := json.Marshal(sealed{l.chain, at.seq, at.hash(), now.Unix(), l.w.seen})
	if err != nil {
		return b, at, err
	}
	jws, kid, err := s.Sign(CheckpointType, payload)
	if err != nil {
		return b, at, err
	}
	if len(jws) > maxJWS || !isCompact(jws) {
		return b, at, errors.New("the signer returned no compact JWS")
	}
	e := Event{Action: Checkpoint, Outcome: Success, KeyID: kid}
	body := appendBody(nil, &e, &Request{}, jws, now, l.suffix)
	b, next := l.chainLine(b, at, body, now)
	return b, next, nil
}

// appendFirst is appendCheckpoint for the first of a chain, if there is a key for
// it. It goes into one write with the events before it: of a process that is killed
// between two, a chain would be left that no key vouches for. What fails is
// reported by the attempt that follows.
func (l *Log) appendFirst(b []byte, at head) (_ []byte, next head, ok bool) {
	if !l.mayCheckpoint() {
		return b, at, false
	}
	l.mu.Lock()
	signer := l.signer
	l.mu.Unlock()
	b, next, err := l.appendCheckpoint(b, at, signer)
	return b, next, err == nil
}

// newestSeen picks from heads, oldest first, the latest that fit a checkpoint.
func newestSeen(heads []Anchor) []seen {
	var picked []seen
	room := maxSeen
	for _, h := range slices.Backward(heads) {
		if h.Seq < 0 {
			continue
		}
		if room -= len(h.Node) + 150; room < 0 {
			break
		}
		picked = append(picked, seen{h.Chain, h.Seq, h.Hash, h.Node})
	}
	return picked
}

// mayCheckpoint says whether the first checkpoint is due: right after the first
// event that there is a key for.
func (l *Log) mayCheckpoint() bool {
	if l.w.signed {
		return false
	}
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.signer != nil
}

// isCompact reports whether s consists of what a compact JWS consists of
// (RFC 7515 §7.1), so that it can stand in a line as it is.
func isCompact(s string) bool {
	for i := range len(s) {
		c := s[i]
		switch {
		case c >= 'a' && c <= 'z', c >= 'A' && c <= 'Z', c >= '0' && c <= '9', c == '-', c == '_', c == '.':
		default:
			return false
		}
	}
	return s != ""
}

// announce tells the store that the chain exists, before its first line does:
// a chain in the file that the store has never heard of was put there by
// somebody else.
func (l *Log) announce() {
	if l.w.announced {
		return
	}
	l.w.announced = true
	l.mu.Lock()
	anchors := l.anchors
	l.mu.Unlock()
	if anchors == nil {
		return
	}
	ctx, cancel := context.WithTimeout(context.Background(), announceTime)
	defer cancel()
	err := anchors.SetAnchor(ctx, l.anchor(head{seq: -1, at: l.now()}))
	if err != nil {
		l.onError(fmt.Errorf("audit chain %s was not announced to the store: %w", l.chain, err))
	}
}

func (l *Log) anchor(h head) Anchor {
	return Anchor{Chain: l.chain, Seq: h.seq, Hash: h.hash(), Node: l.node, At: h.at.UTC().Truncate(time.Millisecond)}
}

// requestAnchor hands h to the goroutine that anchors, in the place of an older
// head that it has not come to yet.
func (l *Log) requestAnchor(h head) {
	l.w.requested = h.seq
	for {
		select {
		case l.w.toAnchor <- h:
			return
		default:
		}
		select {
		case <-l.w.toAnchor:
		default:
		}
	}
}

// anchorHeads runs beside the writer, because neither a disk's sync nor the
// store may hold decisions up.
func (l *Log) anchorHeads() {
	defer close(l.w.anchorDone)
	for h := range l.w.toAnchor {
		if err := l.anchorHead(h); err != nil {
			l.owed.Store(true)
			l.onError(fmt.Errorf("audit chain %s: line %d was not anchored: %w", l.chain, h.seq, err))
		}
	}
}

// anchorHead syncs the sink and then anchors h. The order matters: a power loss
// must not take a line that the store says is there.
func (l *Log) anchorHead(h head) error {
	err := l.sink.sync()
	if errors.Is(err, os.ErrClosed) {
		err = l.sink.sync() // reopened meanwhile; the old file was synced then
	}
	if err != nil {
		return err
	}
	l.mu.Lock()
	anchors := l.anchors
	l.mu.Unlock()
	ctx, cancel := context.WithTimeout(context.Background(), anchorTime)
	defer cancel()
	return anchors.SetAnchor(ctx, l.anchor(h))
}
