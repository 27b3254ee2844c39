package log_test

import (
	"net"
	"testing"

	"golang.org/x/sys/unix"

	"github.com/keyturn/keyturn/internal/audit/audittest"
)

// TestASilentReceiverIsGivenUp reads from the kernel how long a connection may
// be without a sign of life, with something sent and with nothing to send.
func TestASilentReceiverIsGivenUp(t *testing.T) {
	_, sink := overTCP(t)
	l := audittest.NewFixture(t).Open(t, to(sink))
	defer audittest.Close(t, l)
	raw, err := l.Conn().(*net.TCPConn).SyscallConn()
	if err != nil {
		t.Fatal(err)
	}
	option := func(level, name int) (value int) {
		if cerr := raw.Control(func(fd uintptr) { value, err = unix.GetsockoptInt(int(fd), level, name) }); cerr != nil || err != nil {
			t.Fatal(cerr, err)
		}
		return value
	}
	const most = 15
	if ms := option(unix.IPPROTO_TCP, unix.TCP_USER_TIMEOUT); ms != most*1000 {
		t.Errorf("what is not acknowledged ends the connection after %d ms; want %d s", ms, most)
	}
	idle, interval := option(unix.IPPROTO_TCP, unix.TCP_KEEPIDLE), option(unix.IPPROTO_TCP, unix.TCP_KEEPINTVL)
	if option(unix.SOL_SOCKET, unix.SO_KEEPALIVE) != 1 || idle+interval > most {
		t.Errorf("an idle connection is probed after %d s and every %d s; want twice in %d s", idle, interval, most)
	}
}
