package users

import (
	"context"
	"errors"

	"github.com/keyturn/keyturn/internal/audit"
)

// maxUIDBytes bounds an account id from elsewhere.
const maxUIDBytes = 64

// ImportUser is an account from elsewhere.
type ImportUser struct {
	// UID keeps the account's former id: up to 64 letters, digits and
	// ._:@- characters. Empty makes a new one.
	UID string `json:"uid"`
	// The address and the names, as for NewUser.
	Email     string `json:"email"`
	Username  string `json:"username"`
	FirstName string `json:"first_name"`
	LastName  string `json:"last_name"`
	// PasswordHash is a hash that ParseHash takes, kept until the next login.
	// Password is a password instead, which must please the Policy. One of
	// the two is needed.
	PasswordHash string `json:"password_hash"`
	Password     string `json:"password"`
	// Disabled accounts are imported so that their address stays taken.
	Disabled bool `json:"disabled"`
}

// Import makes one account out of n, on an operator's behalf. It returns the
// account, or *PolicyError, ErrEmailTaken, ErrUsernameTaken, *Busy,
// ErrNotRecorded (what stands is as for SignUp) or the store's error.
func (s *Service) Import(ctx context.Context, n ImportUser) (User, error) {
	u, err := s.importOne(ctx, n)
	return s.created(ctx, audit.UserImported, n.Email, u, err)
}

func (s *Service) importOne(ctx context.Context, n ImportUser) (User, error) {
	u, err := s.prepare(NewUser{Email: n.Email, Username: n.Username, FirstName: n.FirstName, LastName: n.LastName})
	if err != nil {
		return User{}, err
	}
	u.Disabled = n.Disabled
	if n.UID != "" {
		if u.UID, err = s.freeUID(ctx, n.UID); err != nil {
			return User{}, err
		}
	}
	if (n.PasswordHash == "") == (n.Password == "") {
		return User{}, refuse("password_hash", "either a password hash or a password is needed, not both")
	}
	if n.Password != "" {
		if err := s.Policy.Check(n.Password, u); err != nil {
			return User{}, err
		}
		return s.insert(ctx, u, n.Password)
	}
	if err := CheckImport(n.PasswordHash); err != nil {
		return User{}, refuse("password_hash", "%s", err)
	}
	u.PasswordHash = n.PasswordHash
	if err := s.Store.CreateUser(ctx, u); err != nil {
		return User{}, err
	}
	return u, nil
}

// freeUID checks an id from elsewhere and that no account has it. Two imports
// of one id at the same moment are told apart by the store, as its own error.
func (s *Service) freeUID(ctx context.Context, uid string) (string, error) {
	if !isUID(uid) {
		return "", refuse("uid", "must have 1 to %d letters, digits and ._:@- characters", maxUIDBytes)
	}
	_, err := s.Store.UserByID(ctx, uid)
	if err == nil {
		return "", refuse("uid", "belongs to another account")
	}
	if !errors.Is(err, ErrNotFound) {
		return "", err
	}
	return uid, nil
}

func isUID(uid string) bool {
	if uid == "" || len(uid) > maxUIDBytes {
		return false
	}
	for _, c := range []byte(uid) {
		switch {
		case isDigit(c), c >= 'a' && c <= 'z', c >= 'A' && c <= 'Z':
		case c == '.', c == '_', c == ':', c == '@', c == '-':
		default:
			return false
		}
	}
	return true
}
