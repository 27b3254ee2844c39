package userfile

import (
	"encoding/base64"
	"encoding/json"
	"errors"
	"fmt"
	"maps"
	"slices"
	"strings"
	"time"

	"github.com/keyturn/keyturn/internal/base64url"
	"github.com/keyturn/keyturn/internal/factors"
	"github.com/keyturn/keyturn/internal/strictjson"
	"github.com/keyturn/keyturn/users"
)

// keycloakUser is a user of a Keycloak realm export (UserRepresentation), with
// the fields that an import uses or reports as lost.
type keycloakUser struct {
	ID             string               `json:"id"`
	Username       string               `json:"username"`
	Email          string               `json:"email"`
	EmailVerified  bool                 `json:"emailVerified"`
	FirstName      string               `json:"firstName"`
	LastName       string               `json:"lastName"`
	Enabled        *bool                `json:"enabled"`
	Created        int64                `json:"createdTimestamp"` // milliseconds
	RealmRoles     []string             `json:"realmRoles"`
	Credentials    []keycloakCredential `json:"credentials"`
	ServiceAccount string               `json:"serviceAccountClientId"`
	FederationLink string               `json:"federationLink"`

	TOTP            bool                       `json:"totp"`
	RequiredActions []string                   `json:"requiredActions"`
	Groups          []string                   `json:"groups"`
	ClientRoles     map[string]json.RawMessage `json:"clientRoles"`
	Attributes      map[string]json.RawMessage `json:"attributes"`
	Identities      []json.RawMessage          `json:"federatedIdentities"`
}

// keycloakCredential contains two JSON objects as text or, before Keycloak 8,
// their members.
type keycloakCredential struct {
	Type           string `json:"type"`
	Label          string `json:"userLabel"`
	SecretData     string `json:"secretData"`
	CredentialData string `json:"credentialData"`
	Temporary      bool   `json:"temporary"`

	Value      string `json:"hashedSaltedValue"`
	Salt       string `json:"salt"`
	Iterations int64  `json:"hashIterations"`
	Algorithm  string `json:"algorithm"`
}

func (o Options) keycloakUser(text []byte, line *Line) error {
	var k keycloakUser
	if err := strictjson.Unmarshal(text, &k); err != nil {
		return fmt.Errorf("not a Keycloak user: %w", inWords(err))
	}
	switch {
	case k.ServiceAccount != "":
		return errors.New("a service account: register it as a client")
	case k.FederationLink != "":
		return errors.New("its password is kept by a federated provider, not by Keycloak")
	}
	u := &line.Account
	u.UID, u.Email, u.FirstName, u.LastName = k.ID, k.Email, k.FirstName, k.LastName
	u.EmailVerified = k.EmailVerified && k.Email != ""
	u.Disabled, u.Roles = k.Enabled != nil && !*k.Enabled, slices.DeleteFunc(k.RealmRoles, isKeycloaksOwnRole)
	// Realms that log in by address use it as the username too.
	if !strings.EqualFold(k.Username, k.Email) {
		u.Username = k.Username
	}
	if k.Created > 0 {
		u.CreatedAt = time.UnixMilli(k.Created).UTC()
	}
	var err error
	if u.TOTP, err = totpOf(k.Credentials); err != nil {
		return err
	}
	at := slices.IndexFunc(k.Credentials, func(c keycloakCredential) bool { return c.Type == "password" })
	if at < 0 {
		return errors.New("no password among its credentials")
	}
	if err := o.dropFrom(k, k.Credentials[at], line); err != nil {
		return err
	}
	u.PasswordHash, err = k.Credentials[at].hash()
	return err
}

// dropFrom records what is lost of a user, or refuses to lose it.
func (o Options) dropFrom(k keycloakUser, password keycloakCredential, line *Line) error {
	lost := map[string]bool{
		"groups": len(k.Groups) > 0, "client roles": len(k.ClientRoles) > 0, "attributes": len(k.Attributes) > 0,
		"identities of other providers": len(k.Identities) > 0,
	}
	secondFactor := k.TOTP && len(line.Account.TOTP) == 0
	for _, c := range k.Credentials {
		switch c.Type {
		case "password", "password-history":
		case "webauthn", "webauthn-passwordless":
			switch key, ok := c.passkey(); {
			case o.DropPasskeys:
				lost["passkeys"] = true
			case ok:
				line.Account.Passkeys = append(line.Account.Passkeys, key)
			default:
				secondFactor = true
			}
		default:
			secondFactor = secondFactor || !c.isTOTP()
		}
	}
	temporary := password.Temporary
	for _, action := range k.RequiredActions {
		switch {
		case action == "UPDATE_PASSWORD":
			temporary = true
		case action == "CONFIGURE_TOTP" || action == "CONFIGURE_RECOVERY_AUTHN_CODES" || strings.HasPrefix(action, "webauthn-register"):
			secondFactor = true
		default:
			lost["required actions"] = true
		}
	}
	switch {
	case secondFactor && !o.DropSecondFactor:
		return errors.New("it has a second factor that is of no use here, or has to set one up, and would log in without it: import it so with --drop-second-factor")
	case temporary && !o.DropTemporary:
		return errors.New("its password is temporary (UPDATE_PASSWORD) and would become a permanent one: import it so with --drop-temporary")
	}
	lost["second factors"], lost["duties to change a temporary password"] = secondFactor, temporary
	for _, what := range slices.Sorted(maps.Keys(lost)) {
		if lost[what] {
			line.Dropped = append(line.Dropped, what)
		}
	}
	return nil
}

