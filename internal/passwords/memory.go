package passwords

import (
	"fmt"
	"io/fs"
	"path"
	"strconv"
	"strings"
)

// CheckMemory returns an error if a Hasher with p and that concurrency takes more memory
// than the machine has, or than a control group lets the process have: many log-ins at
// once would then kill it. root is the root of the file system, where Linux tells it;
// elsewhere nothing is refused.
func CheckMemory(root fs.FS, p Params, concurrency int) error {
	limit := memoryLimit(root)
	if each := uint64(p.MemoryKiB) << 10; limit > 0 && each*uint64(concurrency) > limit {
		return fmt.Errorf("argon2_memory %d, hash_concurrency %d: together they take %d MiB, and there are %d MiB: lower one of them; hash_concurrency %d is the most here",
			p.MemoryKiB, concurrency, each*uint64(concurrency)>>20, limit>>20, max(1, limit/each))
	}
	return nil
}

// memoryLimit returns how many bytes this process may take, or zero if nothing tells.
func memoryLimit(root fs.FS) uint64 {
	limit := uint64(0)
	lower := func(to uint64) {
		if to > 0 && (limit == 0 || to < limit) {
			limit = to
		}
	}
	read := func(name string) string {
		text, _ := fs.ReadFile(root, name)
		return string(text)
	}
	for line := range strings.Lines(read("proc/meminfo")) {
		if rest, ok := strings.CutPrefix(line, "MemTotal:"); ok {
			kib, _ := strconv.ParseUint(strings.TrimSuffix(strings.TrimSpace(rest), " kB"), 10, 54)
			lower(kib << 10)
		}
	}
	// A limit of any group above holds as well. In a container the group itself is at
	// the root.
	for line := range strings.Lines(read("proc/self/cgroup")) {
		parts := strings.SplitN(strings.TrimSpace(line), ":", 3)
		if len(parts) != 3 {
			continue
		}
		base, file := "sys/fs/cgroup", "memory.max" // version 2
		if parts[1] == "memory" {
			base, file = "sys/fs/cgroup/memory", "memory.limit_in_bytes"
		} else if parts[1] != "" {
			continue
		}
		for group := path.Clean("/" + parts[2]); ; group = path.Dir(group) {
			bytes, _ := strconv.ParseUint(strings.TrimSpace(read(path.Join(base, group, file))), 10, 64)
			lower(bytes) // "max" is none
			if group == "/" {
				break
			}
		}
	}
	return limit
}
