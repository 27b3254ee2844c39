package argon2

import _ "unsafe" // for linkname

// block is laid out as x/crypto's is: 1 KiB (RFC 9106 §3.1).
type block [128]uint64

const h0Length = 64

// The parts of x/crypto's derivation; inside.s lets them have no body here.

//go:linkname initHash golang.org/x/crypto/argon2.initHash
func initHash(password, salt, key, data []byte, time, memory, threads, keyLen uint32, mode int) [h0Length + 8]byte

//go:linkname blake2bHash golang.org/x/crypto/argon2.blake2bHash
func blake2bHash(out, in []byte)

//go:noescape
//go:linkname processBlock golang.org/x/crypto/argon2.processBlock
func processBlock(out, in1, in2 *block)

//go:noescape
//go:linkname processBlockXOR golang.org/x/crypto/argon2.processBlockXOR
func processBlockXOR(out, in1, in2 *block)

//go:linkname indexAlpha golang.org/x/crypto/argon2.indexAlpha
func indexAlpha(rand uint64, lanes, segments, threads, n, slice, lane, index uint32) uint32

//go:linkname extractKey golang.org/x/crypto/argon2.extractKey
func extractKey(b []block, memory, threads, keyLen uint32) []byte
