package log

import (
	"bytes"
	"cmp"
	"crypto/tls"
	"crypto/x509"
	"errors"
	"fmt"
	"io"
	"net"
	"net/url"
	"os"
	"strconv"
	"strings"
	"sync"
	"time"

	"github.com/leodido/go-syslog/v4/rfc5424"

	"github.com/keyturn/keyturn/internal/audit/line"
)

const (
	syslogTCP = "syslog+tcp"
	syslogTLS = "syslog+tls"
)

const (
	// syslogPriority is facility 13 (log audit), severity 6 (informational),
	// RFC 5424 §6.2.1.
	syslogPriority = 13*8 + 6
	// syslogTime is @timestamp in as many digits as RFC 5424 §6.2.3 allows.
	syslogTime = "2006-01-02T15:04:05.000000Z07:00"

	dialTime  = 3 * time.Second  // for a connection, its handshake included
	writeTime = 30 * time.Second // for a write to a receiver that does not read
	// redialPause is the pause after a failed attempt to connect. patience bounds
	// the growing pause while no event waits.
	redialPause = 250 * time.Millisecond
	patience    = 30 * time.Second
	// readTime is how long after the last write a receiver that ends the
	// connection in order has read everything. Otherwise it would reset the
	// connection.
	readTime = 30 * time.Second
	// silence is how long the receiver or the network may leave sent data or
	// keep-alive probes without an answer.
	silence = 15 * time.Second
	// farewell is how long closing waits for the receiver to close.
	farewell = 2 * time.Second
	// maxUnread is how many bytes are sent again on a new connection. It covers
	// the buffers of both ends, of which ours is kept small.
	maxUnread  = 4 << 20
	sendBuffer = 128 << 10
)

// syslog is a sink that sends each line as a message of RFC 5424, framed by its
// length (RFC 5425 §4.3, RFC 6587 §3.4.1). The protocol does not acknowledge
// messages. So syslog keeps the last ones, and after a broken connection sends
// them again on the next: the receiver may get lines twice, but loses none while
// this process lives.
type syslog struct {
	address string
	tls     *tls.Config // nil over plain TCP
	host    string
	onError func(error)

	mu      sync.Mutex
	conn    net.Conn
	ended   chan error // receives why conn ended, once
	unread  unconfirmed
	closing bool
	failed  error     // why the last attempt to connect failed
	retryAt time.Time // when the next may be made
	wait    time.Duration
	written time.Time // when conn was last written to
}

// unconfirmed holds the frames that the receiver may not have read, oldest first.
type unconfirmed struct {
	frames [][]byte
	size   int
}

func (u *unconfirmed) add(frame []byte) {
	u.frames = append(u.frames, frame)
	u.size += len(frame)
	for u.size > maxUnread && len(u.frames) > 1 {
		u.size -= len(u.frames[0])
		u.frames = u.frames[1:]
	}
}

func isSyslog(sink string) bool {
	return strings.HasPrefix(sink, syslogTCP+"://") || strings.HasPrefix(sink, syslogTLS+"://")
}

// openSyslog returns a connected sink. If events may be kept or lost while the
// receiver is away, the connection may fail.
func openSyslog(o Options) (*syslog, error) {
	s, err := newSyslog(o)
	if err != nil {
		return nil, err
	}
	if err := s.connect(); err != nil && o.Keep+o.Lose == 0 {
		return nil, err
	}
	return s, nil
}

// newSyslog returns a sink that is not connected.
func newSyslog(o Options) (*syslog, error) {
	u, err := url.Parse(o.Sink)
	if err != nil || u.Hostname() == "" || u.Port() == "" {
		return nil, errors.New("give the receiver as " + syslogTCP + "://HOST:PORT or " + syslogTLS + "://HOST:PORT")
	}
	s := &syslog{address: u.Host, host: o.Node, onError: o.OnError, wait: redialPause}
	if u.Scheme != syslogTLS {
		return s, nil
	}
	s.tls = &tls.Config{ServerName: u.Hostname(), MinVersion: tls.VersionTLS12}
	if o.CAFile != "" {
		pem, err := os.ReadFile(o.CAFile)
		if err != nil {
			return nil, fmt.Errorf("the authorities of the receiver's certificate, audit_ca_file: %w", err)
		}
		s.tls.RootCAs = x509.NewCertPool()
		if !s.tls.RootCAs.AppendCertsFromPEM(pem) {
			return nil, fmt.Errorf("audit_ca_file %s holds no certificate in PEM", o.CAFile)
		}
	}
	return s, nil
}

// frame returns a line in its wire form. Sending a line again gives the same
// bytes.
func (s *syslog) frame(raw []byte) ([]byte, error) {
	m := &rfc5424.SyslogMessage{}
	m.SetPriority(syslogPriority).SetVersion(1).SetTimestamp(line.Time(raw).Format(syslogTime)).SetHostname(s.host).
		SetAppname("keyturn").SetProcID(strconv.Itoa(os.Getpid())).SetMsgID(string(line.Action(raw))).SetMessage(string(raw))
	text, err := m.String()
	if err != nil {
		return nil, fmt.Errorf("no syslog message: %w", err)
	}
	b := strconv.AppendInt(make([]byte, 0, len(text)+8), int64(len(text)), 10)
	return append(append(b, ' '), text...), nil
}

