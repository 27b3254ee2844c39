package passwords

import (
	"strings"
	"testing"
	"testing/fstest"
)

// TestU2_NoMoreMemoryThanThereIs: the least of the machine's and of what a control group
// and those above it leave, in both versions; where nothing is told, nothing is refused.
func TestU2_NoMoreMemoryThanThereIs(t *testing.T) {
	const machine = "MemTotal:       4096000 kB\nMemFree:  1 kB\n"
	for name, c := range map[string]struct {
		files map[string]string
		want  uint64
	}{
		"nothing told": {nil, 0},
		"garbage":      {map[string]string{"proc/meminfo": "MemTotal: many\n", "proc/self/cgroup": "x\n0::\n"}, 0},
		"the machine":  {map[string]string{"proc/meminfo": machine, "proc/self/cgroup": "0::/a\n", "sys/fs/cgroup/a/memory.max": "max\n"}, 4096000 << 10},
		"the group":    {map[string]string{"proc/meminfo": machine, "proc/self/cgroup": "0::/a/b\n", "sys/fs/cgroup/a/b/memory.max": "536870912\n"}, 512 << 20},
		"one above": {map[string]string{"proc/meminfo": machine, "proc/self/cgroup": "0::/a/b\n", "sys/fs/cgroup/a/memory.max": "268435456\n",
			"sys/fs/cgroup/a/b/memory.max": "536870912\n"}, 256 << 20},
		"a container": {map[string]string{"proc/meminfo": machine, "proc/self/cgroup": "0::/\n", "sys/fs/cgroup/memory.max": "134217728\n"}, 128 << 20},
		"version 1": {map[string]string{"proc/meminfo": machine, "proc/self/cgroup": "4:cpu:/x\n3:memory:/docker/1\n",
			"sys/fs/cgroup/memory/memory.limit_in_bytes": "134217728\n", "sys/fs/cgroup/x/memory.max": "1\n"}, 128 << 20},
		"no limit in version 1": {map[string]string{"proc/meminfo": machine, "proc/self/cgroup": "3:memory:/\n",
			"sys/fs/cgroup/memory/memory.limit_in_bytes": "9223372036854771712\n"}, 4096000 << 10},
	} {
		root := fstest.MapFS{}
		for file, text := range c.files {
			root[file] = &fstest.MapFile{Data: []byte(text)}
		}
		if got := memoryLimit(root); got != c.want {
			t.Errorf("%s: %d bytes, want %d", name, got, c.want)
		}
		const slots = 40
		p := Params{MemoryKiB: 19456, Time: 2, Threads: 1}
		err := CheckMemory(root, p, slots)
		if fits := c.want == 0 || slots*19456<<10 <= c.want; fits != (err == nil) {
			t.Errorf("%s: %v", name, err)
		}
		if err != nil && (!strings.Contains(err.Error(), "argon2_memory") || !strings.Contains(err.Error(), "hash_concurrency")) {
			t.Errorf("%s: %v names no setting", name, err)
		}
	}
}
