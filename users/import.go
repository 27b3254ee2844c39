package users

import (
	"context"
	"encoding/json"
	"errors"
	"time"

	"github.com/google/uuid"

	"github.com/keyturn/keyturn/internal/audit"
	"github.com/keyturn/keyturn/internal/factors"
	"github.com/keyturn/keyturn/internal/passwords"
)

// maxUIDBytes bounds the length of an imported account id.
const maxUIDBytes = 64

// ImportUser is an account of another system.
type ImportUser struct {
	// UID is the account's former id, which it keeps: up to 64 letters, digits and
	// ._:@|- characters. If empty, the account gets a new id.
	UID string `json:"uid,omitempty"`
	// The address and the names, as for NewUser.
	Email     string `json:"email"`
	Username  string `json:"username,omitempty"`
	FirstName string `json:"first_name,omitempty"`
	LastName  string `json:"last_name,omitempty"`
	// EmailVerified says that its user has shown that the address is theirs.
	EmailVerified bool `json:"email_verified,omitempty"`
	// PasswordHash is a hash that passwords.Parse accepts. It is kept until the
	// next login; a weak hash is wrapped. Password is a password instead, which
	// must meet the Policy. Exactly one of the two is required.
	PasswordHash string `json:"password_hash,omitempty"`
	Password     string `json:"password,omitempty"`
	// Disabled accounts are imported so that their address stays taken.
	Disabled bool `json:"disabled,omitempty"`
	// TOTP are authenticator apps, which come into force at once.
	TOTP []ImportTOTP `json:"totp,omitempty"`
	// Passkeys do so too. They are of use at a server with the same host alone.
	Passkeys []ImportPasskey `json:"passkeys,omitempty"`
	// SecondFactorRequired says that the account is to have a second factor, as by
	// RequireFactor.
	SecondFactorRequired bool `json:"second_factor_required,omitempty"`
	// Roles and Claims are what tokens may say about the user.
	Roles  []string        `json:"roles,omitempty"`
	Claims json.RawMessage `json:"claims,omitempty"`
	// When the account was created and its password set; now if zero.
	CreatedAt         time.Time `json:"created_at,omitzero"`
	PasswordChangedAt time.Time `json:"password_changed_at,omitzero"`
}

// ImportTOTP is an authenticator app of an account of another system.
type ImportTOTP struct {
	// Secret is in base 32, as apps take it.
	Secret string `json:"secret"`
	Name   string `json:"name,omitempty"`
	factors.Params
}

// ImportPasskey is a passkey of an account of another system.
type ImportPasskey struct {
	Name string `json:"name,omitempty"`
	factors.Credential
}

// Import creates an account from n, for an operator. The error is a refused field,
// ErrEmailTaken, ErrUsernameTaken, Busy, decision.ErrNotRecorded or from the
// store.
func (s *Service) Import(ctx context.Context, n ImportUser) (User, error) {
	u, err := s.importOne(ctx, n)
	return s.created(ctx, audit.UserImported, n.Email, u, err)
}

func (s *Service) importOne(ctx context.Context, n ImportUser) (User, error) {
	u, err := s.checkNew(ctx, n)
	if err == nil {
		err = s.sealImported(&u)
	}
	if err != nil {
		return User{}, err
	}
	if n.Password != "" {
		return s.insert(ctx, audit.UserImported, u, n.Password)
	}
	if hash, err := passwords.Parse(u.PasswordHash); err == nil && hash.Weak() {
		if u.PasswordHash, err = s.Hasher.Wrap(ctx, u.PasswordHash); err != nil {
			return User{}, err
		}
	}
	return s.create(ctx, audit.UserImported, u)
}

// CouldImport returns the error that Import would return now. It creates nothing.
func (s *Service) CouldImport(ctx context.Context, n ImportUser) error {
	u, err := s.checkNew(ctx, n)
	if err != nil {
		return err
	}
	return s.namesFree(ctx, User{}, u)
}

// checkNew is CheckImport, and also checks whether the id is free.
func (s *Service) checkNew(ctx context.Context, n ImportUser) (User, error) {
	u, err := s.CheckImport(n)
	if err == nil && n.UID != "" {
		err = s.freeUID(ctx, u)
	}
	return u, err
}

