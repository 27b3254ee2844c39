// Package userfile reads files of accounts that other systems wrote, imports them, and
// writes files of all accounts.
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

// maxLine bounds one account of an import, in bytes.
const maxLine = 64 << 10

// Format is a format that Read reads.
type Format string

// The formats.
const (
	// JSONLines has one JSON object a line, with the field names of
	// users.ImportUser.
	JSONLines Format = "jsonl"
	// CSV has a first line with the names of its columns, which are those of
	// users.ImportUser in any order, and one account a line, or on several lines if
	// quoted fields have line breaks (RFC 4180). disabled is true, t or 1, false, f or
	// 0, or empty; roles are separated by spaces; claims are a JSON object; times are
	// in RFC 3339, in a database's output format, or in seconds since 1970.
	CSV Format = "csv"
	// Keycloak is a realm export of Keycloak with users, or a list of such users.
	Keycloak Format = "keycloak"
	// Firebase is the JSON output of "firebase auth:export".
	Firebase Format = "firebase"
)

// Place is the position of an account in a file.
type Place struct {
	// Line is counted from 1. So is User in a file that is one JSON document, which may
	// have all its accounts on one line; in others it is 0.
	Line int `json:"line"`
	User int `json:"user,omitempty"`
}

// String returns the position for people.
func (p Place) String() string {
	if p.User > 0 {
		return fmt.Sprintf("line %d, user %d", p.Line, p.User)
	}
	return fmt.Sprintf("line %d", p.Line)
}

// LineError is an error at a position of an import.
type LineError struct {
	Place
	Err error
}

// Error returns the position and the error.
func (e *LineError) Error() string { return e.Place.String() + ": " + e.Err.Error() }

// Unwrap returns Err.
func (e *LineError) Unwrap() error { return e.Err }

// unread returns an error after which nothing is read, and says so.
func unread(at Place, err error) *LineError {
	return &LineError{at, fmt.Errorf("%w; nothing after %s was read", err, at)}
}

// Line is one account of an import.
type Line struct {
	Place
	Account users.ImportUser
	// Dropped names the properties of the account that an import cannot keep.
	Dropped []string
}

// Options say how to read a file of another system.
type Options struct {
	Format Format
	// DropSecondFactor imports accounts with a second factor without it. DropTemporary
	// imports accounts whose password was to be changed at the next login without that
	// duty. Otherwise such accounts are refused.
	DropSecondFactor, DropTemporary bool
	// DropPasskeys imports accounts without their passkeys, which are of another host.
	DropPasskeys bool
	// Peppered says that the bcrypt hashes are of passwords followed by a pepper.
	Peppered bool
	// Firebase are the hash parameters of the Firebase file's project.
	Firebase *passwords.FirebaseProject
}

// Read reads the accounts of an import one by one, in bounded memory. An error is a
// *LineError and never contains a value. The caller may continue with the next line;
// after an unusable heading or an error of r there is none. Unknown fields are errors.
// Empty lines are skipped. The text is UTF-8, or the encoding of its byte order mark.
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

