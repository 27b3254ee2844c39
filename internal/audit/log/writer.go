package log

import (
	"context"
	"errors"
	"fmt"
	"runtime"
	"time"

	"github.com/keyturn/keyturn/internal/audit"
	"github.com/keyturn/keyturn/internal/audit/line"
)

// writer is the state of the goroutine that writes the chain.
type writer struct {
	head  line.Head
	batch []*entry
	ends  []line.Head // the head after each entry of batch
	sizes []int       // the length of buf after each entry of batch
	buf   []byte

	every time.Duration
	lines int
	// unsealed counts the events since the last signed checkpoint, untried those
	// since the last attempt at one.
	unsealed, untried int
	// sealedOnce is set once a checkpoint of the chain was written.
	sealedOnce bool
	// signed is set once a first checkpoint was written, or could not be signed.
	// seen are the heads that it signs.
	signed    bool
	seen      []line.Seen
	announced bool
	// unannounced is the error of the last attempt to announce the chain.
	unannounced error
	asked       time.Time
	// unsure is set if it is unknown how the chain ends.
	unsure bool
	// refused counts the events that were not written since the log failed.
	refused    int
	requested  int64 // the last seq sent to toAnchor
	toAnchor   chan line.Head
	anchorDone chan struct{}
	// anchoring ends with anchorNoMore.
	anchoring    context.Context
	anchorNoMore context.CancelFunc
}

// write runs until the log is closed.
func (l *Log) write() {
	defer close(l.stopped)
	tick := time.NewTicker(l.w.every)
	defer tick.Stop()
	for {
		queue := l.queue
		var retry <-chan time.Time
		var probe <-chan time.Time
		if l.failing() {
			probe = time.After(probeTime)
		}
		if l.backlog.gone() {
			// Nobody waits for these events, and each attempt may cost much.
			queue, retry = nil, time.After(retryTime)
		}
		select {
		case <-probe:
			l.probe()
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

// again retries a sink that was away.
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

// gather adds first and all entries waiting behind it to the batch.
func (l *Log) gather(first *entry) {
	// Let callers that are about to enqueue run: the larger the batch, the fewer
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
// advances only over lines that stay in the sink.
func (l *Log) writeBatch() {
	w := &l.w
	if len(w.batch) == 0 {
		return
	}
	l.leaveUnsure()
	first, tried := w.head.Seq < 0, len(w.batch)
	w.buf, w.ends, w.sizes = w.buf[:0], w.ends[:0], w.sizes[:0]
	size := 2 << 10 // for a first checkpoint, usually
	for _, en := range w.batch {
		size += line.MaxStart + len(en.body)
	}
	var last line.Head
	var signed bool
	kept, err := l.put(size, func(at line.Head) []byte {
		for _, en := range w.batch {
			w.buf, at = at.Append(w.buf, en.body, en.at)
			w.ends = append(w.ends, at)
			w.sizes = append(w.sizes, len(w.buf))
		}
		w.buf, last, signed = l.appendFirst(w.buf, at)
		return w.buf
	})
	if err != nil {
		err = fmt.Errorf("audit event was not written to %s: %w", l.name, err)
	}
	written := 0
	retained := w.batch[:0]
	for i, en := range w.batch {
		if i >= len(w.sizes) || w.sizes[i] > kept {
			retained = l.failed(en, err, retained)
			continue
		}
		w.head = w.ends[i]
		written++
		w.unsealed++
		w.untried++
		l.acknowledge(en)
	}
	clear(w.batch[len(retained):])
	w.batch = retained
	if signed = signed && kept == len(w.buf); signed {
		l.sealed(last)
	}
	l.wrote(err, tried-written)
	if err == nil {
		l.recover()
	}
	switch {
	case w.untried >= w.lines:
		l.checkpoint()
	case signed || first && w.head.Seq >= 0:
		l.wantAnchor()
	}
}

// put writes the lines, of about that size, that render appends to the chain. It
// announces the chain to the store first.
func (l *Log) put(size int, render func(at line.Head) []byte) (kept int, err error) {
	if err := l.announce(); err != nil {
		return 0, err
	}
	at := l.w.head
	if at.After, err = l.sink.begin(size); err != nil {
		return 0, err
	}
	kept, err = l.sink.append(render(at))
	if errors.Is(err, errUnsure) {
		l.w.unsure = true
		err = fmt.Errorf("%w: %w", audit.ErrInDoubt, err)
	}
	return kept, err
}

// putLine writes one line of the log's own, and returns the head after it.
func (l *Log) putLine(body []byte, at time.Time) (next line.Head, written bool, err error) {
	size := 0
	kept, err := l.put(line.MaxStart+len(body), func(from line.Head) (b []byte) {
		b, next = from.Append(nil, body, at)
		size = len(b)
		return b
	})
	return next, size > 0 && kept == size, err
}

// tell writes an event of the log's own.
func (l *Log) tell(e audit.Event) (written bool, err error) {
	now := l.now()
	next, written, err := l.putLine(line.AppendBody(nil, &e, &audit.Request{}, "", now, l.suffix), now)
	if written {
		l.w.head = next
		l.w.unsealed++
	}
	return written, err
}

// leaveUnsure begins a new chain if it is unknown how the last one ends.
func (l *Log) leaveUnsure() {
	w := &l.w
	if !w.unsure {
		return
	}
	l.onError(fmt.Errorf("audit chain %s is left behind line %d: %w", w.head.Chain, w.head.Seq, errUnsure))
	w.head = line.Beginning(line.NewChainID(l.now()), time.Time{})
	w.unsure, w.announced, w.signed, w.sealedOnce = false, false, false, false
	w.unsealed, w.untried, w.requested = 0, 0, -1
}

// acknowledge reports success to the caller of a written entry.
func (l *Log) acknowledge(en *entry) {
	if en.state.CompareAndSwap(taken, settled) {
		en.done <- nil
		return
	}
	l.backlog.release()
	l.entries.Put(en)
}

// failed reports an error to the caller of an entry, or adds the entry to
// retained if it is to be tried again.
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

// signLast retries to sign a chain that has no signature yet. For a command this
// is the last chance, and the key may be there in a moment.
func (l *Log) signLast() {
	for range lastTries {
		if l.w.unsealed == 0 || l.w.sealedOnce || l.currentSigner() == nil {
			return
		}
		time.Sleep(lastPause)
		l.checkpoint()
	}
}

// finish writes the waiting events, signs the chain and closes the sink.
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
	l.signLast()
	close(l.w.toAnchor)
	// A store that is away must not make of it a sink that hangs.
	late := time.AfterFunc(closeTime/2, l.w.anchorNoMore)
	<-l.w.anchorDone
	late.Stop()
	l.w.anchorNoMore()
	if err := l.sink.close(); err != nil {
		l.err = errors.Join(l.err, fmt.Errorf("audit log %s: %w", l.name, err))
	}
}
