package log

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"syscall"
)

// openSink opens what o names and says where that is. The place of a stream
// names the process: another process's stream of the same name is elsewhere.
func openSink(o Options) (sink, string, error) {
	pid := fmt.Sprintf(":%d", os.Getpid())
	switch {
	case o.Writer != nil:
		return &stream{w: o.Writer}, "writer" + pid, nil
	case o.Sink == "stdout":
		return &stream{w: os.Stdout}, o.Sink + pid, nil
	case o.Sink == "stderr":
		return &stream{w: os.Stderr}, o.Sink + pid, nil
	case isSyslog(o.Sink):
		s, err := openSyslog(o)
		if err != nil {
			return nil, "", fmt.Errorf("audit log: %w", err)
		}
		return s, o.Sink, nil
	case o.Sink == "":
		return nil, "", errors.New(`audit log: no sink; give a file's path, "stdout" or "stderr"`)
	}
	path, err := filepath.Abs(o.Sink)
	if err != nil {
		return nil, "", fmt.Errorf("audit log: %w", err)
	}
	if info, err := os.Stat(path); err == nil && !info.Mode().IsRegular() && !info.IsDir() {
		f, err := openStream(path, info.Mode())
		if err != nil {
			return nil, "", fmt.Errorf("audit log: %w", err)
		}
		return &stream{w: f, closer: f}, path, nil
	}
	f, err := openFile(path, o)
	if err != nil {
		return nil, "", fmt.Errorf("audit log: %w", err)
	}
	return f, path, nil
}

// Check reports why Open would refuse the options, as far as that can be told
// without making or connecting anything.
func Check(o Options) error {
	switch {
	case o.Writer != nil || o.Sink == "stdout" || o.Sink == "stderr":
		return nil
	case isSyslog(o.Sink):
		_, err := newSyslog(o)
		return err
	}
	if info, err := os.Stat(o.Sink); err == nil && !info.Mode().IsRegular() && !info.IsDir() {
		return nil // to be its only writer and leave would send a pipe's reader away
	}
	f, err := os.OpenFile(o.Sink, os.O_RDWR|os.O_APPEND, 0)
	if errors.Is(err, fs.ErrNotExist) {
		return TakesFiles(filepath.Dir(o.Sink))
	}
	if err != nil {
		return err
	}
	return f.Close()
}

// Reached is what stands in for a sink that the Log is to open itself: one that is
// open before, or none.
type Reached struct {
	sink  sink
	place string
}

// Absent is a sink that could not be opened. Its Log refuses every event for that
// reason.
func Absent(place string, why error) *Reached { return &Reached{absent{why}, place} }

// Close lets go of the sink of a Log that came to nothing. r may be nil.
func (r *Reached) Close() error {
	if r == nil {
		return nil
	}
	return r.sink.close()
}

// Reach does of Open what makes nothing: it connects to a receiver and opens a pipe or
// a device. Of a file it checks what Check does, and returns nil.
func Reach(o Options) (*Reached, error) {
	if err := Check(o); err != nil {
		return nil, err
	}
	info, err := os.Stat(o.Sink)
	if missing := err != nil; !isSyslog(o.Sink) && (missing || info.Mode().IsRegular()) {
		return nil, nil
	}
	s, place, err := openSink(withDefaults(o))
	return &Reached{s, place}, err
}

// TakesFiles reports why this process can make no file in a directory, or nil. It
// makes none.
func TakesFiles(dir string) error {
	const enter, write = 1, 2 // X_OK, W_OK
	// The dot is found in a directory only.
	if err := syscall.Access(dir+"/.", enter|write); err != nil {
		return &fs.PathError{Op: "make a file in", Path: dir, Err: err}
	}
	return nil
}
