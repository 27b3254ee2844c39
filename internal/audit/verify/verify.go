// Package verify reads audit logs. It checks them against their chains and against what
// is known of the chains from elsewhere, merges the logs of several replicas by time,
// follows a log that is being written, and selects and formats lines for people.
package verify

import (
	"crypto/sha256"
	"errors"
	"time"

	"github.com/keyturn/keyturn/internal/audit"
	"github.com/keyturn/keyturn/internal/audit/line"
)

// Files reads the files of one log in the order of their first lines' times and checks
// every line. "-" is standard input; with it, or with a pipe, the files must be given
// oldest first. Files compressed with gzip or zstd are decompressed. The first sign of
// tampering is returned as a *BadLine, and a file that cannot be read as another error;
// the Report then covers what was read so far.
//
// Without the signing keys and the store nobody can hide a change to an anchored line.
// Lines after the last anchor (at most a minute's, while the store answers) are
// protected only by the chain, which a thief who knows the format can recompute. The
// order of two chains is protected if a line contains the hash of another chain's line
// before it, as in a file.
func Files(files []string, o Options) (Report, error) {
	return newVerifier(o).files(files)
}

func (v *verifier) files(files []string) (Report, error) {
	sources := sourcesOf(files)
	v.expect(sources)
	for _, s := range sources {
		for _, name := range s.files {
			v.place = place{file: name}
			err := readLines(name, func(number int64, text []byte, as kind) error {
				v.place.line = number
				return v.read(text, as)
			})
			if err != nil {
				return v.report(), err
			}
		}
	}
	err := v.end()
	return v.report(), err
}

// Each is like Files, but also passes each line to fn in the same reading, whether the
// line is good or not, and also after the first sign of tampering. It merges several
// logs by time, as Lines does. The line is only valid during the call, and cut at
// line.Max bytes. An error of fn ends the reading and is returned.
func Each(files []string, o Options, fn func(text []byte) error) (Report, error) {
	v := newVerifier(o)
	sources := sourcesOf(files)
	v.expect(sources)
	for _, s := range sources {
		v.place.file = s.files[len(s.files)-1] // for logs without any line
	}
	var bad *BadLine
	err := merge(sources, func(at place, text []byte, as kind) error {
		if bad == nil {
			v.place = at
			if err := v.read(text, as); err != nil && !errors.As(err, &bad) {
				return err
			}
		}
		if as == beside || bad == nil && v.repeated {
			return nil
		}
		return fn(text[:min(len(text), line.Max)])
	})
	if err != nil {
		return v.report(), err
	}
	if bad != nil {
		return v.report(), bad
	}
	err = v.end()
	return v.report(), err
}

// chainState is the state of a chain so far.
type chainState struct {
	id string
	// seq, hash (hex) and at describe the last line seen.
	seq  int64
	hash [line.HashLen]byte
	at   place
	// The first line seen.
	firstSeq  int64
	firstPrev string
	firstAt   place
	node      string // escaped as in the first line
	// behind is set if the first line seen is the first of its log and contains the
	// hash of another chain's line before it.
	behind bool
	// listed is the number of the chain's line in the list of heads, or unlisted. An
	// unlisted chain is early if it begins before a line that the list knows, and late
	// if it begins after one.
	listed      int64
	early, late bool
	anchor      *audit.Anchor
	// The last good checkpoint, and the last line that it covers, or -1.
	sealedAt  place
	sealedSeq int64
	// vouched is the last line that a signature is about: sealedSeq, or the checkpoint
	// directly after it.
	vouched   int64
	suspectAt place     // see watchUnsigned
	written   time.Time // only set for Ahead
	recent    recent
}

type verifier struct {
	o       Options
	anchors map[string]*audit.Anchor
	chains  map[string]*chainState
	order   []*chainState
	last    *chainState
	// heads holds the hashes of the last lines of all other chains.
	heads  map[[line.HashLen]byte]struct{}
	listed heardOf
	logs   map[string]*began    // by file
	nodes  map[string]time.Time // when the node's log began
	place  place
	misfit *misfit
	// misplaced is the first line that is not where it was written.
	misplaced *BadLine
	rep       Report
	// beside counts the lines of operational logs.
	beside int64
	// repeated is set if the last line was skipped.
	repeated bool
	// attested holds the latest attested head of each chain.
	attested map[string]attested
	// See restored.go.
	restorations []restoration
	lostKeys     []lostKey
}

