// Package userfile reads files of accounts that other systems wrote, imports them,
// and writes files of all accounts.
package userfile

import (
	"bufio"
	"bytes"
	"encoding/csv"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"iter"
	"slices"
	"strings"
	"time"
	"unicode/utf8"

	"golang.org/x/text/encoding/unicode"
	"golang.org/x/text/transform"

	"github.com/keyturn/keyturn/internal/passwords"
	"github.com/keyturn/keyturn/internal/strictjson"
	"github.com/keyturn/keyturn/users"
)

// maxLine bounds one account of an import.
const maxLine = 64 << 10

// Format is a format that Read reads.
type Format string

// The formats.
const (
	// JSONLines has one JSON object a line, with the field names of
	// users.ImportUser.
	JSONLines Format = "jsonl"
	// CSV has a first line that names its columns, which are those of
	// users.ImportUser in any order, and one account a line, or on several where
	// fields between quotes have line breaks (RFC 4180). disabled is true, t or 1,
	// false, f or 0, or empty; roles are separated by spaces; claims are a JSON object; times
	// are of RFC 3339, as a database prints them, or seconds since 1970.
	CSV Format = "csv"
	// Keycloak is a realm export of Keycloak with its users, or a list of
	// users of the same form.
	Keycloak Format = "keycloak"
	// Firebase is what "firebase auth:export" writes as JSON.
	Firebase Format = "firebase"
)

// Place is where an account stands in a file.
type Place struct {
	// Line is counted from 1. User is too, in a file that is one JSON document
	// and may have all its accounts on one line; it is 0 in others.
	Line int `json:"line"`
	User int `json:"user,omitempty"`
}

// String names the place.
func (p Place) String() string {
	if p.User > 0 {
		return fmt.Sprintf("line %d, user %d", p.Line, p.User)
	}
	return fmt.Sprintf("line %d", p.Line)
}

// LineError says where an import cannot be read.
type LineError struct {
	Place
	Err error
}

// Error names the place and what is wrong there.
func (e *LineError) Error() string { return e.Place.String() + ": " + e.Err.Error() }

// Unwrap returns Err.
func (e *LineError) Unwrap() error { return e.Err }

// Line is one account of an import.
type Line struct {
	Place
	Account users.ImportUser
	// Dropped names what the file has of the account and an import cannot take.
	Dropped []string
}

// Options say how a file of another system is read.
type Options struct {
	Format Format
	// DropSecondFactor imports accounts that had a second factor, without it.
	// DropTemporary imports accounts whose password was to be changed at the
	// next login, as one that need not be. Without them such accounts are
	// refused by name.
	DropSecondFactor, DropTemporary bool
	// Peppered takes the bcrypt hashes to be of passwords with a pepper behind them.
	Peppered bool
	// Firebase has the hash parameters of the project that a Firebase file is of.
	Firebase *passwords.FirebaseProject
}

// Read reads the accounts of an import one by one, in bounded memory. An
// error is a *LineError and never repeats a value; the caller may go on to the
// next line, and there is none after an unusable heading or an error of r. Unknown
// fields are errors. Empty lines are passed over. The text is UTF-8, or what a byte
// order mark says that it is.
func Read(r io.Reader, o Options) iter.Seq2[Line, error] {
	return func(yield func(Line, error) bool) {
		if o.Peppered {
			yield = peppering(yield)
		}
		r = transform.NewReader(r, unicode.BOMOverride(transform.Nop))
		switch o.Format {
		case JSONLines, CSV:
			readLines(r, o.Format, yield)
		case Keycloak:
			readDocument(r, "Keycloak", o.keycloakUser, yield)
		case Firebase:
			readDocument(r, "Firebase", o.firebaseUser, yield)
		default:
			yield(Line{}, &LineError{Place{Line: 1}, fmt.Errorf("unknown format %q: %s, %s, %s and %s are accepted", o.Format, JSONLines, CSV, Keycloak, Firebase)})
		}
	}
}

