package verify

import (
	"bytes"
	"context"
	"errors"
	"io"
	"os"
	"path/filepath"
	"slices"
	"time"

	"github.com/keyturn/keyturn/internal/audit/line"
)

// pollEvery is how often Follow looks for new lines.
const pollEvery = 200 * time.Millisecond

// Follow calls fn with each line of the file at path from its beginning, and
// then with each line as it is written. It returns nil when ctx ends, or the
// error of fn. It follows the path across rotations, and waits for a file that
// does not exist yet. The line is only valid during the call.
func Follow(ctx context.Context, path string, fn func(text []byte) error) error {
	t := follower{path: path, fn: fn}
	defer t.leave()
	tick := time.NewTicker(pollEvery)
	defer tick.Stop()
	for {
		if err := t.poll(ctx); err != nil {
			if ctx.Err() != nil {
				return nil
			}
			return err
		}
		select {
		case <-ctx.Done():
			return nil
		case <-tick.C:
		}
	}
}

type follower struct {
	path string
	fn   func(text []byte) error
	f    *os.File
	read int64  // how far f was read
	rest []byte // the beginning of an incomplete line
}

// poll reads what is new, first from files that were rotated.
func (t *follower) poll(ctx context.Context) error {
	for {
		info, err := os.Stat(t.path)
		if errors.Is(err, os.ErrNotExist) {
			// The file was rotated and the new one not created yet.
			return t.drain(ctx)
		}
		if err != nil {
			return err
		}
		if t.f == nil {
			if t.f, err = os.Open(t.path); err != nil {
				t.f = nil
				return notThere(err)
			}
			continue
		}
		old, err := t.f.Stat()
		switch {
		case err != nil:
			return err
		case os.SameFile(old, info) && info.Size() >= t.read:
			return t.drain(ctx)
		case os.SameFile(old, info): // truncated and begun again
			t.leave()
			continue
		}
		if err := t.drain(ctx); err != nil {
			return err
		}
		next, err := t.after(old)
		if err != nil {
			return notThere(err)
		}
		t.leave()
		t.f = next
	}
}

// after opens the file in which the log continued after old, which was rotated.
// There may have been several rotations.
func (t *follower) after(old os.FileInfo) (*os.File, error) {
	for {
		newer, err := t.newer(old)
		if err != nil {
			return nil, err
		}
		if len(newer) > 0 {
			return os.Open(newer[0].Path)
		}
		next, err := os.Open(t.path)
		if err != nil {
			return nil, err
		}
		// next is right unless there was another rotation meanwhile.
		if newer, err = t.newer(old); err == nil && len(newer) == 0 {
			return next, nil
		}
		if err := errors.Join(err, next.Close()); err != nil {
			return nil, err
		}
	}
}

// newer returns the files rotated after old, oldest first. It returns none if
// old no longer has the name of a rotated file.
func (t *follower) newer(old os.FileInfo) ([]line.RotatedFile, error) {
	path, err := filepath.EvalSymlinks(t.path)
	if err != nil {
		return nil, err
	}
	all, err := line.RotatedFiles(path)
	for i, f := range all {
		if info, err := os.Stat(f.Path); err == nil && os.SameFile(old, info) {
			newer := all[:i]
			slices.Reverse(newer)
			return newer, nil
		}
	}
	return nil, err
}

// notThere returns nil if a file does not exist yet or any more.
func notThere(err error) error {
	if errors.Is(err, os.ErrNotExist) {
		return nil
	}
	return err
}

// drain passes on the complete lines up to the end of the file.
func (t *follower) drain(ctx context.Context) error {
	if t.f == nil {
		return nil
	}
	buf := make([]byte, 64<<10)
	for {
		if err := ctx.Err(); err != nil {
			return err
		}
		n, err := t.f.Read(buf)
		t.read += int64(n)
		if perr := t.pass(buf[:n]); perr != nil {
			return perr
		}
		if errors.Is(err, io.EOF) {
			return nil
		}
		if err != nil {
			return err
		}
	}
}

func (t *follower) pass(b []byte) error {
	for {
		text, after, found := bytes.Cut(b, []byte{'\n'})
		// Keep no more of a line than the longest line.
		t.rest = append(t.rest, text[:min(len(text), line.Max-len(t.rest))]...)
		if !found {
			return nil
		}
		err := t.fn(t.rest)
		t.rest, b = t.rest[:0], after
		if err != nil {
			return err
		}
	}
}

func (t *follower) leave() {
	if t.f != nil {
		_ = t.f.Close() // only read from
	}
	t.f, t.read, t.rest = nil, 0, t.rest[:0]
}
