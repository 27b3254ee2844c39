package log

import (
	"io"
	"os"
	"time"

	"github.com/keyturn/keyturn/internal/audit"
)

// Options say where and how a Log writes. The zero value of every field but
// Sink is usable.
type Options struct {
	// Sink is the path of a file, "stdout" or "stderr", or a syslog receiver,
	// syslog+tcp://HOST:PORT or syslog+tls://HOST:PORT. A missing file is
	// created with mode 0600. Several processes may write to one file, each its
	// own chain.
	Sink string
	// CAFile is a PEM file of the authorities for the receiver's certificate.
	// If empty, the system's are used.
	CAFile string
	// Writer, if set, receives the lines in place of Sink. The Log does not
	// close it.
	Writer io.Writer
	// Node is the name of this machine, by default the host name. Version is
	// the program's. Every line contains both. See (*Log).Node.
	Node    string
	Version string
	// Now is the clock; by default time.Now.
	Now func() time.Time
	// CheckpointLines and CheckpointEvery are the events and the longest time
	// between two checkpoints, at which the chain's head is signed and
	// anchored; by default 1000 and one minute.
	CheckpointLines int
	CheckpointEvery time.Duration
	// Seen are the heads of the chains in the store, oldest first. The first
	// checkpoint signs the latest of them, so that a later change of both the
	// log and the store cannot remove them.
	Seen []audit.Anchor
	// Keep is how many events may wait in memory, and Lose how many more may be
	// lost, while the sink is away; their decisions take effect all the same.
	// If both are 0, no decision takes effect without its event (A3). An event
	// (EventsLost) says what was lost once the sink is back.
	Keep, Lose int
	// Reached is what Reach or Absent returned, or nil.
	Reached *Reached
	// Rotation says how a file is rotated; a stream never is.
	Rotation Rotation
	// OnError is called with failures other than those of Record: a checkpoint
	// that could not be signed, a head that could not be anchored, an
	// unfinished line found in the file. It is called from the Log's own
	// goroutines and must not call the Log. By default failures are dropped.
	OnError func(error)
}

func withDefaults(o Options) Options {
	if o.Node == "" {
		o.Node, _ = os.Hostname() // empty if the system has none
	}
	if o.Now == nil {
		o.Now = time.Now
	}
	if o.CheckpointLines <= 0 {
		o.CheckpointLines = 1000
	}
	if o.CheckpointEvery <= 0 {
		o.CheckpointEvery = time.Minute
	}
	if o.OnError == nil {
		o.OnError = func(error) {}
	}
	return o
}
