package main

// ballastSize is how much the collector is made to believe is in use. A server
// whose live heap is a few MiB would otherwise collect many times a second, at
// a tenth of its processor time. The memory is never touched, so it takes
// address space alone: what it allows is that much garbage between collections.
const ballastSize = 32 << 20

// newBallast returns memory to be kept for as long as the server runs.
func newBallast() []byte { return make([]byte, ballastSize) }
