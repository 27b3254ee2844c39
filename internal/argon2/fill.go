package argon2

import (
	"encoding/binary"
	"sync"

	"github.com/keyturn/keyturn/internal/headroom"
)

// slices is how many parts a pass over a lane has (RFC 9106 §3.4).
const slices = 4

// filling is the memory of one hash on its way to being full. Every block of it
// is written before it is read, so it may hold anything at first.
type filling struct {
	b                     []block
	kind                  int
	time, memory, threads uint32
	// lane and segment are lengths in blocks.
	lane, segment uint32
}

// start fills the first two blocks of each lane (RFC 9106 §3.2, steps 3 and 4).
func (f *filling) start(h0 [h0Length + 8]byte) {
	var bytes [len(block{}) * 8]byte
	for l := range f.threads {
		binary.LittleEndian.PutUint32(h0[h0Length+4:], l)
		for i := range uint32(2) {
			binary.LittleEndian.PutUint32(h0[h0Length:], i)
			blake2bHash(bytes[:], h0[:])
			first := &f.b[l*f.lane+i]
			for w := range first {
				first[w] = binary.LittleEndian.Uint64(bytes[8*w:])
			}
		}
	}
}

// fill makes the passes (RFC 9106 §3.2, steps 5 and 6). The lanes of a slice are
// filled at the same time: the first by the caller, the others on threads that
// give way as the caller's does.
func (f *filling) fill() {
	for pass := range f.time {
		for slice := range uint32(slices) {
			var lanes sync.WaitGroup
			for l := range f.threads - 1 {
				lanes.Go(func() {
					headroom.Compute(func() { f.fillSegment(pass, slice, l+1) })
				})
			}
			f.fillSegment(pass, slice, 0)
			lanes.Wait()
		}
	}
}

// fillSegment fills one slice of one lane (RFC 9106 §3.4). In the first pass a
// block is written, in later ones combined with what was there.
func (f *filling) fillSegment(pass, slice, l uint32) {
	a := addresses{independent: f.kind == typeI || f.kind == typeID && pass == 0 && slice < slices/2}
	a.input = block{0: uint64(pass), 1: uint64(l), 2: uint64(slice), 3: uint64(f.memory), 4: uint64(f.time), 5: uint64(f.kind)}
	i := uint32(0)
	if pass == 0 && slice == 0 {
		i = 2 // start has filled them
		a.next()
	}
	for ; i < f.segment; i++ {
		at := l*f.lane + slice*f.segment + i
		before := at - 1
		if slice == 0 && i == 0 {
			before += f.lane // the last of the lane
		}
		random := f.b[before][0]
		if a.independent {
			random = a.at(i)
		}
		from := indexAlpha(random, f.lane, f.segment, f.threads, pass, slice, l, i)
		if pass == 0 {
			processBlock(&f.b[at], &f.b[before], &f.b[from])
		} else {
			processBlockXOR(&f.b[at], &f.b[before], &f.b[from])
		}
	}
}

// addresses are the pseudo-random values of data-independent addressing (RFC
// 9106 §3.4.1.2), a block of them at a time.
type addresses struct {
	independent         bool
	values, input, zero block
}

func (a *addresses) next() {
	if !a.independent {
		return
	}
	a.input[6]++
	processBlock(&a.values, &a.input, &a.zero)
	processBlock(&a.values, &a.values, &a.zero)
}

func (a *addresses) at(i uint32) uint64 {
	n := i % uint32(len(a.values))
	if n == 0 {
		a.next()
	}
	return a.values[n]
}
