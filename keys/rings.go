package keys

import "slices"

// The keys of a store form rings, each with its own schedule. The main ring signs
// for callers that ask for no algorithm. Its keys are of the first algorithm of
// Policy.Algs; if that changes, the next key is of the new algorithm. Each further
// algorithm has a ring of its own, whose keys never change algorithm.
//
// The upper bits of a key's Seq are its ring's number, so that Seq stays unique in a
// store. Earlier versions, which know the main ring alone, count on without a gap.
const (
	mainRing = 0
	ringSpan = 1 << 32
)

// besideAlgs are the algorithms of the rings beside the main one, by number. The
// numbers are stored and never change.
var besideAlgs = []string{1: ES256, 2: RS256, 3: PS256, 4: EdDSA, 5: Ed25519}

// ring returns the number of the key's ring.
func (r *Record) ring() int { return int(r.Seq / ringSpan) }

// Beside reports whether the key belongs to a ring beside the main one. A store
// keeps such keys where versions that know one ring only do not find them, because
// those would take them for successors of their own keys.
func (r *Record) Beside() bool { return r.ring() != mainRing }

// ringAlg returns the algorithm of new keys of a ring.
func (p Policy) ringAlg(ring int) string {
	if ring == mainRing {
		return p.Algs[0]
	}
	if ring < len(besideAlgs) {
		return besideAlgs[ring]
	}
	return "" // of a later version
}

// besideRing returns the number of the ring of alg beside the main one.
func besideRing(alg string) int { return slices.Index(besideAlgs, alg) }

// ringView is one ring at the time of its view.
type ringView struct {
	number int
	// signing is the index of the signing key among the keys of the view, or -1.
	signing int
	// emergency says that the key signs before its time because one before it was
	// revoked or cannot be used.
	emergency bool
	// wanted says that the policy asks for the ring.
	wanted bool
}

// ringsOf groups records by ring, and adds the rings that p asks for.
func ringsOf(records []Record, p Policy) map[int][]Record {
	rings := map[int][]Record{mainRing: nil}
	for _, alg := range p.Algs[1:] {
		rings[besideRing(alg)] = nil
	}
	for _, r := range records {
		rings[r.ring()] = append(rings[r.ring()], r)
	}
	return rings
}

// wants reports whether p asks for a ring beside the main one. If the ring's
// algorithm has become the default, the ring goes on until the main ring signs with
// it.
func (p Policy) wants(ring int, mainAlg string, live bool) bool {
	switch slices.Index(p.Algs, p.ringAlg(ring)) {
	case -1:
		return false
	case 0:
		return live && mainAlg != p.Algs[0]
	}
	return true
}
