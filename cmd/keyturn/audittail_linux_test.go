package main

import (
	"bytes"
	"fmt"
	"os"
	"syscall"
	"testing"
	"unsafe"
)

// TestTailToATerminal prints a line that somebody smuggled into the log: to a
// terminal harmless, to everything else as it stands there.
func TestTailToATerminal(t *testing.T) {
	far, err := os.OpenFile("/dev/ptmx", os.O_RDWR, 0)
	if err != nil {
		t.Fatal(err)
	}
	defer far.Close()
	var number, locked uint32
	for request, value := range map[uintptr]*uint32{syscall.TIOCGPTN: &number, syscall.TIOCSPTLCK: &locked} {
		if _, _, no := syscall.Syscall(syscall.SYS_IOCTL, far.Fd(), request, uintptr(unsafe.Pointer(value))); no != 0 {
			t.Fatal(no)
		}
	}
	near, err := os.OpenFile(fmt.Sprintf("/dev/pts/%d", number), os.O_RDWR, 0)
	if err != nil {
		t.Fatal(err)
	}
	defer near.Close()
	const smuggled = "\x1b[2J{\"a\":\"\u009b31m\"}"
	if err := (&program{stdout: near, output: "json"}).showEvent([]byte(smuggled)); err != nil {
		t.Fatal(err)
	}
	got := make([]byte, 200)
	n, err := far.Read(got)
	if want := `\u001b[2J{"a":"\u009b31m"}` + "\r\n"; err != nil || string(got[:n]) != want {
		t.Errorf("the terminal gets %q, %v; want %q", got[:n], err, want)
	}
	var pipe bytes.Buffer
	if err := (&program{stdout: &pipe, output: "json"}).showEvent([]byte(smuggled)); err != nil || pipe.String() != smuggled+"\n" {
		t.Errorf("a pipe gets %q, %v", pipe.String(), err)
	}
}
