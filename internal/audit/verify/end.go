package verify

import (
	"fmt"
	"slices"

	"github.com/keyturn/keyturn/internal/audit/line"
)

// unfinished takes the last line of a file that ends without a newline.
func (v *verifier) unfinished(text []byte) error {
	if line.IsWhole(text) {
		if err := v.take(text); err != nil || v.o.Partial {
			return err
		}
		return v.fail(v.place.bad("the newline that ends the line was cut off"))
	}
	if line.IsPiece(text) {
		v.note("%s ends in an unfinished line, which was not checked", v.place.file)
		return nil
	}
	return v.take(text)
}

// end makes the checks that need the end of the last file.
func (v *verifier) end() error {
	if err := v.checkEnd(); err != nil || v.misplaced == nil {
		return err
	}
	return v.misplaced
}

func (v *verifier) checkEnd() error {
	if v.misfit != nil {
		return v.misfit.resolve(nil)
	}
	heads := make(map[string]*chainState, len(v.order))
	for _, c := range v.order {
		heads[string(c.hash[:])] = c
	}
	for _, c := range v.order {
		if before := heads[c.firstPrev]; c.firstSeq > 0 && before != nil && before.seq+1 == c.firstSeq {
			return c.firstAt.bad("the line follows line %d of chain %s but bears the id of another chain", before.seq, before.id)
		}
	}
	for _, c := range v.order {
		if c.anchor != nil && c.anchor.Seq > c.seq && !v.o.Partial {
			return c.at.bad("chain %s ends here with line %d, but the store holds line %d as its head: what followed was cut off",
				c.id, c.seq, c.anchor.Seq)
		}
	}
	if err := v.checkAttested(); err != nil {
		return err
	}
	if v.o.restored {
		return nil
	}
	if err := v.checkLostKeys(); err != nil {
		return err
	}
	if v.o.Partial {
		return v.unseen()
	}
	if err := v.checkSigned(); err != nil {
		return err
	}
	if err := v.checkBeginnings(); err != nil {
		return err
	}
	if err := v.checkUnheard(); err != nil {
		return err
	}
	return v.unseen()
}

func (v *verifier) note(format string, args ...any) {
	v.rep.Notes = append(v.rep.Notes, fmt.Sprintf(format, args...))
}

func (v *verifier) report() Report {
	rep := v.rep
	rep.Chains = len(v.order)
	rep.Notes = slices.Clone(rep.Notes)
	add := func(format string, args ...any) { rep.Notes = append(rep.Notes, fmt.Sprintf(format, args...)) }
	for _, c := range v.order {
		if c.firstSeq > 0 {
			add("chain %s begins here with line %d; the lines before it are in none of the files", c.id, c.firstSeq)
		} else if c.behind {
			add("what stood before the first line of %s is in none of the files", c.firstAt.file)
		}
		if v.o.Anchors == nil && c.listed == unlisted {
			add("the list of heads does not know chain %s (%s:%d), which was begun later as far as can be seen", c.id, c.firstAt.file, c.firstAt.line)
		}
		switch {
		case v.o.Keys == nil || c.seq <= c.vouched:
		case c.sealedSeq < 0:
			add("chain %s (%s:%d) bears no signature; the hashes alone, and the store if it was asked, vouch for it", c.id, c.firstAt.file, c.firstAt.line)
		case c.seq == c.vouched+1:
			add("line %d of chain %s comes after its last signature; the hashes alone, and the store if it was asked, vouch for it", c.seq, c.id)
		default:
			add("lines %d to %d of chain %s come after its last signature; the hashes alone, and the store if it was asked, vouch for them", c.vouched+1, c.seq, c.id)
		}
	}
	if v.beside > 0 {
		add("%d lines of an operational log, captured beside this one from standard error, were passed over", v.beside)
	}
	if v.o.Keys == nil {
		add("signatures of checkpoints were not checked: no keys at hand")
	}
	switch {
	case v.o.Anchors == nil && len(v.o.Heads) > 0:
		add("whether lines are missing after those that the list of heads names was not checked: the store was not asked")
	case v.o.Anchors == nil:
		add("whether lines are missing at the end was not checked: neither the store was asked nor a list of heads given")
	}
	if v.o.Partial {
		add("whether chains begin before the files, end after them or bear no signature was not checked: --partial says that the files are a part of the log")
	}
	return rep
}
