package log

import "net"

// ErrBacklog is why an event is refused that could be neither written nor kept.
var ErrBacklog = errBacklog

// What tests outside the package look at.
const (
	QueueLen  = queueLen
	StallTime = stallTime
	RetryTime = retryTime
)

// spy is a sink that tells what it is asked for.
type spy struct {
	sink
	onAppend func([]byte)
	onSync   func()
}

func (s *spy) append(b []byte) (int, error) {
	s.onAppend(b)
	return s.sink.append(b)
}

func (s *spy) sync() error {
	s.onSync()
	return s.sink.sync()
}

// Spy has the functions called before the sink is.
func (l *Log) Spy(onAppend func([]byte), onSync func()) { l.sink = &spy{l.sink, onAppend, onSync} }

// Conn is the connection to a syslog receiver.
func (l *Log) Conn() net.Conn { return l.sink.(*syslog).conn }

// Chain is the id of the chain that this log began with.
func (l *Log) Chain() string { return l.chain }