// begin returns nothing: each process has its own connection.
func (s *syslog) begin(int) (string, error) { return "", nil }

// append sends the lines of b. After a failed write, the lines sent completely
// count as written, because the receiver may have them; they are sent again.
func (s *syslog) append(b []byte) (kept int, err error) {
	var frames [][]byte
	var all []byte
	for text := range bytes.Lines(b) {
		frame, err := s.frame(bytes.TrimSuffix(text, []byte{'\n'}))
		if err != nil {
			return 0, err
		}
		frames = append(frames, frame)
		all = append(all, frame...)
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	if err := s.connect(); err != nil {
		return 0, err
	}
	n, err := s.write(all)
	for _, frame := range frames {
		if n < len(frame) {
			break
		}
		n -= len(frame)
		s.unread.add(frame)
		kept += bytes.IndexByte(b[kept:], '\n') + 1
	}
	return kept, err
}

// write writes to the connection, and closes it if that fails.
func (s *syslog) write(b []byte) (int, error) {
	s.written = time.Now()
	err := s.conn.SetWriteDeadline(s.written.Add(writeTime))
	n := 0
	if err == nil {
		n, err = s.conn.Write(b)
	}
	if err != nil {
		_ = s.conn.Close() // watch finds the end and reconnects
		s.conn = nil
	}
	return n, err
}

// connect ensures a connection on which everything was sent again that may not
// have been read from the last one.
func (s *syslog) connect() error {
	if s.conn != nil {
		return nil
	}
	if s.failed != nil && time.Now().Before(s.retryAt) {
		return s.failed
	}
	err := s.dial()
	if err == nil && s.unread.size > 0 {
		var again []byte
		for _, frame := range s.unread.frames {
			again = append(again, frame...)
		}
		_, err = s.write(again)
	}
	s.failed, s.retryAt = err, time.Now().Add(redialPause)
	return err
}

func (s *syslog) dial() error {
	dialer := net.Dialer{Timeout: dialTime, KeepAliveConfig: net.KeepAliveConfig{Enable: true, Idle: silence / 3, Interval: silence / 3, Count: 2}}
	conn, err := dialer.Dial("tcp", s.address)
	if err != nil {
		return err
	}
	if tcp, ok := conn.(*net.TCPConn); ok {
		err = errors.Join(tcp.SetWriteBuffer(sendBuffer), endSilence(tcp, silence))
	}
	if s.tls != nil && err == nil {
		secure := tls.Client(conn, s.tls)
		err = errors.Join(secure.SetDeadline(time.Now().Add(dialTime)), secure.Handshake(), secure.SetDeadline(time.Time{}))
		if err != nil {
			err = fmt.Errorf("TLS with %s: %w", s.address, err)
		}
		conn = secure
	}
	if err != nil {
		return errors.Join(err, conn.Close())
	}
	s.conn, s.ended = conn, make(chan error, 1)
	go s.watch(conn, s.ended)
	return nil
}

// watch reads conn, on which a receiver never sends, to learn when the receiver
// ends it. Then it sends what may not have been read on a new connection, because
// the next event may take long.
func (s *syslog) watch(conn net.Conn, ended chan<- error) {
	began := time.Now()
	_, err := io.Copy(io.Discard, conn)
	ended <- err
	_ = conn.Close()
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.conn == conn {
		s.conn = nil
	}
	if s.closing {
		return
	}
	if err == nil && time.Since(s.written) > readTime {
		s.unread = unconfirmed{}
	}
	if time.Since(began) > patience {
		s.wait = redialPause
	}
	for s.conn == nil && s.unread.size > 0 {
		wait := s.wait
		s.wait = min(2*s.wait, patience)
		s.mu.Unlock()
		time.Sleep(wait)
		s.mu.Lock()
		if s.closing {
			return
		}
		if err := s.connect(); err != nil && wait == patience {
			s.onError(fmt.Errorf("audit log: %d lines may not have reached %s, which cannot be connected to: %w", len(s.unread.frames), s.address, err))
		}
	}
}

// sync does nothing: receivers do not say what they have stored.
func (s *syslog) sync() error { return nil }

func (s *syslog) reopen() error { return nil }

// close ends the connection and waits until the receiver ends it too, and so has
// read everything. If the receiver resets the connection, close sends everything
// again.
func (s *syslog) close() error {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.closing = true
	var err error
	for range 2 {
		if s.conn == nil && s.unread.size == 0 {
			return nil
		}
		s.retryAt = time.Time{}
		if err = s.connect(); err == nil {
			err = s.end()
		}
		if err == nil {
			return nil
		}
	}
	return fmt.Errorf("the last lines may not have reached %s: %w", s.address, err)
}

func (s *syslog) end() error {
	conn := s.conn
	s.conn = nil
	defer conn.Close()
	select {
	case err := <-s.ended:
		return fmt.Errorf("it ended the connection before its end: %w", cmp.Or(err, io.EOF))
	default:
	}
	if secure, ok := conn.(*tls.Conn); ok {
		if err := secure.CloseWrite(); err != nil {
			return err
		}
		conn = secure.NetConn()
	}
	if tcp, ok := conn.(*net.TCPConn); ok {
		if err := tcp.CloseWrite(); err != nil {
			return err
		}
	}
	select {
	case err := <-s.ended:
		return err
	case <-time.After(farewell):
		return errors.New("it did not end the connection")
	}
}
