package argon2

import (
	"runtime"
	"syscall"
	"unsafe"
)

// hugePage is the size of the pages asked for, on the machines that have them.
const hugePage = 2 << 20

// newBlocks returns n blocks outside Go's heap, to be unmapped when a is gone.
// A hash goes through its memory in no order: with pages of 4 KiB the processor
// has to look up the place of every other block, with huge ones of hardly any.
// And for what the collector does not see it lets no garbage gather.
func newBlocks(a *area, n uint32) []block {
	const blockSize = int(unsafe.Sizeof(block{}))
	size := (int(n)*blockSize + hugePage - 1) / hugePage * hugePage
	memory, err := syscall.Mmap(-1, 0, size, syscall.PROT_READ|syscall.PROT_WRITE, syscall.MAP_ANON|syscall.MAP_PRIVATE)
	if err != nil {
		return make([]block, n)
	}
	_ = syscall.Madvise(memory, syscall.MADV_HUGEPAGE) // an offer: the kernel may have none
	runtime.AddCleanup(a, func(memory []byte) { _ = syscall.Munmap(memory) }, memory)
	return unsafe.Slice((*block)(unsafe.Pointer(&memory[0])), n)
}
