package main

import (
	"fmt"
	"os"
	"slices"
	"testing"
)

func TestParseStat(t *testing.T) {
	stat := "42 (a) R ((b) S 1 42 42 0 -1 4194304 100 0 0 0 150 50 0 0 20 0 9 0 100 1 2\n"
	if d, err := parseStat([]byte(stat)); err != nil || d.Seconds() != 2 {
		t.Errorf("%v, %v, want 2s", d, err)
	}
}

func TestParseStatus(t *testing.T) {
	if n, err := parseStatus([]byte("Name:\tVmRSS: 1 kB\nVmHWM:\t  99 kB\nVmRSS:\t    64 kB\n")); err != nil || n != 64<<10 {
		t.Errorf("%d, %v, want 65536", n, err)
	}
	if _, err := parseStatus([]byte("Name:\tdead\nState:\tZ (zombie)\n")); err == nil {
		t.Error("a dead process has memory")
	}
}

func TestWorkersCount(t *testing.T) {
	root := t.TempDir()
	for pid, threads := range map[string][]string{"7": {"8 ", "9 "}, "8": {""}, "9": {"10 "}, "10": {""}} {
		for n, children := range threads {
			dir := fmt.Sprintf("%s/%s/task/%d", root, pid, n)
			if err := os.MkdirAll(dir, 0o700); err != nil {
				t.Fatal(err)
			}
			if err := os.WriteFile(dir+"/children", []byte(children), 0o600); err != nil {
				t.Fatal(err)
			}
		}
		stat := pid + " (a) S 1 42 42 0 -1 4194304 100 0 0 0 150 50 0 0 20 0 9 0 100 1 2\n"
		if err := os.WriteFile(root+"/"+pid+"/stat", []byte(stat), 0o600); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(root+"/"+pid+"/status", []byte("VmRSS:\t    64 kB\n"), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	if u, err := (process{root: root, pid: 7}).withWorkers(); err != nil || u.cpu.Seconds() != 6 || u.rss != 3*64<<10 {
		t.Errorf("%+v, %v; want the server's and those of its two workers", u, err)
	}
}

// row writes a line of /proc/net/tcp.
func row(address, state, inode string) string {
	return fmt.Sprintf("   0: %s 00000000:0000 %s 00000000:00000000 00:00000000 00000000     0        0 %s 1 0 100 0 0 10 0\n",
		address, state, inode)
}

func TestParseListeners(t *testing.T) {
	table := "  sl  local_address rem_address   st tx_queue rx_queue tr tm->when retrnsmt   uid  timeout inode\n" +
		row("0100007F:1F90", "0A", "1") + // 127.0.0.1:8080
		row("00000000:1F90", "0A", "2") + // 0.0.0.0:8080
		row("0700020A:1F90", "0A", "3") + // 10.2.0.7:8080
		row("0100007F:1F91", "0A", "4") + // another port
		row("0100007F:1F90", "01", "5") + // a connection
		row("00000000000000000000000001000000:1F90", "0A", "6") + // [::1]:8080
		row("0000000000000000FFFF00000100007F:1F90", "0A", "7") // [::ffff:127.0.0.1]:8080
	if got, want := parseListeners([]byte(table), 8080), []string{"1", "2", "6", "7"}; !slices.Equal(got, want) {
		t.Errorf("%q, want %q", got, want)
	}
}

func TestListenerPIDWithoutProc(t *testing.T) {
	if pid := listenerPID(t.TempDir(), 8080); pid != 0 {
		t.Errorf("pid %d out of nowhere", pid)
	}
}

func TestListenerPIDOfASharedPortIsNotGuessed(t *testing.T) {
	root := t.TempDir()
	for _, dir := range []string{"net", "7/fd", "8/fd"} {
		if err := os.MkdirAll(root+"/"+dir, 0o700); err != nil {
			t.Fatal(err)
		}
	}
	if err := os.WriteFile(root+"/net/tcp", []byte(row("0100007F:1F90", "0A", "55")), 0o600); err != nil {
		t.Fatal(err)
	}
	if err := os.Symlink("socket:[55]", root+"/7/fd/3"); err != nil {
		t.Fatal(err)
	}
	if pid := listenerPID(root, 8080); pid != 7 {
		t.Errorf("pid %d, want 7", pid)
	}
	if err := os.Symlink("socket:[55]", root+"/8/fd/3"); err != nil {
		t.Fatal(err)
	}
	if pid := listenerPID(root, 8080); pid != 0 {
		t.Errorf("pid %d, want none", pid)
	}
}