// began is when the first line of a log was written, to the millisecond, or zero if not
// read yet. It is per log, because another replica's log may go further back if old
// files were deleted.
type began struct {
	time.Time
	unlisted []*chainState // chains that the list of heads does not know
	listed   bool          // a line that the list knows was read
}

// expect records which files belong to one log.
func (v *verifier) expect(logs []*source) {
	for _, log := range logs {
		b := new(began)
		for _, file := range log.files {
			v.logs[file] = b
		}
	}
}

func newVerifier(o Options) *verifier {
	v := &verifier{o: o, listed: heard(o.Heads), heads: map[[line.HashLen]byte]struct{}{}, chains: map[string]*chainState{}, logs: map[string]*began{}, nodes: map[string]time.Time{}, anchors: map[string]*audit.Anchor{}, attested: map[string]attested{}}
	for _, h := range o.Heads {
		if h.Seq >= 0 {
			v.attest(attested{Seen: line.Seen{Chain: h.Chain, Seq: h.Seq, Hash: h.Hash, Node: h.Node}, by: "the list of heads"})
		}
	}
	for i := range o.Anchors {
		v.anchors[o.Anchors[i].Chain] = &o.Anchors[i]
	}
	return v
}

// read checks one line of a file.
func (v *verifier) read(text []byte, as kind) error {
	switch as {
	case beside:
		v.beside++
		return nil
	case stray:
		return v.fail(v.place.bad("the line is not in the form of the first one, which a container's runtime wrote: it was put there, or two files were joined that have to be given apart"))
	case piece:
		return v.unfinished(text)
	}
	return v.take(text)
}

// take checks one line. A nil error does not mean that the line is good: only the next
// line of its chain shows that.
func (v *verifier) take(text []byte) error {
	k, err := line.Parse(text)
	if err != nil {
		return v.fail(v.place.bad("%v", err))
	}
	sum := sha256.Sum256(text)
	hash := line.InHex(sum)
	v.rep.Lines++
	v.rep.Bytes += int64(len(text)) + 1
	v.repeated = false

	begins := v.logs[v.place.file].IsZero()
	c := v.chain(k.ID)
	if c == nil {
		if c, err = v.first(k, text); err != nil {
			return v.fail(err)
		}
	} else if v.o.Repeats && k.Seq <= c.seq && c.recent.has(k.Seq, sum) {
		v.pass(text)
		return nil
	} else if v.misfit != nil && v.misfit.chain == c {
		return v.misfit.resolve(&k)
	} else if ok, err := v.follows(c, k, text, hash); !ok {
		return err
	}
	v.watchOrder(c, k, begins)
	v.watchUnlisted(c, k.Seq)
	c.seq, c.hash, c.at = k.Seq, hash, v.place
	if v.o.Repeats {
		c.recent.add(k.Seq, sum)
	}
	if v.o.restored {
		c.written = line.Time(text).Truncate(time.Millisecond)
	}
	if err := v.anchored(c); err != nil {
		return v.fail(err)
	}
	if k.Checkpoint != nil {
		if err := v.checkpoint(c, k, text); err != nil {
			return v.fail(err)
		}
	}
	v.watchUnsigned(c, text)
	return nil
}

// pass skips an exact repeat.
func (v *verifier) pass(text []byte) {
	v.repeated = true
	v.rep.Repeated++
	v.rep.Lines--
	v.rep.Bytes -= int64(len(text)) + 1
}

// fail returns err, or the error of an earlier misfit.
func (v *verifier) fail(err error) error {
	if v.misfit != nil {
		return v.misfit.resolve(nil)
	}
	return err
}

func (v *verifier) chain(id []byte) *chainState {
	if v.last == nil || v.last.id != string(id) {
		if v.last != nil {
			v.heads[v.last.hash] = struct{}{}
		}
		if v.last = v.chains[string(id)]; v.last != nil {
			delete(v.heads, v.last.hash)
		}
	}
	return v.last
}

