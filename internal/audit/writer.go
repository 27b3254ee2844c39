package audit

import (
	"crypto/sha256"
	"encoding/hex"
	"fmt"
	"runtime"
	"time"
)

// head is the last line of a chain. A chain without a line has seq -1.
type head struct {
	seq  int64
	hash string
	at   time.Time
}

// writer is what belongs to the goroutine that writes the chain.
type writer struct {
	head  head
	batch []*entry
	ends  []head // the head after each entry of batch
	sizes []int  // the length of buf after each entry of batch
	buf   []byte

	every time.Duration
	lines int
	// unsealed counts the events since the last signed checkpoint, untried
	// those since the last attempt at one.
	unsealed, untried int
	// signed is set once a first checkpoint was tried, seen what it attests.
	signed     bool
	seen       []seen
	announced  bool
	requested  int64 // the last seq sent to toAnchor
	toAnchor   chan head
	anchorDone chan struct{}
}

// write runs until the log is closed.
func (l *Log) write() {
	defer close(l.stopped)
	tick := time.NewTicker(l.w.every)
	defer tick.Stop()
	for {
		select {
		case en := <-l.queue:
			l.gather(en)
			l.writeBatch()
		case <-tick.C:
			l.checkpoint()
		case reply := <-l.reopens:
			reply <- l.sink.reopen()
		case <-l.closing:
			l.finish()
			return
		}
	}
}

// gather fills the batch with first and all entries that wait behind it.
func (l *Log) gather(first *entry) {
	// Let those run who are about to enqueue: the larger the batch, the fewer
	// the system calls.
	runtime.Gosched()
	l.w.batch = l.w.batch[:0]
	size := 0
	for en := first; ; {
		if en.state.CompareAndSwap(waiting, taken) {
			l.w.batch = append(l.w.batch, en)
			size += len(en.body)
		}
		if size >= maxBatch {
			return
		}
		select {
		case en = <-l.queue:
		default:
			return
		}
	}
}

// writeBatch chains the batch, writes it and answers its callers. The chain
// moves on only over lines that stay in the sink.
func (l *Log) writeBatch() {
	w := &l.w
	if len(w.batch) == 0 {
		return
	}
	l.announce()
	first := w.head.seq < 0
	at := w.head
	w.buf, w.ends, w.sizes = w.buf[:0], w.ends[:0], w.sizes[:0]
	for _, en := range w.batch {
		w.buf, at = l.chainLine(w.buf, at, en.body, en.at)
		w.ends = append(w.ends, at)
		w.sizes = append(w.sizes, len(w.buf))
	}
	kept, err := l.sink.append(w.buf)
	if err != nil {
		err = fmt.Errorf("audit event was not written to %s: %w", l.name, err)
	}
	for i, en := range w.batch {
		if w.sizes[i] > kept {
			en.done <- err
			continue
		}
		w.head = w.ends[i]
		w.unsealed++
		w.untried++
		en.done <- nil
	}
	clear(w.batch)
	if w.untried >= w.lines || first && w.head.seq >= 0 || l.mayCheckpoint() {
		l.checkpoint()
	}
}

// chainLine appends the line that follows at, newline included, and returns
// the new head.
func (l *Log) chainLine(b []byte, at head, body []byte, t time.Time) ([]byte, head) {
	from := len(b)
	b = appendChain(b, l.chain, at.seq+1, at.hash)
	b = append(b, body...)
	sum := sha256.Sum256(b[from:])
	return append(b, '\n'), head{seq: at.seq + 1, hash: hex.EncodeToString(sum[:]), at: t}
}

// finish writes what still waits, seals the chain and closes the sink.
func (l *Log) finish() {
	for {
		select {
		case en := <-l.queue:
			l.gather(en)
			l.writeBatch()
			continue
		default:
		}
		break
	}
	l.checkpoint()
	close(l.w.toAnchor)
	<-l.w.anchorDone
	if err := l.sink.close(); err != nil {
		l.err = fmt.Errorf("audit log %s: %w", l.name, err)
	}
}
