package userfile

import (
	"encoding/base64"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"slices"
	"strings"
	"time"

	"github.com/keyturn/keyturn/users"
)

// keycloakUser is a user of a Keycloak realm export (UserRepresentation), as far
// as an import needs it.
type keycloakUser struct {
	ID             string               `json:"id"`
	Username       string               `json:"username"`
	Email          string               `json:"email"`
	FirstName      string               `json:"firstName"`
	LastName       string               `json:"lastName"`
	Enabled        *bool                `json:"enabled"`
	Created        int64                `json:"createdTimestamp"` // milliseconds
	RealmRoles     []string             `json:"realmRoles"`
	Credentials    []keycloakCredential `json:"credentials"`
	ServiceAccount string               `json:"serviceAccountClientId"`
	FederationLink string               `json:"federationLink"`
}

// keycloakCredential holds two JSON objects as text.
type keycloakCredential struct {
	Type           string `json:"type"`
	SecretData     string `json:"secretData"`
	CredentialData string `json:"credentialData"`
}

// readKeycloak yields the users of a realm export, or of a file of users only.
func readKeycloak(r io.Reader, yield func(Line, error) bool) {
	lines := &lineCounter{r: r}
	d := json.NewDecoder(lines)
	fail := func(err error) {
		yield(Line{}, &LineError{Line: lines.at(d.InputOffset()), Err: err})
	}
	found, err := findUsers(d)
	switch {
	case err != nil:
		fail(err)
		return
	case !found:
		fail(errors.New(`the file has no list "users": export the realm with its users`))
		return
	}
	for d.More() {
		var text json.RawMessage
		if err := d.Decode(&text); err != nil {
			fail(notKeycloak(err))
			return
		}
		line := lines.at(d.InputOffset() - int64(len(text)))
		u, err := parseKeycloakUser(text)
		if err != nil {
			err = &LineError{Line: line, Err: err}
		}
		if !yield(Line{Number: line, User: u}, err) {
			return
		}
	}
	if _, err := d.Token(); err != nil {
		fail(notKeycloak(err))
	}
}

func notKeycloak(err error) error { return fmt.Errorf("not the JSON of a Keycloak export: %w", err) }

// findUsers reads up to the first user. It passes over what else a realm has.
func findUsers(d *json.Decoder) (bool, error) {
	start, err := d.Token()
	if err != nil {
		return false, notKeycloak(err)
	}
	if start == json.Delim('[') {
		return true, nil // a list of users, as the admin API answers it
	}
	if start != json.Delim('{') {
		return false, errors.New("not the JSON of a Keycloak export: neither an object nor a list")
	}
	for d.More() {
		name, err := d.Token()
		if err != nil {
			return false, notKeycloak(err)
		}
		if name == "users" {
			list, err := d.Token()
			if err != nil || list != json.Delim('[') {
				return false, errors.New(`not a Keycloak export: "users" is no list`)
			}
			return true, nil
		}
		var skipped json.RawMessage
		if err := d.Decode(&skipped); err != nil {
			return false, notKeycloak(err)
		}
	}
	return false, nil
}

func parseKeycloakUser(text []byte) (users.ImportUser, error) {
	if len(text) > maxLine {
		return users.ImportUser{}, fmt.Errorf("longer than %d bytes", maxLine)
	}
	var k keycloakUser
	if err := json.Unmarshal(text, &k); err != nil {
		return users.ImportUser{}, fmt.Errorf("not a Keycloak user: %w", withoutValues(err))
	}
	switch {
	case k.ServiceAccount != "":
		return users.ImportUser{}, errors.New("a service account: register it as a client")
	case k.FederationLink != "":
		return users.ImportUser{}, errors.New("its password is kept by a federated provider, not by Keycloak")
	}
	u := users.ImportUser{
		UID: k.ID, Email: k.Email, FirstName: k.FirstName, LastName: k.LastName,
		Disabled: k.Enabled != nil && !*k.Enabled, Roles: slices.DeleteFunc(k.RealmRoles, isKeycloaksOwnRole),
	}
	// Realms that log in by address use it as the username too.
	if !strings.EqualFold(k.Username, k.Email) {
		u.Username = k.Username
	}
	if k.Created > 0 {
		u.CreatedAt = time.UnixMilli(k.Created).UTC()
	}
	for _, c := range k.Credentials {
		if c.Type == "password" {
			var err error
			u.PasswordHash, err = c.hash()
			return u, err
		}
	}
	return users.ImportUser{}, errors.New("no password among its credentials")
}

// isKeycloaksOwnRole reports whether a realm role is one that Keycloak gives to
// everybody.
func isKeycloaksOwnRole(role string) bool {
	return role == "offline_access" || role == "uma_authorization" || strings.HasPrefix(role, "default-roles-")
}

// hash returns the password's hash in the form that passwords.Parse reads.
func (c keycloakCredential) hash() (string, error) {
	var secret struct {
		Value string `json:"value"`
		Salt  string `json:"salt"`
	}
	var how struct {
		Algorithm  string              `json:"algorithm"`
		Iterations int64               `json:"hashIterations"`
		More       map[string][]string `json:"additionalParameters"`
	}
	if err := errors.Join(json.Unmarshal([]byte(c.SecretData), &secret), json.Unmarshal([]byte(c.CredentialData), &how)); err != nil {
		return "", errors.New("its secretData or credentialData is not JSON")
	}
	salt, saltErr := base64.StdEncoding.DecodeString(secret.Salt)
	digest, digestErr := base64.StdEncoding.DecodeString(secret.Value)
	if saltErr != nil || digestErr != nil {
		return "", errors.New("its salt or hash is not base64")
	}
	switch how.Algorithm {
	case "pbkdf2-sha256", "pbkdf2-sha512":
		return fmt.Sprintf("$%s$%d$%s$%s", how.Algorithm, how.Iterations,
			passlibBase64(salt), passlibBase64(digest)), nil
	case "argon2":
		one := func(name string) string { return strings.Join(how.More[name], ",") }
		if one("version") != "1.3" {
			return "", errors.New("argon2 hash must be of version 1.3")
		}
		return fmt.Sprintf("$argon2%s$v=19$m=%s,t=%d,p=%s$%s$%s", one("type"), one("memory"), how.Iterations, one("parallelism"),
			base64.RawStdEncoding.EncodeToString(salt), base64.RawStdEncoding.EncodeToString(digest)), nil
	}
	return "", errors.New("its algorithm is none of pbkdf2-sha256, pbkdf2-sha512 and argon2")
}

// passlibBase64 has a dot for the plus and no padding.
func passlibBase64(b []byte) string {
	return strings.ReplaceAll(base64.RawStdEncoding.EncodeToString(b), "+", ".")
}

// lineCounter knows on which line each byte read so far stands.
type lineCounter struct {
	r    io.Reader
	read int64
	// ends are the offsets of the line breaks not asked about yet; passed is
	// how many came before those.
	ends   []int64
	passed int
}

func (c *lineCounter) Read(b []byte) (int, error) {
	n, err := c.r.Read(b)
	for i, char := range b[:n] {
		if char == '\n' {
			c.ends = append(c.ends, c.read+int64(i))
		}
	}
	c.read += int64(n)
	return n, err
}

// at returns the line of the byte at offset, which must not be before the last
// one asked about.
func (c *lineCounter) at(offset int64) int {
	for len(c.ends) > 0 && c.ends[0] < offset {
		c.ends, c.passed = c.ends[1:], c.passed+1
	}
	return c.passed + 1
}
