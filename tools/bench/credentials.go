package main

import (
	"bufio"
	"encoding/base64"
	"errors"
	"fmt"
	"io"
	"net/url"
	"strings"
)

// The most that a secret file and a users file may hold.
const (
	maxSecretBytes = 4096
	maxUsers       = 100_000
)

// user is one account to log in as.
type user struct {
	name, password string
}

// credentials are what the scenarios authenticate with. They are never printed.
type credentials struct {
	clientID, clientSecret string
	users                  []user
	// scope is what sessions are begun with; "" asks for all that the client may have.
	scope string
}

// authorization returns the value of the Authorization header of
// client_secret_basic (RFC 6749 §2.3.1: both parts form-encoded first), or ""
// for a public client.
func (c credentials) authorization() string {
	if c.clientSecret == "" {
		return ""
	}
	pair := url.QueryEscape(c.clientID) + ":" + url.QueryEscape(c.clientSecret)
	return "Basic " + base64.StdEncoding.EncodeToString([]byte(pair))
}

// form returns a body of the given pairs of name and value; a public client
// names itself in it (RFC 6749 §3.2.1).
func (c credentials) form(pairs ...string) []byte {
	v := url.Values{}
	for i := 0; i+1 < len(pairs); i += 2 {
		v.Set(pairs[i], pairs[i+1])
	}
	if c.clientSecret == "" {
		v.Set("client_id", c.clientID)
	}
	return []byte(v.Encode())
}

// readSecret returns the content of the file without its last line end.
func readSecret(name string, stdin io.Reader) (string, error) {
	f, err := openSecretFile(name, stdin)
	if err != nil {
		return "", err
	}
	defer f.Close()
	b, err := io.ReadAll(io.LimitReader(f, maxSecretBytes+1))
	if err != nil {
		return "", err
	}
	if len(b) > maxSecretBytes {
		return "", fmt.Errorf("holds more than %d bytes", maxSecretBytes)
	}
	secret := strings.TrimSuffix(strings.TrimSuffix(string(b), "\n"), "\r")
	if secret == "" {
		return "", errors.New("is empty")
	}
	return secret, nil
}

// readUsers reads the users of a file.
func readUsers(name string, stdin io.Reader) ([]user, error) {
	f, err := openSecretFile(name, stdin)
	if err != nil {
		return nil, err
	}
	defer f.Close()
	return parseUsers(f)
}

// parseUsers reads lines of USERNAME:PASSWORD, split at the first colon; empty
// lines are passed over. An error names the line and none of its text.
func parseUsers(r io.Reader) ([]user, error) {
	var users []user
	lines := bufio.NewScanner(r)
	lines.Buffer(make([]byte, 0, maxSecretBytes), maxSecretBytes)
	n := 0
	for lines.Scan() {
		n++
		line := strings.TrimSuffix(lines.Text(), "\r")
		if line == "" {
			continue
		}
		name, password, _ := strings.Cut(line, ":")
		if name == "" || password == "" {
			return nil, fmt.Errorf("line %d: must be USERNAME:PASSWORD", n)
		}
		if len(users) == maxUsers {
			return nil, fmt.Errorf("holds more than %d users", maxUsers)
		}
		users = append(users, user{name: name, password: password})
	}
	if err := lines.Err(); err != nil {
		return nil, fmt.Errorf("line %d: %w", n+1, err)
	}
	if len(users) == 0 {
		return nil, errors.New("names no user")
	}
	return users, nil
}
