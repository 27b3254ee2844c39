package config

import (
	"errors"
	"path/filepath"
	"strings"
	"unicode"

	"github.com/keyturn/keyturn/internal/store/mongodb"
)

const (
	sqliteScheme   = "sqlite:"
	mongoScheme    = "mongodb://"
	mongoSRVScheme = "mongodb+srv://"
	acceptedStores = "sqlite:PATH, mongodb://HOST[,HOST…]/DATABASE or mongodb+srv://HOST/DATABASE"
)

// ParseStore checks the form of a store's URI, for the setting store and for
// commands that copy between stores. It does not connect. The error shows the
// URI masked.
func ParseStore(uri string) (Secret, error) {
	if err := checkStore(uri); err != nil {
		return Secret{}, &refusal{name: "store", value: quoted(uri), reason: err.Error(), accepted: acceptedStores}
	}
	return maskedStore(uri), nil
}

// maskedStore returns a well-formed store URI as a Secret. What it shows names the
// database, also if that is the default.
func maskedStore(uri string) Secret {
	if strings.HasPrefix(uri, sqliteScheme) {
		return Secret{value: uri, shown: uri}
	}
	return Secret{value: uri, shown: maskURI(mongodb.WithDatabase(uri))}
}

func checkStore(uri string) error {
	if strings.ContainsFunc(uri, unicode.IsControl) {
		return errors.New("it holds a control character")
	}
	if path, found := strings.CutPrefix(uri, sqliteScheme); found {
		return checkSQLitePath(path)
	}
	if isMongoDB(uri) {
		return mongodb.CheckURI(uri)
	}
	return errNotAccepted
}

func checkSQLitePath(path string) error {
	switch {
	case path == "":
		return errors.New("it names no file")
	case strings.HasPrefix(path, "//"):
		return errors.New("the path follows the colon without slashes of its own")
	case path == "-" || strings.HasPrefix(path, ":") || strings.HasPrefix(path, "file:"):
		return errors.New("it is not the path of a file")
	case strings.ContainsAny(path, "?#"):
		return errors.New("a path with ? or # is mistaken for a URI")
	}
	return nil
}

// storeURI is the kind of the setting store.
func storeURI() kind {
	return kind{
		typ:     "URI",
		accepts: acceptedStores,
		set: func(c *Config, s string) error {
			if err := checkStore(s); err != nil {
				return err
			}
			c.Store = maskedStore(s)
			return nil
		},
		show: func(c *Config) string { return c.Store.String() },
	}
}

// SQLitePath returns the path of the SQLite file, or "" if the store is not
// SQLite.
func (c *Config) SQLitePath() string {
	path, found := strings.CutPrefix(c.Store.Reveal(), sqliteScheme)
	if !found {
		return ""
	}
	return path
}

// MasterKeyBeside returns the path of the master key file that is made beside a
// SQLite store: keyturn.master-key for keyturn.db.
func (c *Config) MasterKeyBeside() string {
	db := c.SQLitePath()
	return strings.TrimSuffix(db, filepath.Ext(db)) + ".master-key"
}

// MongoDB reports whether the store is MongoDB.
func (c *Config) MongoDB() bool { return isMongoDB(c.Store.Reveal()) }

func isMongoDB(uri string) bool {
	return strings.HasPrefix(uri, mongoScheme) || strings.HasPrefix(uri, mongoSRVScheme)
}