// peppering notes in each password hash that a pepper is part of it.
func peppering(yield func(Line, error) bool) func(Line, error) bool {
	return func(line Line, err error) bool {
		if hash := &line.Account.PasswordHash; err == nil && *hash != "" {
			if *hash, err = passwords.Pepper(*hash); err != nil {
				err = &LineError{line.Place, err}
			}
		}
		return yield(line, err)
	}
}

func readLines(r io.Reader, format Format, yield func(Line, error) bool) {
	lines := bufio.NewReaderSize(r, maxLine)
	var columns []string
	for number := 1; ; number++ {
		line, err := readLine(lines)
		switch {
		case errors.Is(err, io.EOF):
			return
		case errors.Is(err, errLongLine), errors.Is(err, errEncoding):
			if !yield(Line{}, &LineError{Place{Line: number}, err}) || format == CSV && columns == nil {
				return
			}
			continue
		case err != nil:
			yield(Line{}, &LineError{Place{Line: number}, err})
			return
		}
		if len(bytes.TrimSpace(line)) == 0 {
			continue
		}
		var u users.ImportUser
		at, breaks := Place{Line: number}, 0
		switch {
		case format == JSONLines:
			if u, err = parseJSONLine(line); errors.Is(err, errList) {
				yield(Line{}, &LineError{at, err})
				return // so are all that follow parts of it
			}
		case columns != nil:
			var fields []string
			fields, breaks, err = readRecord(lines, line)
			if err == nil {
				u, err = parseRecord(columns, fields)
			}
		default:
			if columns, err = parseHeading(line); err != nil {
				yield(Line{}, &LineError{at, err})
				return
			}
			continue
		}
		if err != nil {
			err = &LineError{at, err}
		}
		if !yield(Line{Place: at, Account: u}, err) {
			return
		}
		number += breaks
	}
}

var (
	errLongLine = fmt.Errorf("longer than %d bytes", maxLine)
	errEncoding = errors.New("not UTF-8: write the file in it, or in UTF-16 with a byte order mark")
)

// readLine returns the next line, or errLongLine or errEncoding in its place; io.EOF
// after the last.
func readLine(r *bufio.Reader) ([]byte, error) {
	line, more, err := r.ReadLine()
	switch {
	case !more && !utf8.Valid(line):
		return nil, errEncoding
	case !more:
		return line, err
	}
	for more && err == nil {
		_, more, err = r.ReadLine()
	}
	return nil, errLongLine
}

func parseJSONLine(line []byte) (users.ImportUser, error) {
	// Ids, switches and times are read in more forms than one.
	var u struct {
		users.ImportUser
		UID               id    `json:"uid"`
		Disabled          value `json:"disabled"`
		CreatedAt         value `json:"created_at"`
		PasswordChangedAt value `json:"password_changed_at"`
	}
	if bytes.TrimSpace(line)[0] == '[' {
		return users.ImportUser{}, errList
	}
	if err := strictjson.UnmarshalKnown(line, &u); err != nil {
		return users.ImportUser{}, fmt.Errorf("not a JSON object with the fields %s: %w", strings.Join(importFields, ", "), inWords(err))
	}
	u.ImportUser.UID = string(u.UID)
	for column, text := range map[string]value{
		"disabled": u.Disabled, "created_at": u.CreatedAt, "password_changed_at": u.PasswordChangedAt,
	} {
		if _, err := set(&u.ImportUser, column, string(text)); err != nil {
			return users.ImportUser{}, err
		}
	}
	return u.ImportUser, nil
}

// errList refuses a file that is one list.
var errList = errors.New(`a list, where each line is an object of its own: "jq -c '.[]'" makes such lines of it`)

// inWords returns the error of a parser without the text of the file, which in the
// wrong place may be a password, and without what only its programmers know.
func inWords(err error) error {
	if typ, ok := errors.AsType[*json.UnmarshalTypeError](err); ok {
		if typ.Field == "" {
			return errors.New("it is no object")
		}
		return fmt.Errorf("%s is of the wrong type", typ.Field[strings.LastIndexByte(typ.Field, '.')+1:])
	}
	if syntax, ok := errors.AsType[*json.SyntaxError](err); ok {
		return fmt.Errorf("what stands at byte %d of it does not belong there", syntax.Offset)
	}
	if syntax, ok := errors.AsType[*csv.ParseError](err); ok {
		return fmt.Errorf("column %d: a quote stands within a field, or none at its end; a field with quotes stands between quotes, and each of its own is doubled", syntax.Column)
	}
	if errors.Is(err, io.EOF) || errors.Is(err, io.ErrUnexpectedEOF) {
		return errors.New("it breaks off")
	}
	return err
}

