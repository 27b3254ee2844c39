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
	// syslog+tcp://HOST:PORT or syslog+tls://HOST:PORT. A file is made with
	// mode 0600 if it is not there. Several processes may write to one file,
	// each a chain of its own.
	Sink string
	// CAFile is a PEM file of the authorities that a receiver's certificate
	// must be of; without it the system's count.
	CAFile string
	// Writer, if set, takes the lines in place of Sink. It is not closed.
	Writer io.Writer
	// Node is the name of this machine, by default the host name; Version
	// that of the program. Both stand in every line. See (*Log).Node.
	Node    string
	Version string
	// Now tells the time; by default time.Now.
	Now func() time.Time
	// CheckpointLines and CheckpointEvery say after how many events, and
	// after how long at the latest, the chain's head is signed and anchored;
	// by default 1000 and one minute.
	CheckpointLines int
	CheckpointEvery time.Duration
	// Seen are the heads of the chains that the store knows, oldest first. The
	// first checkpoint attests the latest of them, so that they cannot be
	// taken back later by whoever can write to both the log and the store.
	Seen []audit.Anchor
	// Keep is how many events may wait in memory, and Lose how many more may
	// be lost, while the sink is away; their decisions stand all the same.
	// With neither, no decision stands without its event (A3). What was lost
	// is told in the chain once the sink is back (EventsLost).
	Keep, Lose int
	// Rotation is how a file is rotated; a stream never is.
	Rotation Rotation
	// OnError hears of what went wrong beside the writing of events: a
	// checkpoint that could not be signed, a head that could not be anchored,
	// an unfinished line found in the file. It is called from the log's own
	// goroutines and must not call the log. By default nobody hears.
	OnError func(error)
}

func withDefaults(o Options) Options {
	if o.Node == "" {
		o.Node, _ = os.Hostname() // an empty name where the system has none
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
