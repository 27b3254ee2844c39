package log

import (
	"net"
	"time"

	"golang.org/x/sys/unix"
)

// endSilence has the kernel end conn once what was sent on it has not been
// acknowledged for so long (RFC 5482), where it would go on trying for a quarter
// of an hour.
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
