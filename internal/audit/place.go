package audit

import (
	"context"
	"time"
)

// Place says where a server of the deployment writes its log, so that a command
// finds the log wherever and in whatever environment it runs.
type Place struct {
	// Host is the machine. Sink is the log's destination there: the absolute
	// path of a file, a stream, or the URL of a syslog receiver.
	Host, Sink string
	// Store identifies the server's store, so that a copy of the store is not
	// taken for it: the path of a file, or the hosts and the database of a
	// server. It is empty if a server of an older version wrote the Place.
	Store string
	// At is when the server started, to the millisecond.
	At time.Time
}

// PlaceStore stores the places of the servers' logs.
type PlaceStore interface {
	// SetPlace stores p and replaces an earlier Place with its Host and Sink.
	SetPlace(ctx context.Context, p Place) error
	// Places returns all places, the latest first.
	Places(ctx context.Context) ([]Place, error)
}
