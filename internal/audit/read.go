package audit

import (
	"bufio"
	"bytes"
	"compress/gzip"
	"errors"
	"fmt"
	"io"
	"os"

	"github.com/klauspost/compress/zstd"
)

// Lines calls fn with each line of the files of one log, without its newline,
// in the order in which Verify reads them; "-" is standard input, and a file
// compressed with gzip or zstd is read as what it holds. The line is only valid
// during the call. An error of fn ends the reading and is returned; a line
// longer than MaxLine is cut.
func Lines(files []string, fn func(line []byte) error) error {
	cut := func(line []byte) error { return fn(line[:min(len(line), MaxLine)]) }
	for _, path := range inOrder(files) {
		if err := readLines(path, cut, cut); err != nil {
			return err
		}
	}
	return nil
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
	r, done, err := expand(bufio.NewReaderSize(in, readSize))
	if err != nil {
		return fmt.Errorf("reading %s: %w", path, err)
	}
	defer done()
	return eachLine(r, path, fn, last)
}

const (
	readSize = 256 << 10
	// maxWindow bounds the memory that a zstd file can ask for.
	maxWindow = 128 << 20
)

// expand returns what r holds, decompressed where it is gzip (RFC 1952) or
// zstd (RFC 8878). The caller calls done when it has read enough.
func expand(r *bufio.Reader) (expanded *bufio.Reader, done func(), err error) {
	magic, _ := r.Peek(4) // a shorter file is not compressed
	switch {
	case bytes.HasPrefix(magic, []byte{0x1f, 0x8b}):
		z, err := gzip.NewReader(r)
		if err != nil {
			return nil, nil, err
		}
		return bufio.NewReaderSize(z, readSize), func() {}, nil
	case bytes.Equal(magic, []byte{0x28, 0xb5, 0x2f, 0xfd}):
		z, err := zstd.NewReader(r, zstd.WithDecoderMaxWindow(maxWindow))
		if err != nil {
			return nil, nil, err
		}
		return bufio.NewReaderSize(z, readSize), z.Close, nil
	}
	return r, func() {}, nil
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
