package verify

import (
	"crypto/sha256"

	"github.com/keyturn/keyturn/internal/audit/line"
)

// misfit is a pair of lines of one chain that do not fit together. Only the
// next line of the chain, or the anchor, shows which of the two is bad.
type misfit struct {
	clash clash
	chain *chainState
	// The earlier line fits the lines before it.
	earlier     place
	earlierHash string
	later       place
	laterHash   string
	laterSeq    int64
	// mendedHash is the hash that the later line would have with the earlier one as
	// its previous line.
	mendedHash string
}

// clash is the kind of a misfit.
type clash int

const (
	// wrongHash: prev of the later line is not the hash of the earlier one.
	wrongHash clash = iota
	// claimedTwice: both lines have the same number.
	claimedTwice
)

func newMisfit(of clash, c *chainState, at place, k line.Link, text []byte, hash [line.HashLen]byte) *misfit {
	mended := line.InHex(sha256.Sum256(k.Renamed(text, c.hash)))
	return &misfit{
		clash: of, chain: c,
		earlier: c.at, earlierHash: string(c.hash[:]),
		later: at, laterHash: string(hash[:]), laterSeq: k.Seq,
		mendedHash: string(mended[:]),
	}
}

// resolve returns an error for the bad line. next is the line of the chain that
// follows the two, or nil.
func (d *misfit) resolve(next *line.Link) error {
	// known is the known hash of the line numbered laterSeq.
	known := ""
	if a := d.chain.anchor; a != nil && a.Seq == d.laterSeq {
		known = a.Hash
	}
	if next != nil && next.Seq == d.laterSeq+1 {
		known = string(next.Prev)
	}
	if d.clash == claimedTwice {
		if known == d.laterHash {
			return d.earlier.bad("the line was added: line %d of chain %s is %s:%d", d.laterSeq, d.chain.id, d.later.file, d.later.line)
		}
		return d.later.bad("the line was added or changed: line %d of chain %s is %s:%d", d.laterSeq, d.chain.id, d.earlier.file, d.earlier.line)
	}
	added := next != nil && next.Seq == d.laterSeq && string(next.Prev) == d.earlierHash
	if added || known == d.mendedHash {
		return d.later.bad("the line was added or changed: it does not name the hash of the line before it in chain %s", d.chain.id)
	}
	return d.earlier.bad("the line was changed: its hash is not the one that the next line of chain %s names (%s:%d)",
		d.chain.id, d.later.file, d.later.line)
}

// displaced returns an error for a line of another chain that fits the gap
// after c's last line, because its chain's id was changed. Without such a line
// it returns bad.
func (v *verifier) displaced(c *chainState, bad *BadLine) *BadLine {
	for _, o := range v.order {
		if o != c && o.firstSeq == c.seq+1 && o.firstPrev == string(c.hash[:]) {
			return o.firstAt.bad("the line follows line %d of chain %s but bears the id of another chain", c.seq, c.id)
		}
	}
	return bad
}

// orphan returns an error for the first line of o if it follows a line of
// another chain, because its chain's id was changed. Otherwise it returns bad.
func (v *verifier) orphan(o *chainState, bad *BadLine) *BadLine {
	for _, c := range v.order {
		if c.seq+1 == o.firstSeq && o.firstPrev == string(c.hash[:]) {
			return o.firstAt.bad("the line follows line %d of chain %s but bears the id of another chain", c.seq, c.id)
		}
	}
	return bad
}
