package userfile

import (
	"encoding/base64"
	"encoding/json"
	"errors"
	"fmt"
	"strconv"
	"strings"

	"github.com/keyturn/keyturn/internal/passwords"
	"github.com/keyturn/keyturn/internal/strictjson"
)

// firebaseUser is a user of a Firebase export.
type firebaseUser struct {
	ID           string            `json:"localId"`
	Email        string            `json:"email"`
	Verified     bool              `json:"emailVerified"`
	PasswordHash string            `json:"passwordHash"`
	Salt         string            `json:"salt"`
	DisplayName  string            `json:"displayName"`
	Created      value             `json:"createdAt"` // milliseconds
	Disabled     bool              `json:"disabled"`
	Claims       string            `json:"customAttributes"`
	Factors      []json.RawMessage `json:"mfaInfo"`
	Providers    []json.RawMessage `json:"providerUserInfo"`
	Phone        string            `json:"phoneNumber"`
	Photo        string            `json:"photoUrl"`
}

func (o Options) firebaseUser(text []byte, line *Line) error {
	var f firebaseUser
	if err := strictjson.Unmarshal(text, &f); err != nil {
		return fmt.Errorf("not a Firebase user: %w", inWords(err))
	}
	switch {
	case o.Firebase == nil:
		return errors.New("the hash parameters of its project are needed")
	case f.PasswordHash == "":
		return errors.New("it has no password")
	case len(f.Factors) > 0 && !o.DropSecondFactor:
		return errors.New("it has a second factor and would log in without it: import it so with --drop-second-factor")
	}
	u := &line.Account
	u.UID, u.Email, u.FirstName, u.Disabled = f.ID, f.Email, f.DisplayName, f.Disabled
	u.EmailVerified = f.Verified && f.Email != ""
	if f.Claims != "" {
		u.Claims = json.RawMessage(f.Claims)
	}
	if err := setTime(&u.CreatedAt, "createdAt", string(f.Created)); err != nil {
		return err
	}
	for _, lost := range []struct {
		what string
		is   bool
	}{
		{"identities of other providers", len(f.Providers) > 0}, {"phone numbers", f.Phone != ""}, {"photos", f.Photo != ""},
		{"second factors", len(f.Factors) > 0},
	} {
		if lost.is {
			line.Dropped = append(line.Dropped, lost.what)
		}
	}
	hash, hashErr := decodeFirebase(f.PasswordHash)
	salt, saltErr := decodeFirebase(f.Salt)
	if hashErr != nil || saltErr != nil {
		return errors.New("its salt or hash is not base64")
	}
	var err error
	u.PasswordHash, err = o.Firebase.Encode(salt, hash)
	return err
}

// decodeFirebase decodes base64 in the alphabet of the command line or of the
// SDK.
func decodeFirebase(text string) ([]byte, error) {
	text = strings.TrimRight(strings.NewReplacer("-", "+", "_", "/").Replace(text), "=")
	return base64.RawStdEncoding.DecodeString(text)
}

// ParseFirebaseProject reads the hash parameters of a project, as Firebase's
// console shows them:
//
//	hash_config {
//	  algorithm: SCRYPT,
//	  base64_signer_key: …,
//	  base64_salt_separator: Bw==,
//	  rounds: 8,
//	  mem_cost: 14,
//	}
//
// The error repeats no value: the signer key is a secret.
func ParseFirebaseProject(text string) (passwords.FirebaseProject, error) {
	var p passwords.FirebaseProject
	seen := map[string]bool{}
	for line := range strings.Lines(text) {
		name, value, found := strings.Cut(line, ":")
		if !found {
			continue
		}
		name, value = strings.TrimSpace(name), strings.TrimRight(strings.TrimSpace(value), ",")
		var err error
		switch name {
		case "algorithm":
			if value != "SCRYPT" {
				err = errors.New("SCRYPT is accepted")
			}
		case "base64_signer_key":
			p.SignerKey, err = decodeFirebase(value)
		case "base64_salt_separator":
			p.SaltSeparator, err = decodeFirebase(value)
		case "rounds":
			p.Rounds, err = smallNumber(value)
		case "mem_cost":
			p.MemCost, err = smallNumber(value)
		default:
			return p, fmt.Errorf("hash parameters: %q is none of them", name)
		}
		if err != nil {
			return p, fmt.Errorf("hash parameters: the value of %s cannot be read", name)
		}
		seen[name] = true
	}
	for _, name := range []string{"base64_signer_key", "base64_salt_separator", "rounds", "mem_cost"} {
		if !seen[name] {
			return p, fmt.Errorf("hash parameters: %s is missing", name)
		}
	}
	return p, nil
}

func smallNumber(text string) (uint32, error) {
	n, err := strconv.ParseUint(text, 10, 8)
	return uint32(n), err
}
