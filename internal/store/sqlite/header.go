package sqlite

import (
	"errors"
	"io"
	"os"
	"strings"
)

// header is the first bytes of a database file (SQLite's file format §1.3).
type header [20]byte

func readHeader(r io.ReaderAt) (h header, err error) {
	_, err = r.ReadAt(h[:], 0)
	return h, err
}

func (f file) header() (header, error) {
	r, err := os.Open(string(f))
	if err != nil {
		return header{}, err
	}
	h, err := readHeader(r)
	return h, errors.Join(err, r.Close())
}

func (h header) isDatabase() bool { return strings.HasPrefix(string(h[:]), "SQLite format 3\x00") }

// isBackup reports whether the file never had a write-ahead log, as no backup has.
func (h header) isBackup() bool { return h[18] == 1 }
