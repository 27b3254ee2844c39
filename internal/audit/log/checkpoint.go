package log

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"slices"
	"time"

	"github.com/keyturn/keyturn/internal/audit"
	"github.com/keyturn/keyturn/internal/audit/line"
)

const (
	// anchorTime bounds the time of one anchor.
	anchorTime = 10 * time.Second
	// announceTime bounds how long the first event waits for the store.
	announceTime = 3 * time.Second
	// announcePause is the pause after a failed attempt to announce.
	announcePause = time.Second
)

// Signer signs checkpoints. The server's key ring implements it.
type Signer interface {
	// Sign returns the compact JWS of payload with typ in its header, and the kid
	// of the signing key. It is called between two batches of events, and before
	// the first one is written, so no event is written while it runs. It is safe
	// for concurrent use.
	Sign(typ string, payload []byte) (compact, kid string, err error)
}

// ErrNoKey is the error of a Signer that has no key and needs none. The chain
// then has no signature, which the verifier notes.
var ErrNoKey = errors.New("no key to sign checkpoints with")

// maxSeen bounds the heads in one checkpoint, in bytes of their nodes' names and
// overhead.
const maxSeen = 4 << 10

// checkpoint signs the head if there are events that no checkpoint covers, and
// requests an anchor for the new head. Failures are reported and tried again at
// the next checkpoint; decisions do not depend on it.
func (l *Log) checkpoint() {
	w := &l.w
	l.leaveUnsure()
	if w.head.Seq < 0 {
		return
	}
	w.untried = 0
	if signer := l.currentSigner(); signer != nil && w.unsealed > 0 {
		if err := l.sign(signer); err != nil {
			l.unsigned(w.head, err)
		}
	}
	l.wantAnchor()
}

// wantAnchor requests an anchor for the head unless it has one.
func (l *Log) wantAnchor() {
	l.mu.Lock()
	anchors := l.anchors
	l.mu.Unlock()
	if anchors == nil {
		return
	}
	if owed := l.owed.Swap(false); owed || l.w.head.Seq > l.w.requested {
		l.requestAnchor(l.w.head)
	}
}

func (l *Log) currentSigner() Signer {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.signer
}

// sign writes one checkpoint line.
func (l *Log) sign(s Signer) error {
	now := l.now()
	body, err := l.seal(l.w.head, now, s)
	if err != nil {
		return err
	}
	next, written, err := l.putLine(body, now)
	if written {
		l.sealed(next)
		return nil
	}
	return err
}

// sealed makes next, the line of a written checkpoint, the head.
func (l *Log) sealed(next line.Head) {
	w := &l.w
	w.head, w.seen, w.unsealed, w.untried, w.signed, w.sealedOnce = next, nil, 0, 0, true, true
}

// unsigned reports why there is no checkpoint of the line at. The next attempt
// waits for the next checkpoint time.
func (l *Log) unsigned(at line.Head, err error) {
	l.w.signed = true // or tried
	if errors.Is(err, ErrNoKey) {
		l.mu.Lock()
		l.signer = nil
		l.mu.Unlock()
		return
	}
	l.onError(fmt.Errorf("audit checkpoint after line %d of chain %s: %w", at.Seq, at.Chain, err))
}

// seal signs the head at and returns the body of its checkpoint line.
func (l *Log) seal(at line.Head, now time.Time, s Signer) ([]byte, error) {
	payload, err := json.Marshal(line.Seal{Chain: at.Chain, Seq: at.Seq, Hash: at.Hash(), IssuedAt: now.Unix(), Seen: l.w.seen})
	if err != nil {
		return nil, err
	}
	jws, kid, err := s.Sign(line.CheckpointType, payload)
	if err != nil {
		return nil, err
	}
	if len(jws) > line.MaxJWS || !isCompact(jws) {
		return nil, errors.New("the signer returned no compact JWS")
	}
	e := audit.Event{Action: audit.Checkpoint, Outcome: audit.Success, KeyID: kid}
	return line.AppendBody(nil, &e, &audit.Request{}, jws, now, l.suffix), nil
}

// appendFirst appends the first checkpoint of a chain, which belongs to the first
// events for which there is a key. It reports whether it did. Events and
// checkpoint are one write, because a process killed between two writes would
// leave a chain that no key signed.
func (l *Log) appendFirst(b []byte, at line.Head) (_ []byte, next line.Head, ok bool) {
	signer := l.currentSigner()
	if l.w.signed || signer == nil {
		return b, at, false
	}
	now := l.now()
	body, err := l.seal(at, now, signer)
	if err != nil {
		l.unsigned(at, err)
		return b, at, false
	}
	b, next = at.Append(b, body, now)
	return b, next, true
}

// newestSeen returns the latest of heads, which are oldest first, that fit into a
// checkpoint.
func newestSeen(heads []audit.Anchor) []line.Seen {
	var picked []line.Seen
	room := maxSeen
	for _, h := range slices.Backward(heads) {
		if h.Seq < 0 {
			continue
		}
		if room -= len(h.Node) + 150; room < 0 {
			break
		}
		picked = append(picked, line.Seen{Chain: h.Chain, Seq: h.Seq, Hash: h.Hash, Node: h.Node})
	}
	return picked
}

// isCompact reports whether s only has the characters of a compact JWS (RFC 7515
// §7.1), so that a line can contain it unescaped.
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

// announce tells the store that the chain exists before its first line is
// written, because the verifier takes a chain unknown to the store for forged. So
// no line is written while the store does not answer. That costs nothing: the
// decision of the first event needs the store too.
func (l *Log) announce() error {
	w := &l.w
	l.mu.Lock()
	anchors := l.anchors
	l.mu.Unlock()
	if w.announced || anchors == nil {
		return nil
	}
	if w.unannounced != nil && time.Since(w.asked) < announcePause {
		return w.unannounced
	}
	ctx, cancel := context.WithTimeout(context.Background(), announceTime)
	defer cancel()
	err := anchors.SetAnchor(ctx, l.anchor(line.Beginning(w.head.Chain, l.now())))
	if err != nil {
		err = fmt.Errorf("audit chain %s was not announced to the store: %w", w.head.Chain, err)
	}
	w.announced, w.unannounced, w.asked = err == nil, err, time.Now()
	return err
}

func (l *Log) anchor(h line.Head) audit.Anchor {
	return audit.Anchor{Chain: h.Chain, Seq: h.Seq, Hash: h.Hash(), Node: l.node, At: h.At.UTC().Truncate(time.Millisecond)}
}

// requestAnchor passes h to the anchoring goroutine. It replaces an older head
// that is still waiting.
func (l *Log) requestAnchor(h line.Head) {
	l.w.requested = h.Seq
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

// anchorHeads runs beside the writer, because neither a disk's sync nor the store
// may delay decisions.
func (l *Log) anchorHeads() {
	defer close(l.w.anchorDone)
	for h := range l.w.toAnchor {
		if err := l.anchorHead(h); err != nil {
			l.owed.Store(true)
			l.onError(fmt.Errorf("audit chain %s: line %d was not anchored: %w", h.Chain, h.Seq, err))
		}
	}
}

// anchorHead syncs the sink and then anchors h. The order matters: a power loss
// must not remove a line that the store knows.
func (l *Log) anchorHead(h line.Head) error {
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
	ctx, cancel := context.WithTimeout(l.w.anchoring, anchorTime)
	defer cancel()
	return anchors.SetAnchor(ctx, l.anchor(h))
}
