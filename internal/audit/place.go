package audit

import (
	"context"
	"time"
)

// Place is where a server of the deployment writes its log, so that a command
// finds it wherever it is run, and whatever it is told by its surroundings.
type Place struct {
	// Host is the machine, Sink what the log is written to there: the absolute
	// path of a file, a stream, or the URL of a syslog receiver.
	Host, Sink string
	// Store is which store that server works on, so that a copy of the store is
	// not taken for it: the path of a file, or the hosts and the database of a
	// server. Empty where a server of an older version said it.
	Store string
	// At is when the server began, to the millisecond.
	At time.Time
}

// PlaceStore keeps where the servers write.
type PlaceStore interface {
	// SetPlace stores p in the place of an earlier one of its Host and Sink.
	SetPlace(ctx context.Context, p Place) error
	// Places returns all, the latest first.
	Places(ctx context.Context) ([]Place, error)
}
