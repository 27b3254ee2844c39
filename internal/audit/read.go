package audit

import (
	"bufio"
	"compress/gzip"
	"errors"
	"fmt"
	"io"
	"os"
)

// Lines calls fn with each line of an audit log, without its newline; "-" is
// standard input, and a gzipped file is read as what it holds. The line is only
// valid during the call. An error of fn ends the reading and is returned; a
// line longer than MaxLine is cut.
func Lines(path string, fn func(line []byte) error) error {
	cut := func(line []byte) error { return fn(line[:min(len(line), MaxLine)]) }
	return readLines(path, cut, cut)
}

// readLines calls fn with each line that ends in a newline and last with what
// follows the last newline, if anything does. Of a line longer than MaxLine it
// passes a piece that is longer too, and not the rest.
func readLines(path string, fn, last func(line []byte) error) error {
	in := os.Stdin
	if path != "-" {
		f, err := os.Open(path)
		if err != nil {
			return err
		}
		defer f.Close()
		in = f
	}
	r := bufio.NewReaderSize(in, 256<<10)
	if magic, err := r.Peek(2); err == nil && magic[0] == 0x1f && magic[1] == 0x8b {
		z, err := gzip.NewReader(r)
		if err != nil {
			return fmt.Errorf("reading %s: %w", path, err)
		}
		r = bufio.NewReaderSize(z, 256<<10)
	}
	return eachLine(r, path, fn, last)
}

func eachLine(r *bufio.Reader, path string, fn, last func(line []byte) error) error {
	for {
		line, err := r.ReadSlice('\n')
		switch {
		case err == nil:
			if err := fn(line[:len(line)-1]); err != nil {
				return err
			}
		case errors.Is(err, bufio.ErrBufferFull):
			if err := fn(line); err != nil {
				return err
			}
			for errors.Is(err, bufio.ErrBufferFull) {
				_, err = r.ReadSlice('\n')
			}
			if err != nil && !errors.Is(err, io.EOF) {
				return fmt.Errorf("reading %s: %w", path, err)
			}
		case errors.Is(err, io.EOF):
			if len(line) == 0 {
				return nil
			}
			return last(line)
		default:
			return fmt.Errorf("reading %s: %w", path, err)
		}
	}
}
