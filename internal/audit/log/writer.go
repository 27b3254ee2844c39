package log

import (
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"runtime"
	"time"
)

// head is the last line of a chain. A chain without a line has seq -1 and a sum
// of zeros.
type head struct {
	seq int64
	sum [sha256.Size]byte
	at  time.Time
}

func (h head) hash() string { return hex.EncodeToString(h.sum[:]) }

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
	// signed is set once a first checkpoint was written, or could not be
	// signed; seen is what it attests.
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
		queue := l.queue
		var retry <-chan time.Time
		if l.backlog.gone() {
			// Nobody waits for these events; each attempt may cost much.
			queue, retry = nil, time.After(retryTime)
		}
		select {
		case en := <-queue:
			l.gather(en)
			l.writeBatch()
		case <-retry:
			l.again()
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

// again tries a sink that was away.
func (l *Log) again() {
	select {
	case en := <-l.queue:
		l.gather(en)
	default:
	}
	if len(l.w.batch) == 0 {
		l.recover()
		return
	}
	l.writeBatch()
}

// gather adds first and all entries that wait behind it to what the batch
// retains.
func (l *Log) gather(first *entry) {
	// Let those run who are about to enqueue: the larger the batch, the fewer
	// the system calls.
	runtime.Gosched()
	size := 0
	for _, en := range l.w.batch {
		size += len(en.body)
	}
	for en := first; ; {
		if en.state.CompareAndSwap(waiting, taken) || en.state.Load() == adopted {
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
	var signed bool
	w.buf, at, signed = l.appendFirst(w.buf, at)
	kept, err := l.sink.append(w.buf)
	if err != nil {
		err = fmt.Errorf("audit event was not written to %s: %w", l.name, err)
	}
	retained := w.batch[:0]
	for i, en := range w.batch {
		if w.sizes[i] > kept {
			retained = l.failed(en, err, retained)
			continue
		}
		w.head = w.ends[i]
		w.unsealed++
		w.untried++
		l.settle(en)
	}
	clear(w.batch[len(retained):])
	w.batch = retained
	if signed = signed && kept == len(w.buf); signed {
		l.sealed(at)
	}
	if err == nil {
		l.recover()
	}
	switch {
	case w.untried >= w.lines:
		l.checkpoint()
	case signed || first && w.head.seq >= 0:
		l.wantAnchor()
	}
}

// settle answers for an entry that was written.
func (l *Log) settle(en *entry) {
	if en.state.CompareAndSwap(taken, settled) {
		en.done <- nil
		return
	}
	l.backlog.release()
	l.entries.Put(en)
}

// failed answers for an entry that was not written, and adds it to retained if
// it is to be tried again.
func (l *Log) failed(en *entry, err error, retained []*entry) []*entry {
	if l.backlog.on() {
		l.fell(err)
		if mine, ok := l.retain(en); ok {
			if mine != nil {
				retained = append(retained, mine)
			}
			return retained
		}
	} else {
		en.state.Store(settled)
	}
	en.done <- err
	return retained
}

// chainLine appends the line that follows at, newline included, and returns
// the new head.
func (l *Log) chainLine(b []byte, at head, body []byte, t time.Time) ([]byte, head) {
	from := len(b)
	var prev [hashLen]byte
	hex.Encode(prev[:], at.sum[:])
	b = appendChain(b, l.chain, at.seq+1, prev[:])
	b = append(b, body...)
	next := head{seq: at.seq + 1, sum: sha256.Sum256(b[from:]), at: t}
	return append(b, '\n'), next
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
	if len(l.w.batch) > 0 {
		l.writeBatch()
	}
	if b := l.Backlog(); b.Held > 0 {
		l.err = fmt.Errorf("audit log %s: %d events that were kept in memory are lost", l.name, b.Held)
	}
	l.checkpoint()
	close(l.w.toAnchor)
	<-l.w.anchorDone
	if err := l.sink.close(); err != nil {
		l.err = errors.Join(l.err, fmt.Errorf("audit log %s: %w", l.name, err))
	}
}
