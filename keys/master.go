package keys

import (
	"bytes"
	"crypto/hkdf"
	"crypto/rand"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"io"

	"github.com/keyturn/keyturn/internal/base64url"
)

const (
	masterPrefix   = "kt_mk_"
	masterSize     = 32
	masterIDSize   = 8
	maxMasterFile  = 64 << 10
	maxMasterCount = 64
	derivedSize    = 32
	masterIDLabel  = "keyturn master id v1"
)

// Masters are the master secrets of a deployment. New things are made under the
// primary one; the older ones open what was made under them (K7). Masters are
// immutable and safe for concurrent use. Printing them shows their ids and never
// a secret.
type Masters struct {
	list []master
}

type master struct {
	id     string
	secret []byte
}

// NewMaster makes a fresh master secret and returns it as a line of a master
// key file. The line is a secret.
func NewMaster() (line string, err error) {
	secret := make([]byte, masterSize)
	if _, err := rand.Read(secret); err != nil {
		return "", fmt.Errorf("making a master key: %w", err)
	}
	return masterPrefix + base64url.Encode(secret), nil
}

// ParseMasters parses a master key file: one key a line, kt_mk_ followed by 32
// bytes as 43 characters of base64url, the primary key first. Blank lines and
// lines that begin with # are skipped. At most 64 keys and 64 KiB are accepted.
// Errors name the line, never its content.
func ParseMasters(text []byte) (*Masters, error) {
	if len(text) > maxMasterFile {
		return nil, fmt.Errorf("master keys: %d bytes; at most %d are accepted", len(text), maxMasterFile)
	}
	m := &Masters{}
	number := 0
	for line := range bytes.Lines(text) {
		number++
		line = bytes.TrimSpace(line)
		if len(line) == 0 || line[0] == '#' {
			continue
		}
		if len(m.list) == maxMasterCount {
			return nil, fmt.Errorf("master keys: line %d: more than %d keys", number, maxMasterCount)
		}
		secret, err := parseMaster(line)
		if err != nil {
			return nil, fmt.Errorf("master keys: line %d: %w", number, err)
		}
		id := masterID(secret)
		if m.Has(id) {
			return nil, fmt.Errorf("master keys: line %d: key %s stands there twice", number, id)
		}
		m.list = append(m.list, master{id: id, secret: secret})
	}
	if len(m.list) == 0 {
		return nil, errors.New("master keys: none found; a line of the form kt_mk_ and 43 characters of base64url is needed")
	}
	return m, nil
}

var errMasterForm = errors.New("not a master key; kt_mk_ and 43 characters of base64url are accepted")

func parseMaster(line []byte) ([]byte, error) {
	text, ok := bytes.CutPrefix(line, []byte(masterPrefix))
	secret, err := base64url.Decode(string(text))
	if err != nil || !ok || len(secret) != masterSize {
		return nil, errMasterForm
	}
	return secret, nil
}

// masterID returns a name for a secret that does not reveal it.
func masterID(secret []byte) string {
	h := sha256.New()
	h.Write([]byte(masterIDLabel))
	h.Write(secret)
	return hex.EncodeToString(h.Sum(nil)[:masterIDSize])
}

// Primary returns the id of the primary master secret: 16 hex digits.
func (m *Masters) Primary() string { return m.list[0].id }

// IDs returns the ids of all master secrets, the primary one first.
func (m *Masters) IDs() []string {
	ids := make([]string, len(m.list))
	for i, k := range m.list {
		ids[i] = k.id
	}
	return ids
}

// Has reports whether the master secret named by id is there.
func (m *Masters) Has(id string) bool {
	_, ok := m.secret(id)
	return ok
}

// Derive returns 32 bytes derived by HKDF-SHA256 (RFC 5869, no salt) from the
// master secret named by id, for the purpose named by info. It returns false if
// there is no such secret.
func (m *Masters) Derive(id, info string) ([]byte, bool) {
	secret, ok := m.secret(id)
	if !ok {
		return nil, false
	}
	key, err := hkdf.Key(sha256.New, secret, nil, info, derivedSize)
	if err != nil {
		return nil, false
	}
	return key, true
}

func (m *Masters) secret(id string) ([]byte, bool) {
	for _, k := range m.list {
		if k.id == id {
			return k.secret, true
		}
	}
	return nil, false
}

// Format implements fmt.Formatter for every verb, so that no way of printing
// shows a secret.
func (m *Masters) Format(f fmt.State, _ rune) {
	if m == nil {
		io.WriteString(f, "master keys none")
		return
	}
	fmt.Fprintf(f, "master keys %v", m.IDs())
}