// peppering marks each password hash as peppered.
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
	begun := false
	for number := 1; ; number++ {
		line, err := readLine(lines)
		switch {
		case errors.Is(err, io.EOF):
			return
		case errors.Is(err, errLongLine), errors.Is(err, errEncoding):
			if format == CSV && columns == nil {
				yield(Line{}, unread(Place{Line: number}, err))
				return
			}
			if !yield(Line{}, &LineError{Place{Line: number}, err}) {
				return
			}
			begun = true
			continue
		case err != nil:
			yield(Line{}, unread(Place{Line: number}, err))
			return
		}
		if len(bytes.TrimSpace(line)) == 0 {
			continue
		}
		var u users.ImportUser
		at, breaks := Place{Line: number}, 0
		switch {
		case format == JSONLines && !begun && bytes.TrimSpace(line)[0] == '[':
			yield(Line{}, &LineError{at, errList})
			return // so are all further lines
		case format == JSONLines:
			begun = true
			u, err = parseJSONLine(line)
		case columns != nil:
			var fields []string
			fields, breaks, err = readRecord(lines, line)
			if err == nil {
				u, err = parseRecord(columns, fields)
			}
		default:
			if columns, err = parseHeading(line); err != nil {
				yield(Line{}, unread(at, err))
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

// readLine returns the next line, or errLongLine or errEncoding in its place. It
// returns io.EOF after the last line.
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
	// Ids, switches and times have several forms.
	var u struct {
		users.ImportUser
		UID               id    `json:"uid"`
		EmailVerified     value `json:"email_verified"`
		Disabled          value `json:"disabled"`
		FactorRequired    value `json:"second_factor_required"`
		CreatedAt         value `json:"created_at"`
		PasswordChangedAt value `json:"password_changed_at"`
	}
	if err := strictjson.UnmarshalKnown(line, &u); err != nil {
		return users.ImportUser{}, fmt.Errorf("not a JSON object with the fields %s: %w", strings.Join(importFields, ", "), inWords(err))
	}
	u.ImportUser.UID = string(u.UID)
	for column, text := range map[string]value{
		"email_verified": u.EmailVerified, "disabled": u.Disabled, "second_factor_required": u.FactorRequired, "created_at": u.CreatedAt, "password_changed_at": u.PasswordChangedAt,
	} {
		if _, err := set(&u.ImportUser, column, string(text)); err != nil {
			return users.ImportUser{}, err
		}
	}
	return u.ImportUser, nil
}

// errList refuses a file that is one list.
var errList = errors.New(`a list, where each line is an object of its own: "jq -c '.[]'" makes such lines of it; nothing was read`)

// inWords returns the error of a parser without the text of the file, which may be a
// password in the wrong place, and without Go's terms.
func inWords(err error) error {
	if typ, ok := errors.AsType[*json.UnmarshalTypeError](err); ok {
		if typ.Field == "" {
			return errors.New("it is no object")
		}
		return fmt.Errorf("%s is of the wrong type", typ.Field[strings.LastIndexByte(typ.Field, '.')+1:])
	}
	if syntax, ok := errors.AsType[*json.SyntaxError](err); ok {
		return fmt.Errorf("what stands at byte %d of it does not belong there", syntax.Offset-1)
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
	"uid", "email", "email_verified", "username", "first_name", "last_name", "password_hash", "password", "disabled", "roles", "claims", "totp", "passkeys",
	"second_factor_required", "created_at", "password_changed_at",
}

// set assigns one column. It returns false for an unknown name.
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
	case "email_verified":
		return true, setBool(&u.EmailVerified, column, value)
	case "disabled":
		return true, setBool(&u.Disabled, column, value)
	case "second_factor_required":
		return true, setBool(&u.SecondFactorRequired, column, value)
	case "roles":
		u.Roles = strings.Fields(value)
	case "claims":
		if value != "" {
			u.Claims = json.RawMessage(value)
		}
	case "totp":
		return true, setList(&u.TOTP, column, value)
	case "passkeys":
		return true, setList(&u.Passkeys, column, value)
	case "created_at":
		return true, setTime(&u.CreatedAt, column, value)
	case "password_changed_at":
		return true, setTime(&u.PasswordChangedAt, column, value)
	default:
		return false, nil
	}
	return true, nil
}

func setList[T any](list *[]T, column, value string) error {
	if value == "" {
		return nil
	}
	if err := strictjson.UnmarshalKnown([]byte(value), list); err != nil {
		return fmt.Errorf("%s must be a JSON list of objects: %w", column, inWords(err))
	}
	return nil
}

func setBool(b *bool, column, value string) error {
	var ok bool
	if *b, ok = parseBool(value); !ok {
		return fmt.Errorf("%s must be true or 1, false or 0, or empty", column)
	}
	return nil
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
			// The column's text is not shown: without a heading it may be a password.
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

// readRecord returns the record that begins with line, and its number of line breaks.
// If a quote is left open and no longer record fits, the error is that of line alone,
// and the lines after it are separate records.
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
