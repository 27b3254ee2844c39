package log

import (
	"net"
	"time"

	"golang.org/x/sys/unix"
)

// endSilence makes the kernel end conn if sent data was not acknowledged for a
// time (RFC 5482), instead of trying for a quarter of an hour.
func endSilence(conn *net.TCPConn, after time.Duration) error {
	raw, err := conn.SyscallConn()
	if err != nil {
		return err
	}
	var failed error
	err = raw.Control(func(fd uintptr) {
		failed = unix.SetsockoptInt(int(fd), unix.IPPROTO_TCP, unix.TCP_USER_TIMEOUT, int(after.Milliseconds()))
	})
	if err != nil {
		return err
	}
	return failed
}