// first begins a chain. It accepts a chain that does not begin with its first line only
// if the lines before it may be in an earlier file.
func (v *verifier) first(k line.Link, text []byte) (*chainState, error) {
	at := line.Time(text)
	if at.IsZero() {
		return nil, v.place.bad("the line has no time")
	}
	log := v.logs[v.place.file]
	if log.IsZero() {
		log.Time = at.Truncate(time.Millisecond)
	}
	c := &chainState{id: string(k.ID), firstSeq: k.Seq, firstPrev: string(k.Prev), firstAt: v.place, node: line.Node(text), sealedSeq: -1, vouched: -1}
	c.listed = v.listed.of(c.id)
	c.anchor = v.anchors[c.id]
	switch {
	case k.Misbegun():
		return nil, v.place.bad("the first line of chain %s names a line before it", c.id)
	case k.Seq > 0:
		if began, ok := line.Begun(k.ID); ok && began.After(log.Time) {
			return nil, v.orphan(c, v.place.bad("the first %d lines of chain %s are missing; it was begun at %s, after the first line of this log",
				k.Seq, c.id, began.Format(time.RFC3339Nano)))
		}
	}
	if v.o.Anchors != nil && c.anchor == nil && !v.o.restored {
		return nil, v.place.bad("the store has never heard of chain %s, which begins here: it was put there, or the store was restored and nobody has said so (keyturn store restored)", c.id)
	}
	if a := c.anchor; a != nil && a.Seq >= 0 && k.Seq == a.Seq+1 && c.firstPrev != a.Hash {
		return nil, v.place.bad("the line does not follow the line that the store holds as the head of chain %s", c.id)
	}
	v.chains[c.id] = c
	v.order = append(v.order, c)
	v.last = c
	v.noteRestoration(c, text)
	if earlier, ok := v.nodes[c.node]; !ok || log.Before(earlier) {
		v.nodes[c.node] = log.Time
	}
	if c.listed == unlisted {
		c.late = log.listed
		log.unlisted = append(log.unlisted, c)
	}
	return c, nil
}

// follows checks that the line directly follows the last one of its chain. If it
// returns false the line must not become the chain's last.
func (v *verifier) follows(c *chainState, k line.Link, text []byte, hash [line.HashLen]byte) (bool, error) {
	switch step := k.After(c.seq, c.hash, hash); {
	case step == line.Ahead:
		bad := v.place.bad("lines %d to %d of chain %s are missing before this line", c.seq+1, k.Seq-1, c.id)
		if k.Seq == c.seq+2 {
			bad = v.place.bad("line %d of chain %s is missing before this line", c.seq+1, c.id)
		}
		return false, v.fail(v.displaced(c, bad))
	case k.Seq < c.firstSeq:
		return false, v.fail(c.firstAt.bad("the line is out of order: line %d of chain %s comes later, at %s:%d", k.Seq, c.id, v.place.file, v.place.line))
	case step == line.Again:
		return false, v.fail(v.place.bad("chain %s begins again; its first line is %s:%d", c.id, c.firstAt.file, c.firstAt.line))
	case step == line.Forked:
		return false, v.suspect(newMisfit(claimedTwice, c, v.place, k, text, hash))
	case step == line.Behind:
		return false, v.fail(v.place.bad("line %d of chain %s is repeated or out of order; the chain has come to line %d before", k.Seq, c.id, c.seq))
	case step == line.Unlinked:
		return false, v.suspect(newMisfit(wrongHash, c, v.place, k, text, hash))
	}
	return true, nil
}

// suspect records a misfit; the next line of the chain resolves it.
func (v *verifier) suspect(d *misfit) error {
	if v.misfit != nil {
		return v.misfit.resolve(nil)
	}
	v.misfit = d
	return nil
}

// anchored compares the chain's last line with the anchor.
func (v *verifier) anchored(c *chainState) error {
	if c.anchor == nil || c.anchor.Seq != c.seq {
		return nil
	}
	if c.anchor.Hash != string(c.hash[:]) {
		return c.at.bad("the line is not the one that the store holds as the head of chain %s: it or lines before it were changed", c.id)
	}
	v.rep.Anchored++
	return nil
}
