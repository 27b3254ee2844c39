package argon2

import (
	"fmt"
	"os"
	"runtime"
	"strings"
	"testing"
	"unsafe"
)

func TestBlocksAreUnmapped(t *testing.T) {
	var m memory
	start := fmt.Sprintf("%x-", uintptr(unsafe.Pointer(&m.take(8).blocks[0])))
	for range 1000 { // the cleanup runs beside
		runtime.GC()
		maps, err := os.ReadFile("/proc/self/maps")
		if err != nil {
			t.Fatal(err)
		}
		if !strings.Contains(string(maps), start) {
			return
		}
	}
	t.Error("the memory of a hash that is gone is still mapped")
}