var importFields = []string{
	"uid", "email", "username", "first_name", "last_name", "password_hash", "password", "disabled", "roles", "claims",
	"created_at", "password_changed_at",
}

// set assigns one column; it reports false for a name that is none.
func set(u *users.ImportUser, column, value string) (known bool, err error) {
	texts := map[string]*string{
		"uid": &u.UID, "email": &u.Email, "username": &u.Username, "first_name": &u.FirstName, "last_name": &u.LastName,
		"password_hash": &u.PasswordHash, "password": &u.Password,
	}
	if text := texts[column]; text != nil {
		*text = value
		return true, nil
	}
	switch column {
	case "disabled":
		var ok bool
		if u.Disabled, ok = parseBool(value); !ok {
			return true, errors.New("disabled must be true or 1, false or 0, or empty")
		}
	case "roles":
		u.Roles = strings.Fields(value)
	case "claims":
		if value != "" {
			u.Claims = json.RawMessage(value)
		}
	case "created_at":
		return true, setTime(&u.CreatedAt, column, value)
	case "password_changed_at":
		return true, setTime(&u.PasswordChangedAt, column, value)
	default:
		return false, nil
	}
	return true, nil
}

func setTime(t *time.Time, column, value string) error {
	if value == "" {
		return nil
	}
	var ok bool
	if *t, ok = parseTime(value); !ok {
		return fmt.Errorf("%s must be a time, as in 2026-01-31T12:00:00Z, 2026-01-31 12:00:00 (UTC) or 1769860800", column)
	}
	return nil
}

func parseHeading(line []byte) ([]string, error) {
	columns, err := csv.NewReader(bytes.NewReader(line)).Read()
	if err != nil {
		return nil, inWords(err)
	}
	seen := map[string]bool{}
	for i, column := range columns {
		known, _ := set(new(users.ImportUser), column, "")
		if !known || seen[column] {
			// The column's text is not repeated: where the heading is missing
			// it may be a password.
			return nil, fmt.Errorf("the first line must name the columns, and column %d is unknown or named twice: the columns are %s",
				i+1, strings.Join(importFields, ", "))
		}
		seen[column] = true
	}
	if !seen["email"] && !seen["username"] {
		return nil, errors.New("the first line must name the columns, email or username among them")
	}
	return columns, nil
}

func parseRecord(columns, fields []string) (users.ImportUser, error) {
	if len(fields) != len(columns) {
		return users.ImportUser{}, fmt.Errorf("%d fields: the first line names %d", len(fields), len(columns))
	}
	var u users.ImportUser
	for i, column := range columns {
		if _, err := set(&u, column, fields[i]); err != nil {
			return users.ImportUser{}, err
		}
	}
	return u, nil
}

// readRecord reads the record that begins with line, and how many line breaks it has.
// Where a quote is left open, and no longer record can be read for it, the error is
// that of line alone: the lines behind it are records of their own.
func readRecord(r *bufio.Reader, line []byte) (fields []string, breaks int, err error) {
	line = bytes.Clone(line)
	fields, err = csv.NewReader(bytes.NewReader(line)).Read()
	if !errors.Is(err, csv.ErrQuote) {
		return fields, 0, inWords(err)
	}
	ahead, _ := r.Peek(maxLine - len(line))
	end, open := 0, true
	for end < len(ahead) && (open || ahead[end] != '\n') {
		open = open != (ahead[end] == '"')
		end++
	}
	whole := slices.Concat(line, []byte{'\n'}, ahead[:end])
	longer, wrong := csv.NewReader(bytes.NewReader(whole)).Read()
	if open || wrong != nil || !utf8.Valid(whole) {
		return nil, 0, inWords(err)
	}
	_, _ = r.Discard(min(end+1, len(ahead)))
	return longer, bytes.Count(whole, []byte{'\n'}), nil
}