// CheckImport returns the account that Import would create from n, or the refusal
// of a field. It checks n alone, without the store, and does not hash a Password.
func (s *Service) CheckImport(n ImportUser) (User, error) {
	claims := string(n.Claims)
	if claims == "null" {
		claims = ""
	}
	u, err := NewUser{
		Email: n.Email, Username: n.Username, FirstName: n.FirstName, LastName: n.LastName, Roles: n.Roles, Claims: claims,
	}.withoutPassword(s.now())
	if err != nil {
		return User{}, err
	}
	u.Disabled = n.Disabled
	switch {
	case n.EmailVerified && u.Email == "":
		return User{}, refuse("email_verified", "there is no address that could be verified")
	case n.EmailVerified:
		u.VerifiedEmail = u.Email
	}
	if u.Factors, err = importFactors(n, u.CreatedAt); err != nil {
		return User{}, err
	}
	u.Factors.Required = n.SecondFactorRequired
	if n.UID != "" {
		if !isUID(n.UID) {
			return User{}, refuse("uid", "must have 1 to %d letters, digits and ._:@|- characters", maxUIDBytes)
		}
		u.UID = n.UID
	}
	if u.CreatedAt, err = formerTime("created_at", n.CreatedAt, u.CreatedAt); err != nil {
		return User{}, err
	}
	if u.PasswordChangedAt, err = formerTime("password_changed_at", n.PasswordChangedAt, u.PasswordChangedAt); err != nil {
		return User{}, err
	}
	switch {
	case (n.PasswordHash == "") == (n.Password == ""):
		return User{}, refuse("password_hash", "either a password hash or a password is needed, not both")
	case n.Password != "":
		return u, s.Policy.Check(n.Password, u)
	}
	if err := passwords.CheckImport(n.PasswordHash); err != nil {
		return User{}, refuse("password_hash", "%s", err)
	}
	if passwords.Peppered(n.PasswordHash) && !s.Hasher.HasPepper() {
		return User{}, refuse("password_hash", "is of no use without its pepper: set pepper_file")
	}
	u.PasswordHash = n.PasswordHash
	return u, nil
}

// importFactors returns the factors of an account to import, whose secrets are not
// sealed yet.
func importFactors(u ImportUser, at time.Time) (set factors.Set, err error) {
	if len(u.TOTP)+len(u.Passkeys) > factors.Most {
		return set, refuse("totp", "an account has at most %d second factors", factors.Most)
	}
	for _, n := range u.Passkeys {
		f := factors.Factor{ID: uuid.NewString(), Kind: factors.Passkey, CreatedAt: at, Credential: n.Credential}
		if f.Name, err = checkName("name", n.Name); err != nil {
			return set, err
		}
		if f.Usable() != nil || set.Has(f) {
			return set, refuse("passkeys", "one has no credential_id and no public_key that a passkey can have, or is there twice")
		}
		set.List = append(set.List, f)
	}
	for _, n := range u.TOTP {
		f := factors.Factor{ID: uuid.NewString(), Kind: factors.TOTP, CreatedAt: at, Params: n.Params}
		if f.Name, err = checkName("name", n.Name); err != nil {
			return set, err
		}
		secret, err := factors.ParseText(n.Secret)
		if err == nil {
			err = factors.CheckTOTP(secret, n.Params)
		}
		if err != nil {
			return set, refuse("totp", "%s", err)
		}
		f.Sealed = secret
		set.List = append(set.List, f)
	}
	return set, nil
}

// sealImported seals the secrets of importFactors.
func (s *Service) sealImported(u *User) (err error) {
	for i, f := range u.Factors.List {
		if f.Kind != factors.TOTP {
			continue
		}
		if s.Sealer == nil {
			return refuse("totp", "cannot be kept without the master key: set master_key_file, or start a server of the store once")
		}
		if u.Factors.List[i].Sealed, err = s.Sealer.Seal(f.Sealed, []byte(f.ID)); err != nil {
			return err
		}
	}
	return nil
}

// formerTime returns a time of another system, which must be in the past, or now
// if it is zero.
func formerTime(field string, t, now time.Time) (time.Time, error) {
	switch {
	case t.IsZero():
		return now, nil
	case t.Unix() <= 0 || t.After(now.Add(24*time.Hour)):
		return now, refuse(field, "must be a time between 1970 and today")
	}
	return t.UTC().Truncate(time.Millisecond), nil
}

// freeUID checks that no other account has the uid of an account to import. An
// account with the same address, or with none and the same username, was imported
// before. If two imports of one id run at once, the store returns an error of its
// own to one.
func (s *Service) freeUID(ctx context.Context, u User) error {
	other, err := s.Store.UserByID(ctx, u.UID)
	switch {
	case errors.Is(err, ErrNotFound):
		return s.checkHolder(u.UID)
	case err != nil:
		return err
	case other.EmailKey == u.EmailKey && u.EmailKey != "":
		return ErrEmailTaken
	case other.EmailKey == u.EmailKey && other.UsernameKey == u.UsernameKey:
		return ErrUsernameTaken
	}
	return refuse("uid", "belongs to another account")
}

// checkHolder refuses an id that another subject of tokens, a client or a user, has in
// any case (RFC 9700 §4.15).
func (s *Service) checkHolder(uid string) error {
	if s.Holder == nil {
		return nil
	}
	holder, err := s.Holder(uid)
	if err == nil && holder != "" {
		err = refuse("uid", "is the id of %s, in whatever case", holder)
	}
	return err
}

func isUID(uid string) bool {
	if uid == "" || len(uid) > maxUIDBytes {
		return false
	}
	for _, c := range []byte(uid) {
		switch {
		case c >= '0' && c <= '9', c >= 'a' && c <= 'z', c >= 'A' && c <= 'Z':
		case c == '.', c == '_', c == ':', c == '@', c == '|', c == '-':
		default:
			return false
		}
	}
	return true
}