// isTOTP reports whether a credential is an authenticator app that codes are made by
// the time for.
func (c keycloakCredential) isTOTP() bool {
	var how struct {
		Kind string `json:"subType"`
	}
	return c.Type == "otp" && strictjson.Unmarshal([]byte(c.CredentialData), &how) == nil && how.Kind == "totp"
}

// totp returns the authenticator apps among the credentials.
func totpOf(credentials []keycloakCredential) (list []users.ImportTOTP, err error) {
	for _, c := range credentials {
		if !c.isTOTP() {
			continue
		}
		one, err := c.totp()
		if err != nil {
			return nil, err
		}
		list = append(list, one)
	}
	return list, nil
}

// totp returns the app. Its secret is the text itself, but where an encoding is named.
func (c keycloakCredential) totp() (users.ImportTOTP, error) {
	var secret struct {
		Value string `json:"value"`
	}
	var how struct {
		Digits    int    `json:"digits"`
		Period    int64  `json:"period"`
		Algorithm string `json:"algorithm"`
		Encoding  string `json:"secretEncoding"`
	}
	if err := errors.Join(strictjson.Unmarshal([]byte(c.SecretData), &secret), strictjson.Unmarshal([]byte(c.CredentialData), &how)); err != nil {
		return users.ImportTOTP{}, errors.New("its second factor's secretData or credentialData is not JSON")
	}
	n := users.ImportTOTP{Secret: factors.Text([]byte(secret.Value)), Name: c.Label}
	if strings.EqualFold(how.Encoding, "BASE32") {
		n.Secret = secret.Value
	} else if how.Encoding != "" {
		return n, errors.New("its second factor's secret is in an unknown encoding")
	}
	n.Algorithm, n.Digits, n.Period = strings.TrimPrefix(how.Algorithm, "Hmac"), how.Digits, how.Period
	return n, nil
}

// passkey returns the passkey that a credential is, beside the password or in its place,
// or false if it is of no use here. Its id is in base64, its key in base64url, and that it
// can be on several devices is not said.
func (c keycloakCredential) passkey() (p users.ImportPasskey, ok bool) {
	var how struct {
		ID      string `json:"credentialId"`
		Key     string `json:"credentialPublicKey"`
		Counter uint32 `json:"counter"`
	}
	err := strictjson.Unmarshal([]byte(c.CredentialData), &how)
	id, idErr := base64.StdEncoding.DecodeString(how.ID)
	key, keyErr := base64url.Decode(how.Key)
	p = users.ImportPasskey{Name: c.Label, Credential: factors.Credential{ID: id, PublicKey: key, SignCount: how.Counter, SyncedUnknown: true}}
	return p, err == nil && idErr == nil && keyErr == nil && p.Usable() == nil
}

// isKeycloaksOwnRole reports whether a realm role is one that Keycloak gives to
// everybody.
func isKeycloaksOwnRole(role string) bool {
	return role == "offline_access" || role == "uma_authorization" || strings.HasPrefix(role, "default-roles-")
}

// hash returns the password hash in the form for passwords.Parse.
func (c keycloakCredential) hash() (string, error) {
	secret := struct {
		Value string `json:"value"`
		Salt  string `json:"salt"`
	}{c.Value, c.Salt}
	how := struct {
		Algorithm  string              `json:"algorithm"`
		Iterations int64               `json:"hashIterations"`
		More       map[string][]string `json:"additionalParameters"`
	}{Algorithm: c.Algorithm, Iterations: c.Iterations}
	if c.Value == "" {
		if err := errors.Join(strictjson.Unmarshal([]byte(c.SecretData), &secret), strictjson.Unmarshal([]byte(c.CredentialData), &how)); err != nil {
			return "", errors.New("its secretData or credentialData is not JSON")
		}
	}
	salt, saltErr := base64.StdEncoding.DecodeString(secret.Salt)
	digest, digestErr := base64.StdEncoding.DecodeString(secret.Value)
	if saltErr != nil || digestErr != nil {
		return "", errors.New("its salt or hash is not base64")
	}
	switch how.Algorithm {
	case "pbkdf2", "pbkdf2-sha256", "pbkdf2-sha512": // the first is SHA-1
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
	return "", errors.New("its algorithm is none of pbkdf2, pbkdf2-sha256, pbkdf2-sha512 and argon2")
}

// passlibBase64 encodes with a dot in place of the plus, without padding.
func passlibBase64(b []byte) string {
	return strings.ReplaceAll(base64.RawStdEncoding.EncodeToString(b), "+", ".")
}
