package keys

import "slices"

// The keys of a store form rings, each with a schedule of its own. The main ring
// signs for whoever asks for no algorithm: its keys are of the first algorithm of
// Policy.Algs, and when that changes, of the new one from the next key on. Beside it
// stands one ring for each further algorithm, whose keys never change theirs.
//
// A ring's number stands in the upper bits of the Seq of its keys, so that numbers
// stay unique in a store, and whoever knows the main ring alone, as earlier versions
// do, counts on without a gap.
const (
	mainRing = 0
	ringSpan = 1 << 32
)

// besideAlgs are the algorithms of the rings beside the main one, by number. The
// numbers are in the stores: they never change.
var besideAlgs = []string{1: ES256, 2: RS256, 3: PS256, 4: EdDSA, 5: Ed25519}

// ring is the number of the ring that a key belongs to.
func (r *Record) ring() int { return int(r.Seq / ringSpan) }

// Beside reports whether the key belongs to a ring beside the main one. A store
// keeps such keys where versions that know one ring only do not find them: they
// would take them for successors of their own keys.
func (r *Record) Beside() bool { return r.ring() != mainRing }

// ringAlg is the algorithm of the keys that are made for a ring.
func (p Policy) ringAlg(ring int) string {
	if ring == mainRing {
		return p.Algs[0]
	}
	if ring < len(besideAlgs) {
		return besideAlgs[ring]
	}
	return "" // of a later version
}

// besideRing is the number of the ring beside the main one that has keys of alg.
func besideRing(alg string) int { return slices.Index(besideAlgs, alg) }

// ringView is one ring at the time of its view.
type ringView struct {
	number int
	// signing is the index of the key that signs among the keys of the view,
	// or -1.
	signing int
	// emergency says that it signs before its time because one before it was
	// revoked or cannot be used.
	emergency bool
	// wanted says that the policy asks for the ring.
	wanted bool
}

// ringsOf groups records by ring, and adds those rings that p asks for.
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

// wants says whether p asks for a ring beside the main one. The ring of what has
// become the default algorithm goes on until the main ring signs with it.
func (p Policy) wants(ring int, mainAlg string, live bool) bool {
	switch slices.Index(p.Algs, p.ringAlg(ring)) {
	case -1:
		return false
	case 0:
		return live && mainAlg != p.Algs[0]
	}
	return true
}
